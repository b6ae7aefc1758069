"""The idx files of MNIST and its relatives."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest

from supernet.data import images
from supernet.errors import InputError


def idx(array: numpy.ndarray) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.astype(numpy.uint8).tobytes()


def pixels(n: int, seed: int = 0) -> numpy.ndarray:
    return numpy.random.default_rng(seed).integers(0, 256, (n, 6, 5), dtype=numpy.uint8)


def write(folder: Path, zipped: bool = True, test: bool = True) -> Path:
    folder.mkdir(parents=True)
    parts = {"train": (pixels(10), numpy.arange(10)), **({"t10k": (pixels(3, 1), numpy.array([9, 0, 4]))} if test else {})}
    for name, (x, y) in parts.items():
        for kind, array in (("images-idx3", x), ("labels-idx1", y)):
            (folder / f"{name}-{kind}-ubyte{'.gz' if zipped else ''}").write_bytes(gzip.compress(idx(array)) if zipped else idx(array))
    return folder


@pytest.mark.parametrize("zipped", [True, False])
def test_plain_and_gzipped_files_are_read_alike(tmp_path: Path, zipped: bool) -> None:
    loaded = images.load(write(tmp_path / "letters", zipped))
    assert loaded.name == "letters" and loaded.shape == (1, 6, 5) and loaded.classes == tuple("0123456789")
    assert numpy.array_equal(loaded.x_train[:, 0].numpy(), pixels(10)) and loaded.y_test.tolist() == [9, 0, 4]


@pytest.mark.parametrize(("folder", "name", "first"), [("MNIST/raw", "mnist", "0"), ("FashionMNIST/raw", "fashion-mnist", "T-shirt/top")])
def test_torchvisions_folders_tell_the_name(tmp_path: Path, folder: str, name: str, first: str) -> None:
    write(tmp_path / folder)
    sources = (tmp_path, tmp_path / folder, (tmp_path / folder).parent)
    for loaded in (images.load(name, tmp_path), *map(images.load, sources)):
        assert loaded.name == name and loaded.classes[0] == first and len(loaded.classes) == 10


def test_a_named_set_may_lie_in_the_given_folder_itself(tmp_path: Path) -> None:
    assert images.load("fashion-mnist", write(tmp_path / "mine")).name == "fashion-mnist"


def test_without_test_files_a_part_is_held_out(tmp_path: Path) -> None:
    loaded = images.load(write(tmp_path / "letters", test=False))
    assert (len(loaded.x_train), len(loaded.x_test)) == (8, 2) and "no test split" in loaded.notes[0]


def rewrite(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).write_bytes(change((folder / name).read_bytes()))
    return damage


@pytest.mark.parametrize(("name", "change", "said"), [
    ("train-images-idx3-ubyte", lambda b: b[:-1], "its head says 300 bytes, 299 follow"),
    ("train-images-idx3-ubyte", lambda b: b + b"x", "its head says 300 bytes, more follow"),
    ("train-images-idx3-ubyte", lambda b: b[:9], "truncated within its head"),
    ("train-images-idx3-ubyte", lambda b: b"", "starts with "),
    ("train-images-idx3-ubyte", lambda b: b"\x89PNG" + b[4:], "starts with 89504e47"),
    ("train-images-idx3-ubyte", lambda b: b"\0\0\x0d\x03" + b[4:], "starts with 00000d03"),
    ("train-labels-idx1-ubyte", lambda b: idx(numpy.arange(9)), "9 labels for 10 images"),
    ("train-labels-idx1-ubyte", lambda b: idx(numpy.arange(10) + 1), "label 10 is out of range; labels go from 0 to 9"),
    ("t10k-labels-idx1-ubyte", lambda b: idx(numpy.array([0, 1, 12])), "label 12 is out of range"),
    ("t10k-images-idx3-ubyte", lambda b: idx(numpy.zeros((3, 5, 5))), "must be alike"),
])
def test_a_damaged_file_is_named_in_one_line(tmp_path: Path, name: str, change: Callable[[bytes], bytes], said: str) -> None:
    folder = write(tmp_path / "MNIST" / "raw", zipped=False)
    rewrite(name, change)(folder)
    with pytest.raises(InputError, match=said) as error:
        images.load(tmp_path)
    assert (name in str(error.value) or "alike" in said) and "\n" not in str(error.value)


@pytest.mark.parametrize("change", [lambda b: b[:-10], lambda b: b"not gzip", lambda b: b"\x1f\x8b\x08" + b[9:]])
def test_a_damaged_gzip_file_is_named(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    folder = write(tmp_path / "MNIST" / "raw")
    rewrite("train-images-idx3-ubyte.gz", change)(folder)
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte\.gz: truncated, or not a gzip file"):
        images.load("mnist", tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "MNIST" / "raw")
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(InputError, match=r"t10k-labels-idx1-ubyte .* is missing"):
        images.load("mnist", tmp_path)
