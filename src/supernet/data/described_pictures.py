"""A folder of pictures with a file ``labels.csv``: a column ``file``, perhaps ``split`` (train or test), and numbers of each picture."""

from __future__ import annotations

from pathlib import Path

import numpy
import torch
from numpy.typing import NDArray

from supernet.data import SETS
from supernet.data.columns import read_columns
from supernet.data.image_folder import decoded
from supernet.data.images import HELD_OUT, ImageSet
from supernet.data.split import split
from supernet.errors import InputError

FILE = "labels.csv"


def read(folder: Path, size: tuple[int, int] | None = None) -> ImageSet:
    """The pictures, resized to ``size`` (height, width) where it is given, and the numbers of each as labels (N, columns), float32.

    ``classes`` are the headings of the numbers. Without a column ``split``, 20 % are held out, always the same. Raises ``InputError``.
    """
    table = read_columns(folder / FILE)
    names = tuple(head for head in table.heads if head not in ("file", "split"))
    if not names:
        raise InputError(f"{table.path}: a column of numbers is needed beside file")
    x = torch.from_numpy(decoded([folder / name for name in table.text("file")], size, folder))
    name = folder.resolve().name
    name = f"{name}-pictures" if name in SETS else name  # what is known of a set need not hold for pictures of it
    return parted(name, names, x, table.values(names), table.tested())


def parted(
    name: str,
    names: tuple[str, ...],
    x: torch.Tensor,
    values: NDArray[numpy.float32],
    test: NDArray[numpy.bool_] | None,
    columns: tuple[str, ...] = (),
) -> ImageSet:
    """A set of examples and the numbers of each, its test split as marked, or drawn where ``test`` is None; ``columns``: of a table."""
    y = torch.from_numpy(values)
    if test is not None:
        kept, held = (torch.from_numpy(numpy.flatnonzero(which)) for which in (~test, test))
        return ImageSet(name, names, x[kept], y[kept], x[held], y[held], columns=columns)
    kept, held = split(len(y), HELD_OUT, seed=0)
    note = f"{name} has no test split: {HELD_OUT:.0%}, {len(held)} of {len(y)} examples, are held out, always the same"
    return ImageSet(name, names, x[kept], y[kept], x[held], y[held], (note,), columns)
