"""The idx files of MNIST and its relatives, plain or gzipped.

Layout: two zero bytes, one for the type (8: unsigned byte), one for the number of axes, each axis as a big-endian 32-bit
number, then the bytes. Y. LeCun, http://yann.lecun.com/exdb/mnist, "THE IDX FILE FORMAT".
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from supernet.data.parts import Labelled, Parts, checked_labels
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
    known = 10 if name in _NAMES.values() else None
    train = _labelled(folder, "train", known)
    classes = known or int(train[1].max()) + 1
    test = _labelled(folder, "t10k", classes) if _find(folder, "t10k-images", 3) or _find(folder, "t10k-labels", 1) else None
    if test is not None and test[0].shape[1:] != train[0].shape[1:]:
        raise InputError(f"{folder}: training images are {train[0].shape[2:]}, test images {test[0].shape[2:]}; they must be alike")
    return Parts(name, FASHION if name == "fashion-mnist" else tuple(map(str, range(classes))), train, test)


def _name(folder: Path) -> str:
    folder = folder.resolve()
    folder = folder.parent if folder.name == "raw" else folder
    return _NAMES.get(folder.name.lower().replace("-", "").replace("_", ""), folder.name)


def _find(folder: Path, part: str, axes: int) -> Path | None:
    names = (f"{part}{mark}idx{axes}-ubyte{end}" for end in ("", ".gz") for mark in "-.")
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _labelled(folder: Path, part: str, classes: int | None) -> Labelled:
    paths = [_find(folder, f"{part}-images", 3), _find(folder, f"{part}-labels", 1)]
    for path, name in zip(paths, (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"), strict=True):
        if path is None:
            raise InputError(f"{folder}: {name} (or {name}.gz) is missing; put it beside the other idx files")
    images, labels = (path for path in paths if path is not None)
    x = _array(images, 3)
    return x[:, None], checked_labels(_array(labels, 1), len(x), classes, labels)


def _array(path: Path, axes: int) -> NDArray[Any]:
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: truncated, or not a gzip file ({error})") from None
    magic = bytes((0, 0, 8, axes))
    if content[:4] != magic:
        raise InputError(f"{path}: starts with {content[:4].hex()}, an idx file of {axes} axes of bytes with {magic.hex()}")
    start = 4 + 4 * axes
    if len(content) < start:
        raise InputError(f"{path}: truncated within its head of {start} bytes")
    shape = struct.unpack(f">{axes}I", content[4:start])
    if len(content) - start != math.prod(shape):
        raise InputError(f"{path}: its head says {math.prod(shape)} bytes, {len(content) - start} follow; get the file again")
    if math.prod(shape) == 0:
        raise InputError(f"{path}: holds no images")
    return numpy.frombuffer(content, numpy.uint8, offset=start).reshape(shape)
