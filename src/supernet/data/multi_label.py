"""Image sets with any number of labels an image: pictures described by ``labels.csv``, and pairs of digits made on the spot."""

from __future__ import annotations

import os
from pathlib import Path

import numpy
import torch
from numpy.typing import NDArray

from supernet.data import KnownSet
from supernet.data.described_pictures import FILE, read
from supernet.data.images import ImageSet, digits
from supernet.errors import InputError, unknown

SETS: dict[str, KnownSet] = {
    "digit-pairs": KnownSet(
        about="1,797 pairs of handwritten digits, 1x8x16, labelled by the digits that are there; made of scikit-learn's",
        cite="E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998",
    ),
}
TESTED = 360  # pairs, of digits that no training pair holds


def load(source: str | os.PathLike[str] = "digit-pairs", size: int | tuple[int, int] | None = None) -> ImageSet:
    """Images and labels (N, classes), float32, 1 where a label holds; raises ``InputError``.

    source: a name of ``SETS``, or a folder with pictures and ``labels.csv``: a column ``file``, perhaps ``split`` (train or test), and a
    column a label, of 0 and 1. size: height and width that pictures are resized to.
    """
    name = os.fspath(source)
    if name in SETS:
        if size is not None:
            raise InputError(f"size is for folders of pictures; {name} has images of one size")
        return pairs(*digits())
    folder = Path(name).expanduser()
    if not (folder / FILE).is_file():
        if os.sep in name or folder.exists():
            raise InputError(f"{folder / FILE} does not exist; a multi-label set is a folder of pictures with {FILE}, or {', '.join(SETS)}")
        raise unknown("multi-label set", name, SETS)
    found = read(folder, (size, size) if isinstance(size, int) else size)
    for part in (found.y_train, found.y_test):
        if not ((part == 0) | (part == 1)).all():
            raise InputError(f"{folder / FILE}: labels must be 0 or 1; there is {float(part[(part != 0) & (part != 1)][0]):g}")
    return found


def pairs(images: NDArray[numpy.uint8], labels: NDArray[numpy.int64]) -> ImageSet:
    """Each image beside another of the same split, drawn once for all."""
    rng = numpy.random.RandomState(0)
    parts: list[torch.Tensor] = []
    for part in (slice(0, len(labels) - TESTED), slice(len(labels) - TESTED, None)):
        x, y = images[part], labels[part]
        other = rng.permutation(len(y))
        held = numpy.zeros((len(y), 10), numpy.float32)
        held[numpy.arange(len(y)), y] = held[numpy.arange(len(y)), y[other]] = 1
        parts += [torch.from_numpy(numpy.concatenate([x, x[other]], 3)), torch.from_numpy(held)]
    x_train, y_train, x_test, y_test = parts
    return ImageSet("digit-pairs", tuple(map(str, range(10))), x_train, y_train, x_test, y_test)
