"""Image sets in .npz files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy
import pytest
import torch

from supernet.data import images
from supernet.errors import InputError

Y = numpy.array([0, 1, 2, 0, 1, 2])


def pixels(*shape: int) -> numpy.ndarray:
    return numpy.random.default_rng(0).integers(0, 256, shape, dtype=numpy.uint8)


def saved(tmp_path: Path, **arrays: object) -> Path:
    numpy.savez(tmp_path / "flowers.npz", **arrays)  # type: ignore[arg-type]
    return tmp_path / "flowers.npz"


@pytest.mark.parametrize(("shape", "axes"), [((6, 9, 7, 3), (0, 3, 1, 2)), ((6, 3, 9, 7), (0, 1, 2, 3)), ((6, 9, 7, 1), (0, 3, 1, 2))])
def test_the_axis_of_one_to_four_entries_holds_the_channels(tmp_path: Path, shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    loaded = images.load(saved(tmp_path, x_train=pixels(*shape), y_train=Y, x_test=pixels(*shape), y_test=Y))
    assert loaded.shape == (3 if 3 in shape else 1, 9, 7) and loaded.name == "flowers.npz" and loaded.notes == ()
    assert numpy.array_equal(loaded.x_train.numpy(), pixels(*shape).transpose(axes))


def test_images_without_channels_get_one(tmp_path: Path) -> None:
    loaded = images.load(saved(tmp_path, x_train=pixels(6, 3, 4), y_train=Y[:, None], x_test=pixels(6, 3, 4), y_test=Y))
    assert loaded.shape == (1, 3, 4) and loaded.y_train.tolist() == Y.tolist()


def test_a_layout_in_the_file_decides(tmp_path: Path) -> None:
    arrays = {"x": pixels(6, 8, 8, 12), "y": Y}
    with pytest.raises(InputError, match="cannot tell the channels"):
        images.load(saved(tmp_path, **arrays))
    assert images.load(saved(tmp_path, **arrays, layout="NHWC")).shape == (12, 8, 8)
    assert images.load(saved(tmp_path, **arrays, layout="NCHW")).shape == (8, 8, 12)
    with pytest.raises(InputError, match="layout 'HWCN' is neither"):
        images.load(saved(tmp_path, **arrays, layout="HWCN"))


def test_x_and_y_alone_are_parted_into_training_and_test(tmp_path: Path) -> None:
    path = saved(tmp_path, x=pixels(60, 5, 5), y=numpy.repeat(numpy.arange(3), 20), classes=["rose", "tulip", "lily"])
    loaded = images.load(path)
    assert loaded.classes == ("rose", "tulip", "lily") and "12 of 60" in loaded.notes[0]
    assert loaded.y_test.bincount().tolist() == [4, 4, 4] and torch.equal(loaded.x_test, images.load(path).x_test)


def test_floating_point_images_are_kept_and_whole_numbers_become_bytes(tmp_path: Path) -> None:
    x = numpy.linspace(-2, 2, 6 * 25).reshape(6, 5, 5)
    assert torch.equal(torch.sort(images.load(saved(tmp_path, x=x, y=Y)).x_train.flatten()).values[0], torch.tensor(-2.0))
    assert images.load(saved(tmp_path, x=pixels(6, 5, 5).astype(numpy.int64), y=Y)).x_train.dtype == torch.uint8


@pytest.mark.parametrize(("arrays", "said"), [
    ({"images": pixels(6, 5, 5)}, "holds 'images', not x and y"),
    ({"x": pixels(6, 5, 5)}, "not x and y"),
    ({"x_train": pixels(6, 5, 5), "y_train": Y, "x_test": pixels(6, 5, 5)}, "belong together"),
    ({"x": pixels(6, 5, 5), "y": Y[:5]}, "5 labels for 6 images"),
    ({"x": pixels(6, 5, 5), "y": Y - 1}, "label -1 is out of range"),
    ({"x": pixels(6, 5, 5), "y": Y, "classes": ["a", "b"]}, "label 2 is out of range; labels go from 0 to 1"),
    ({"x": pixels(6, 5, 5), "y": Y / 2}, "labels must be whole numbers"),
    ({"x": pixels(6, 25), "y": Y}, r"these are \(6, 25\)"),
    ({"x": pixels(0, 5, 5), "y": Y[:0]}, r"these are \(0, 5, 5\)"),
    ({"x": pixels(6, 5, 5).astype(int) * 2, "y": Y}, "0 to 255"),
    ({"x": numpy.full((6, 5, 5), numpy.nan), "y": Y}, "not finite"),
    ({"x_train": pixels(6, 5, 5), "y_train": Y, "x_test": pixels(6, 4, 5), "y_test": Y}, "but the training images are"),
    ({"x_train": pixels(6, 5, 5), "y_train": Y, "x_test": pixels(6, 5, 5), "y_test": Y + 1}, "y_test: label 3 is out of range"),
])
def test_arrays_that_make_no_image_set_are_refused_in_one_line(tmp_path: Path, arrays: dict[str, object], said: str) -> None:
    path = saved(tmp_path, **arrays)
    with pytest.raises(InputError, match=said) as error:
        images.load(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_python_objects_in_a_file_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Python objects, which are not read"):
        images.load(saved(tmp_path, x=numpy.array([{}, []], dtype=object), y=Y))


def test_damaged_files_are_named(tmp_path: Path) -> None:
    whole = saved(tmp_path, x=pixels(6, 5, 5), y=Y).read_bytes()
    one_array = io.BytesIO()
    numpy.save(one_array, Y)
    for content in (whole[:-30], whole[:10], b"", b"hello", one_array.getvalue(), whole[:200] + b"\xff" * 20 + whole[220:]):
        (tmp_path / "flowers.npz").write_bytes(content)
        with pytest.raises(InputError, match=r"flowers\.npz: ") as error:
            images.load(tmp_path / "flowers.npz")
        assert "\n" not in str(error.value)
