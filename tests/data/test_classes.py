"""One rule for classes and labels, whatever holds the images: numbered from 0 or named, none twice, none without a training image."""

from __future__ import annotations

import gzip
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image

from supernet.data import images
from supernet.errors import InputError

NUMBERS = ["0", "1", "2"]
Write = Callable[..., Path]


def pixels(n: int) -> numpy.ndarray:
    return numpy.arange(n * 25, dtype=numpy.uint8).reshape(n, 5, 5)


def npz(folder: Path, train: list[Any], test: list[Any], classes: list[Any] | None = None) -> Path:
    more = {} if classes is None else {"classes": numpy.array(classes)}
    numpy.savez(folder / "set.npz", x_train=pixels(len(train)), y_train=train, x_test=pixels(len(test)), y_test=test, **more)  # type: ignore[arg-type]
    return folder / "set.npz"


def idx(folder: Path, train: list[int], test: list[int]) -> Path:
    for part, labels in (("train", train), ("t10k", test)):
        for name, array in (("images-idx3", pixels(len(labels))), ("labels-idx1", numpy.array(labels, numpy.uint8))):
            head = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
            (folder / f"{part}-{name}-ubyte.gz").write_bytes(gzip.compress(head + array.tobytes()))
    return folder


def cifar(folder: Path, train: list[int], test: list[int], classes: list[str] | None = None) -> Path:
    folder = folder / "cifar-100-python"
    folder.mkdir()
    for name, labels in (("train", train), ("test", test)):
        batch = {"data": numpy.zeros((len(labels), 3072), numpy.uint8), "fine_labels": labels}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": classes or NUMBERS}, protocol=2))
    return folder


@pytest.mark.parametrize("write", [npz, idx, cifar])
def test_numbers_from_0_are_taken_by_every_reader(tmp_path: Path, write: Write) -> None:
    loaded = images.load(write(tmp_path, [2, 0, 1, 1], [1, 1]))
    assert loaded.classes == tuple(NUMBERS) and loaded.y_train.tolist() == [2, 0, 1, 1] and loaded.y_test.tolist() == [1, 1]


@pytest.mark.parametrize("write", [npz, idx, cifar])
@pytest.mark.parametrize(("labels", "said"), [([1, 2, 3, 3], "from 1"), ([0, 2, 2], "no training image has the label 1")])
def test_numbers_from_1_and_gaps_are_refused_by_every_reader(tmp_path: Path, write: Write, labels: list[int], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        images.load(write(tmp_path, labels, [0]))
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("write", [npz, cifar])
def test_two_classes_of_one_name_are_refused(tmp_path: Path, write: Write) -> None:
    with pytest.raises(InputError, match="two classes are called 'cat'"):
        images.load(write(tmp_path, [0, 1, 2], [0], ["cat", "dog", "cat"]))


@pytest.mark.parametrize("write", [npz, cifar])
def test_a_class_without_a_training_image_is_refused_by_its_name(tmp_path: Path, write: Write) -> None:
    with pytest.raises(InputError, match=r"no training image has the label 1 \(dog\)"):
        images.load(write(tmp_path, [0, 2, 2], [0], ["cat", "dog", "eel"]))


def test_names_are_classes_in_alphabetical_order_or_in_that_of_the_file(tmp_path: Path) -> None:
    train, test = ["dog", "cat", "eel", "cat"], ["eel", "eel"]
    loaded = images.load(npz(tmp_path, train, test))
    assert loaded.classes == ("cat", "dog", "eel") and loaded.y_train.tolist() == [1, 0, 2, 0] and loaded.y_test.tolist() == [2, 2]
    loaded = images.load(npz(tmp_path, [name.encode() for name in train], test, [b"eel", b"dog", b"cat"]))
    assert loaded.classes == ("eel", "dog", "cat") and loaded.y_train.tolist() == [1, 2, 0, 2]
    for given, said in ((["cat", "dog"], "'eel' is no class"), (["cat", "dog", "eel", "owl"], r"label 3 \(owl\)")):
        with pytest.raises(InputError, match=said):
            images.load(npz(tmp_path, train, test, given))
    with pytest.raises(InputError, match="'owl' is no class; the classes are cat, dog, eel"):
        images.load(npz(tmp_path, train, ["owl"]))


@pytest.mark.parametrize("classes", [3, "cat", [["cat", "dog", "eel"]], [0.5, 1.5, 2.5]])
def test_classes_that_are_no_list_of_names_are_refused(tmp_path: Path, classes: Any) -> None:
    with pytest.raises(InputError, match="classes must be a list of names"):
        images.load(npz(tmp_path, [0, 1, 2], [0], classes))


def test_a_huge_label_is_refused_without_making_so_many_classes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no training image has the label 2"):
        images.load(npz(tmp_path, [0, 1, 10**12], [0]))


def test_a_folder_of_pictures_follows_the_same_rule(tmp_path: Path) -> None:
    for name in ("dog", "cat"):
        for i in range(2):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(pixels(1)[0]).save(tmp_path / name / f"{i}.png")
    assert images.load(tmp_path).classes == ("cat", "dog")
    (tmp_path / "eel").mkdir()
    with pytest.raises(InputError, match="eel: holds no images"):
        images.load(tmp_path)
