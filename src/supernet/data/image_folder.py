"""A folder of pictures, a subfolder a class, with or without ``train`` and ``test`` (or ``val``) above the classes."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy
from numpy.typing import NDArray
from PIL import Image

from supernet.data import SETS
from supernet.data.arrays import check_fits
from supernet.data.parts import Given, Parts, labelled
from supernet.errors import InputError
from supernet.files.readers import check_ordinary

Size = tuple[int, int]  # height, width
_TEST = ("test", "val", "valid", "validation")  # the first that is there is the test split
_IGNORED = ("thumbs.db", "desktop.ini")


def read(folder: Path, size: Size | None = None) -> Parts:
    """The set in a folder; classes are the subfolders in alphabetical order.

    With ``size`` (height, width) every picture is resized to it (bilinear, the aspect is not kept); without it they must be
    alike. They have one channel where all are grey, else three. Raises InputError that names the file at fault.
    """
    parted = (folder / "train").is_dir() and any(sub.is_dir() for sub in visible(folder / "train"))  # else a class called train
    training = folder / "train" if parted else folder
    tests = [name for name in _TEST if parted and (folder / name).is_dir()]
    classes = tuple(sub.name for sub in visible(training) if sub.is_dir())
    if not classes:
        raise InputError(f"{training}: no image set; it needs a folder of pictures for each class, class/picture.png")
    splits = [_listed(training, classes)] + [_listed(folder / name, classes) for name in tests[:1]]
    if empty := [name for name in classes if name not in {picture.label for picture in splits[0]}]:
        raise InputError(f"{training / empty[0]}: holds no images")
    mode, size = _common([picture for split in splits for picture in split], size)
    givens = [_decoded(split, mode, size, folder) for split in splits]
    notes = tuple(f"{folder / name} is not read; validation images are split off the training ones" for name in tests[1:])
    name = folder.resolve().name
    name = f"{name}-pictures" if name in SETS else name  # what is known of a set need not hold for pictures of it
    return labelled(name, classes, givens[:1], givens[1:], notes)


def visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.name.lower() not in _IGNORED)


def _pictures(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Every file below a folder, folder after folder; raises InputError for a link that leads back to one above."""
    own = folder.resolve()
    if own in above:
        raise InputError(f"{folder}: a link that leads back to {own}; folders of pictures must end")
    for found in visible(folder):
        if found.is_dir():
            yield from _pictures(found, (*above, own))
        else:
            yield found


class Picture(NamedTuple):
    """A picture of a class, and what its head says: mode, (width, height)."""

    path: Path
    label: str
    mode: str
    size: tuple[int, int]


def _listed(folder: Path, classes: tuple[str, ...]) -> list[Picture]:
    """Every picture below a split's folder. The head of each is looked at when it is met: a folder of something else is soon refused."""
    for sub in visible(folder):
        if sub.is_dir() and sub.name not in classes:
            raise InputError(f"{sub}: a class that the training part does not have; it has {', '.join(classes[:10])}")
        if not sub.is_dir():
            raise InputError(f"{sub}: a file beside the class folders; pictures belong in class/picture.png")
    found: list[Picture] = []
    for name in classes:
        found += [_head(path, name) for path in (_pictures(folder / name) if (folder / name).is_dir() else ())]
    if not found:
        raise InputError(f"{folder}: holds no images")
    return found


def decoded(paths: Sequence[Path], size: Size | None, folder: Path) -> NDArray[numpy.uint8]:
    """Pictures (N, C, H, W), resized to ``size`` where it is given; else they must be alike. Raises ``InputError`` that names the file."""
    heads = [_head(path, "") for path in paths]
    mode, size = _common(heads, size)
    found: NDArray[numpy.uint8] = _decoded(heads, mode, size, folder).examples
    return found


def _head(path: Path, label: str) -> Picture:
    with opened(path) as picture:
        return Picture(path, label, picture.mode, picture.size)


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    check_ordinary(path)
    try:
        with Image.open(path) as picture:
            yield picture
    except InputError:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError) as error:
        reason = "too large to be safe" if isinstance(error, Image.DecompressionBombError) else "truncated, or not an image"
        raise InputError(f"{path}: {reason}") from None


def _common(pictures: list[Picture], size: Size | None) -> tuple[str, Size]:
    """The mode and the size that all pictures are read in."""
    mode, first = "L", pictures[0]
    for picture in pictures:
        if picture.mode[0] in "IF":
            raise InputError(f"{picture.path}: has more than 8 bits a channel (mode {picture.mode}); convert it to 8 bits")
        mode = mode if picture.mode in ("1", "L", "LA") else "RGB"
        if size is None and picture.size != first.size:
            (w, h), (v, g) = picture.size, first.size
            raise InputError(f"{picture.path} is {h}x{w} but {first.path} is {g}x{v}; give size=(height, width) to resize all to one size")
    return mode, size or (first.size[1], first.size[0])


def _decoded(split: list[Picture], mode: str, size: Size, folder: Path) -> Given:
    channels = 1 if mode == "L" else 3
    check_fits(len(split) * size[0] * size[1] * channels, folder)
    x = numpy.empty((len(split), *size, channels), numpy.uint8)
    for row, picture in zip(x, split, strict=True):
        with opened(picture.path) as whole:
            pixels = whole.convert(mode)
            if pixels.size != (size[1], size[0]):
                pixels = pixels.resize((size[1], size[0]), Image.Resampling.BILINEAR)
            row[...] = numpy.asarray(pixels).reshape(*size, channels)
    return Given(numpy.ascontiguousarray(x.transpose(0, 3, 1, 2)), [picture.label for picture in split], folder)
