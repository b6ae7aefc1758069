"""Folders of pictures."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
from PIL import Image

from supernet.data import images
from supernet.errors import InputError

RED, GREY = (200, 10, 30), 77


def picture(path: Path, size: tuple[int, int] = (6, 4), colour: object = RED, mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)  # type: ignore[arg-type]
    return path


def folder(at: Path, splits: tuple[str, ...] = ("train", "test"), each: int = 5) -> Path:
    for split in splits:
        for label, name in enumerate(("cat", "dog")):
            for i in range(each):
                picture(at / split / name / f"{i}.png", colour=(100 * label, i, 7))
    return at


@pytest.mark.parametrize("second", ["test", "val"])
def test_training_and_test_folders_are_the_splits(tmp_path: Path, second: str) -> None:
    loaded = images.load(folder(tmp_path / "pets", ("train", second)))
    assert loaded.name == "pets" and loaded.classes == ("cat", "dog") and loaded.shape == (3, 4, 6) and loaded.notes == ()
    assert loaded.y_train.tolist() == loaded.y_test.tolist() == [0] * 5 + [1] * 5
    assert loaded.x_train[8, :, 2, 2].tolist() == [100, 3, 7]


def test_a_folder_of_classes_has_a_part_held_out(tmp_path: Path) -> None:
    loaded = images.load(folder(tmp_path / "pets", ("",)))
    assert (len(loaded.x_train), loaded.y_test.tolist().count(0), loaded.y_test.tolist().count(1)) == (8, 1, 1)
    assert "no test split" in loaded.notes[0]


def test_a_validation_folder_beside_a_test_folder_is_left_alone_and_said(tmp_path: Path) -> None:
    loaded = images.load(folder(tmp_path, ("train", "val", "test")))
    assert len(loaded.x_test) == 10 and "val is not read" in loaded.notes[0]


def test_pictures_of_a_known_set_do_not_take_its_name(tmp_path: Path) -> None:
    assert images.load(folder(tmp_path / "mnist")).name == "mnist-pictures"


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for i in range(3):
        picture(tmp_path / "train" / f"{i}.png")
        picture(tmp_path / "boat" / f"{i}.png")
    assert images.load(tmp_path).classes == ("boat", "train")


def test_grey_pictures_have_one_channel_and_a_coloured_one_makes_it_three(tmp_path: Path) -> None:
    for i in range(4):
        picture(tmp_path / "a" / f"{i}.png", colour=GREY, mode="L")
        picture(tmp_path / "b" / "deeper" / f"{i}.bmp", colour=1, mode="1")
    grey = images.load(tmp_path)
    assert grey.shape == (1, 4, 6) and set(grey.x_train.flatten().tolist()) == {GREY, 255}
    picture(tmp_path / "b" / "c.png", colour=(1, 2, 3, 255), mode="RGBA")
    assert images.load(tmp_path).shape == (3, 4, 6)


def test_different_sizes_need_one_to_be_given(tmp_path: Path) -> None:
    folder(tmp_path, ("",))
    picture(tmp_path / "dog" / "9.png", size=(8, 8))
    with pytest.raises(InputError, match=r"9\.png is 8x8 but .*0\.png is 4x6; give size="):
        images.load(tmp_path)
    assert images.load(tmp_path, size=10).shape == (3, 10, 10)
    resized = images.load(tmp_path, size=(5, 3))
    assert resized.shape == (3, 5, 3) and RED in [tuple(x[:, 0, 0].tolist()) for x in (*resized.x_train, *resized.x_test)]
    with pytest.raises(InputError, match="size"):
        images.load(tmp_path, size=0)


def test_hidden_files_are_passed_over(tmp_path: Path) -> None:
    folder(tmp_path)
    for name in (".DS_Store", "cat/.hidden", "dog/Thumbs.db"):
        (tmp_path / "train" / name).write_text("not a picture")
    assert len(images.load(tmp_path).x_train) == 10


@pytest.mark.parametrize("name", ["notes.txt", "9.png"])
def test_a_file_that_is_no_picture_is_named(tmp_path: Path, name: str) -> None:
    (folder(tmp_path) / "train" / "dog" / name).write_text("hello")
    with pytest.raises(InputError, match=f"{name}: truncated, or not an image"):
        images.load(tmp_path)


def test_a_truncated_picture_is_named(tmp_path: Path) -> None:
    noise = numpy.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=numpy.uint8)
    for ending in ("png", "jpg", "gif"):
        path = folder(tmp_path / ending) / "train" / "cat" / f"9.{ending}"
        Image.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
        with pytest.raises(InputError, match=rf"9\.{ending}: truncated"):
            images.load(tmp_path / ending, size=8)


def test_what_is_no_image_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs a folder of pictures for each class"):
        images.load(tmp_path)
    (folder(tmp_path) / "train" / "bird").mkdir()
    with pytest.raises(InputError, match="bird: holds no images"):
        images.load(tmp_path)
    picture(tmp_path / "train" / "bird" / "1.png")
    picture(tmp_path / "test" / "fish" / "1.png")
    with pytest.raises(InputError, match="fish: a class that the training part does not have"):
        images.load(tmp_path)
    picture(tmp_path / "train" / "stray.png")
    with pytest.raises(InputError, match=r"stray\.png: a file beside the class folders"):
        images.load(tmp_path)


def test_deep_grey_pictures_are_refused(tmp_path: Path) -> None:
    Image.fromarray(numpy.zeros((4, 6), numpy.uint16)).save(folder(tmp_path) / "train" / "cat" / "9.png")
    with pytest.raises(InputError, match=r"9\.png: has more than 8 bits"):
        images.load(tmp_path)
