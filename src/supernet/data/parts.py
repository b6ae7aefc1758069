"""What every reader of image files returns, and the checks they share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from supernet.errors import InputError

Labelled = tuple[NDArray[Any], NDArray[numpy.int64]]  # images (N, C, H, W) uint8 or float32, labels (N,)


@dataclass(frozen=True)
class Parts:
    """An image set as it lies on disk; ``test`` is None where it has no test split of its own."""

    name: str
    classes: tuple[str, ...]
    train: Labelled
    test: Labelled | None = None
    notes: tuple[str, ...] = ()


def checked_labels(labels: Any, images: int, classes: int | None, where: str | Path) -> NDArray[numpy.int64]:
    """Labels as an int64 vector (N,); ``where`` is the file that an error names.

    Raises InputError unless there are ``images`` of them, whole numbers from 0, below ``classes`` where that is known.
    """
    try:
        y = numpy.asarray(labels)
    except ValueError:
        raise InputError(f"{where}: the labels are not a list of whole numbers") from None
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or (y.dtype.kind not in "iu" and len(y) > 0):
        raise InputError(f"{where}: labels must be whole numbers, one an image; these are {y.dtype} of shape {y.shape}")
    if len(y) != images:
        raise InputError(f"{where}: {len(y)} labels for {images} images; there must be one an image")
    if images == 0:
        raise InputError(f"{where}: holds no images")
    low, high = int(y.min()), int(y.max())
    if low < 0 or (classes is not None and high >= classes):
        bad = low if low < 0 else high
        raise InputError(f"{where}: label {bad} is out of range; labels go from 0" + (f" to {classes - 1}" if classes else ""))
    return y.astype(numpy.int64)
