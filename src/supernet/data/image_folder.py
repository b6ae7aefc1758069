"""A folder of pictures, a subfolder a class, with or without ``train`` and ``test`` (or ``val``) above the classes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy
from PIL import Image

from supernet.data import SETS
from supernet.data.parts import Labelled, Parts
from supernet.errors import InputError

Size = tuple[int, int]  # height, width
_TEST = ("test", "val", "valid", "validation")  # the first that is there is the test split
_IGNORED = ("thumbs.db", "desktop.ini")


def read(folder: Path, size: Size | None = None) -> Parts:
    """The set in a folder; classes are the subfolders in alphabetical order.

    With ``size`` (height, width) every picture is resized to it (bilinear, the aspect is not kept); without it they must be
    alike. They have one channel where all are grey, else three. Raises InputError that names the file at fault.
    """
    parted = (folder / "train").is_dir() and any(sub.is_dir() for sub in _visible(folder / "train"))  # else a class called train
    training = folder / "train" if parted else folder
    tests = [name for name in _TEST if parted and (folder / name).is_dir()]
    classes = tuple(sub.name for sub in _visible(training) if sub.is_dir())
    if not classes:
        raise InputError(f"{training}: no image set; it needs a folder of pictures for each class, class/picture.png")
    if empty := [name for name in classes if not _pictures(training / name)]:
        raise InputError(f"{training / empty[0]}: holds no images")
    splits = [_listed(training, classes)] + [_listed(folder / name, classes) for name in tests[:1]]
    mode, size = _common([path for split in splits for path, _ in split], size)
    arrays = [_decoded(split, mode, size) for split in splits]
    notes = tuple(f"{folder / name} is not read; validation images are split off the training ones" for name in tests[1:])
    name = folder.resolve().name
    name = f"{name}-pictures" if name in SETS else name  # what is known of a set need not hold for pictures of it
    return Parts(name, classes, arrays[0], arrays[1] if tests else None, notes)


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.name.lower() not in _IGNORED)


def _pictures(folder: Path) -> list[Path]:
    return [path for found in _visible(folder) for path in (_pictures(found) if found.is_dir() else [found])]


def _listed(folder: Path, classes: tuple[str, ...]) -> list[tuple[Path, int]]:
    """Every picture below a split's folder, with the number of its class."""
    for sub in _visible(folder):
        if sub.is_dir() and sub.name not in classes:
            raise InputError(f"{sub}: a class that the training part does not have; it has {', '.join(classes[:10])}")
        if not sub.is_dir():
            raise InputError(f"{sub}: a file beside the class folders; pictures belong in class/picture.png")
    found = [(path, label) for label, name in enumerate(classes) if (folder / name).is_dir() for path in _pictures(folder / name)]
    if not found:
        raise InputError(f"{folder}: holds no images")
    return found


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as picture:
            yield picture
    except InputError:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError) as error:
        reason = "too large to be safe" if isinstance(error, Image.DecompressionBombError) else "truncated, or not an image"
        raise InputError(f"{path}: {reason}") from None


def _common(paths: list[Path], size: Size | None) -> tuple[str, Size]:
    """The mode and the size that all pictures are read in; only their heads are looked at."""
    mode, first = "L", None
    for path in paths:
        with _opened(path) as picture:
            if picture.mode[0] in "IF":
                raise InputError(f"{path}: has more than 8 bits a channel (mode {picture.mode}); convert it to 8 bits")
            mode = mode if picture.mode in ("1", "L", "LA") else "RGB"
            first = first or (path, picture.size)
            if size is None and picture.size != first[1]:
                (w, h), (v, g) = picture.size, first[1]
                raise InputError(f"{path} is {h}x{w} but {first[0]} is {g}x{v}; give size=(height, width) to resize all to one size")
    assert first is not None  # a split without pictures was refused
    return mode, size or (first[1][1], first[1][0])


def _decoded(split: list[tuple[Path, int]], mode: str, size: Size) -> Labelled:
    channels = 1 if mode == "L" else 3
    x = numpy.empty((len(split), *size, channels), numpy.uint8)
    for row, (path, _) in zip(x, split, strict=True):
        with _opened(path) as picture:
            pixels = picture.convert(mode)
            if pixels.size != (size[1], size[0]):
                pixels = pixels.resize((size[1], size[0]), Image.Resampling.BILINEAR)
            row[...] = numpy.asarray(pixels).reshape(*size, channels)
    return numpy.ascontiguousarray(x.transpose(0, 3, 1, 2)), numpy.array([label for _, label in split], numpy.int64)
