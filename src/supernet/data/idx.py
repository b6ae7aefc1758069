"""The idx files of MNIST and its relatives, plain or gzipped.

Layout: two zero bytes, one for the type (8: unsigned byte), one for the number of axes, each axis as a big-endian 32-bit
number, then the bytes. Y. LeCun, http://yann.lecun.com/exdb/mnist, "THE IDX FILE FORMAT".
"""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy
from numpy.typing import NDArray

from supernet.data.arrays import check_fits, inflated
from supernet.data.parts import Given, Parts, labelled
from supernet.errors import InputError

FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_NAMES = {"mnist": "mnist", "fashionmnist": "fashion-mnist"}  # of a folder, in small letters without - and _


def is_idx(folder: Path) -> bool:
    """Whether the folder has idx files with training images."""
    return _find(folder, "train-images", 3) is not None


def read(folder: Path, name: str | None = None) -> Parts:
    """The set in a folder of idx files; without a ``name`` it is told from the folder's, as torchvision calls it.

    Raises InputError that names the file at fault.
    """
    name = name or _name(folder)
    known = FASHION if name == "fashion-mnist" else tuple(map(str, range(10))) if name in _NAMES.values() else None
    train = _given(folder, "train")
    test = [_given(folder, "t10k")] if _find(folder, "t10k-images", 3) or _find(folder, "t10k-labels", 1) else []
    if test and test[0].examples.shape[1:] != train.examples.shape[1:]:
        sizes = [given.examples.shape[2:] for given in (train, *test)]
        raise InputError(f"{folder}: training images are {sizes[0]}, test images {sizes[1]}; they must be alike")
    return labelled(name, known, [train], test)


def _name(folder: Path) -> str:
    folder = folder.resolve()
    folder = folder.parent if folder.name == "raw" else folder
    return _NAMES.get(folder.name.lower().replace("-", "").replace("_", ""), folder.name)


def _find(folder: Path, part: str, axes: int) -> Path | None:
    names = (f"{part}{mark}idx{axes}-ubyte{end}" for end in ("", ".gz") for mark in "-.")
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _given(folder: Path, part: str) -> Given:
    paths = [_find(folder, f"{part}-images", 3), _find(folder, f"{part}-labels", 1)]
    for path, name in zip(paths, (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"), strict=True):
        if path is None:
            raise InputError(f"{folder}: {name} (or {name}.gz) is missing; put it beside the other idx files")
    images, labels = (path for path in paths if path is not None)
    return Given(_array(images, 3)[:, None], _array(labels, 1), labels)


def _array(path: Path, axes: int) -> NDArray[Any]:
    """The bytes of a file in its shape; no more is read than its head says, and no more than fits into memory."""
    start = 4 + 4 * axes
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as opened:
        file = cast(BinaryIO, opened)
        head = inflated(path, file, start)
        magic = bytes((0, 0, 8, axes))
        if head[:4] != magic:
            raise InputError(f"{path}: starts with {head[:4].hex()}, an idx file of {axes} axes of bytes with {magic.hex()}")
        if len(head) < start:
            raise InputError(f"{path}: truncated within its head of {start} bytes")
        shape = struct.unpack(f">{axes}I", head[4:])
        size = math.prod(shape)
        check_fits(size, path)
        content = inflated(path, file, size + 1)
    if len(content) != size:
        follow = "more" if len(content) > size else str(len(content))
        raise InputError(f"{path}: its head says {size} bytes, {follow} follow; get the file again")
    if size == 0:
        raise InputError(f"{path}: holds no images")
    return numpy.frombuffer(content, numpy.uint8).reshape(shape)
