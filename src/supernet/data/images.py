"""Read an image set by name or by path into tensors."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy
import torch
from torch import Tensor

from supernet.data import SETS, cifar, idx, npz
from supernet.data.parts import Given, Labelled, Parts, labelled
from supernet.data.split import split
from supernet.errors import InputError, unknown

HELD_OUT = 0.2  # of a set that has no test split


@dataclass(frozen=True)
class ImageSet:
    """Images (N, C, H, W), uint8 or float32, and what is known of each of the training and the test split; ``notes`` says what was done.

    Labels are (N,), int64, or (N, ...) for other tasks than classification. ``columns``: where inputs are rows of a table (N, columns).
    """

    name: str
    classes: tuple[str, ...]
    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor
    notes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels, height and width of one image; columns of a table."""
        return tuple(self.x_train.shape[1:])


def load(source: str | os.PathLike[str] = "digits", folder: str | os.PathLike[str] | None = None, *,
         size: int | tuple[int, int] | None = None) -> ImageSet:
    """Read an image set.

    source: a name of ``SETS``, which wins over a file of that name, or a path: a folder that holds or is ``cifar-10-batches-py``
    or ``cifar-100-python``, a folder of idx files (also torchvision's ``MNIST/raw``), a folder of pictures, a ``.npz`` file.
    folder: where a named set lies; otherwise it is looked for in $SUPERNET_DATA, then in ``data``.
    size: height and width, or one number for both, that a folder's pictures are resized to.

    Where there is no test split, 20 % of each class is held out, always the same images, and ``notes`` says so.
    Raises InputError, one line: what was looked for, where, and how to get it; or which file is damaged.
    """
    square = (size, size) if isinstance(size, int) else size
    if square is not None and (len(square) != 2 or min(square) < 1):
        raise InputError(f"size {size!r} must be a height and a width of at least 1 pixel")
    name = os.fspath(source)
    try:
        return image_set(_named(name, folder, square) if name in SETS else _at(name, square))
    except OSError as error:
        raise InputError(f"{error.filename or name} cannot be read: {error.strerror or error}") from None


def image_set(parts: Parts, columns: tuple[str, ...] = ()) -> ImageSet:
    """``parts`` as tensors, with 20 % of each class held out where they have no test split; ``columns``: of a table.

    Raises ``InputError`` for a single example.
    """
    x, y = _tensors(parts.train)
    if parts.test is not None:
        return ImageSet(parts.name, parts.classes, x, y, *_tensors(parts.test), parts.notes, columns)
    what = "row" if columns else "image"
    if len(y) < 2:
        raise InputError(f"{parts.name}: one {what} cannot be split into training and test; it needs at least 2")
    kept, held = split(y, validation=HELD_OUT, seed=0)
    note = f"{parts.name} has no test split: {HELD_OUT:.0%} of each class, {len(held)} of {len(y)} {what}s, are held out, always the same"
    return ImageSet(parts.name, parts.classes, x[kept], y[kept], x[held], y[held], (*parts.notes, note), columns)


def _tensors(part: Labelled) -> tuple[Tensor, Tensor]:
    x, y = (torch.from_numpy(numpy.require(array, requirements=["C", "W"])) for array in part)  # what lies in a buffer is copied
    return x, y


@cache
def digits() -> Labelled:
    """The digits of scikit-learn: images (1797, 1, 8, 8), uint8, and labels (1797,). They are read once, and cannot be changed."""
    from sklearn.datasets import load_digits  # slow to import

    bunch = load_digits()
    x = numpy.rint(bunch.images[:, None] * (255 / 16)).astype(numpy.uint8)  # its levels are 0 to 16
    y = bunch.target.astype(numpy.int64)
    for array in (x, y):
        array.flags.writeable = False
    return x, y


def _named(name: str, folder: str | os.PathLike[str] | None, size: tuple[int, int] | None) -> Parts:
    if size is not None:
        raise InputError(f"size is for folders of pictures; {name} has images of one size")
    if name == "digits":
        x, y = digits()
        return labelled("digits", tuple(map(str, range(10))), [Given(x, y, "digits")])
    known = SETS[name]
    places = [Path(root) / below for root in _roots(folder) for below in known.folders]
    for place in places if folder is None else [*places, Path(folder)]:
        if name == "cifar10" and cifar.is_ten(place):
            return cifar.read_ten(place)
        if name == "cifar100" and cifar.is_hundred(place):
            return cifar.read_hundred(place)
        if name.endswith("mnist") and idx.is_idx(place):
            return idx.read(place, name)
    looked, wanted = " or ".join(_roots(folder)), " or ".join(known.folders)
    raise InputError(f"{name} is not in {looked} (looked for {wanted}); {known.get}, or let SUPERNET_DATA name the folder it is in")


def _roots(folder: str | os.PathLike[str] | None) -> list[str]:
    if folder is not None:
        return [os.fspath(folder)]
    named = os.environ.get("SUPERNET_DATA")
    return [named, "data"] if named else ["data"]


def _at(source: str, size: tuple[int, int] | None) -> Parts:
    path = Path(source).expanduser()
    if not source or not path.exists():
        if os.sep in source or path.suffix:
            raise InputError(f"{path} does not exist; a data set is a folder, a .npz file, or one of {', '.join(SETS)}")
        raise unknown("data set", source, SETS)
    if path.is_dir():
        found = _layouts(path)
        if len(found) > 1:
            raise InputError(f"{path} holds {len(found)} data sets; name one: {', '.join(str(at) for at in found)}")
        if not found:
            from supernet.data import image_folder  # and with it Pillow

            return image_folder.read(path, size)
        at, read = next(iter(found.items()))
    elif path.suffix == ".npz":
        at, read = path, npz.read
    else:
        raise InputError(f"{path} is not a data set; a data set is a folder, a .npz file, or one of {', '.join(SETS)}")
    if size is not None:
        raise InputError(f"size is for folders of pictures; {at} has images of one size")
    return read(at)


def _layouts(path: Path) -> dict[Path, Callable[[Path], Parts]]:
    """Where in a folder a known layout lies, and its reader."""
    found: dict[Path, Callable[[Path], Parts]] = {}
    found |= {at: cifar.read_ten for at in (path, path / cifar.TEN) if cifar.is_ten(at)}
    found |= {at: cifar.read_hundred for at in (path, path / cifar.HUNDRED) if cifar.is_hundred(at)}
    places = (path, path / "raw", path / "MNIST" / "raw", path / "FashionMNIST" / "raw")
    return found | {at: idx.read for at in places if idx.is_idx(at)}
