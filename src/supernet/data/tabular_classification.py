"""Rows of a table, each of a class: CSV files, ``.npz`` files, and a small set."""

from __future__ import annotations

import os
from pathlib import Path

import numpy

from supernet.data import KnownSet, npz
from supernet.data.columns import read_columns
from supernet.data.images import ImageSet, image_set
from supernet.data.parts import Given, Parts, labelled
from supernet.errors import InputError, unknown

SETS: dict[str, KnownSet] = {
    "breast-cancer": KnownSet(
        about="569 tumours, 30 measurements each of cells from them, malignant or benign; comes with scikit-learn",
        cite="W. Street, W. Wolberg and O. Mangasarian, Nuclear Feature Extraction for Breast Tumor Diagnosis, SPIE 1905, 1993, "
        "https://doi.org/10.1117/12.148698",
    ),
}


def load(source: str | os.PathLike[str] = "breast-cancer") -> ImageSet:
    """Rows (N, columns), float32, and their classes (N,), int64; raises ``InputError``.

    source: a name of ``SETS``; a CSV file, whose column that begins with ``target`` is the class, else the last, and which may have a
    column ``split`` (train or test); a ``.npz`` file as ``npz`` says, with rows for images.
    """
    name, path = os.fspath(source), Path(source).expanduser()
    if name in SETS:
        return _breast_cancer()
    if not path.exists() and os.sep not in name and not path.suffix:
        raise unknown("set for tabular classification", name, SETS)
    if path.suffix == ".csv":
        return _table(path)
    if path.suffix == ".npz" and path.exists():
        parts = npz.read(path, npz.rows, "row")
        return image_set(parts, tuple(f"x_{i}" for i in range(parts.train[0].shape[1])))
    said = "is no set for tabular classification" if path.exists() else "does not exist"
    raise InputError(f"{path} {said}; a set for tabular classification is a .csv or .npz file, or {', '.join(SETS)}")


def _breast_cancer() -> ImageSet:
    from sklearn.datasets import load_breast_cancer  # slow to import

    bunch = load_breast_cancer()
    rows = Given(bunch.data.astype(numpy.float32), bunch.target, "breast-cancer", "row")
    return image_set(labelled("breast-cancer", bunch.target_names.tolist(), [rows]), tuple(bunch.feature_names.tolist()))


def _table(path: Path) -> ImageSet:
    """Classes are text: their names, in the order of the numbers that they are, else of the alphabet."""
    table = read_columns(path)
    inputs, targets = table.parted()
    if len(targets) > 1:
        raise InputError(f"{path}: one column is the class, not {len(targets)}: {', '.join(targets)}")
    x, y, test = table.values(inputs), numpy.array(table.text(targets[0])), table.tested()
    if not y.all():
        raise InputError(f"{path}, line {table.numbers[int((y == '').argmax())]}: {targets[0]} is empty; it must name a class")
    kept = numpy.full(len(y), True) if test is None else ~test
    names = set(y[kept].tolist())
    classes = sorted(names, key=(lambda name: (int(name), name)) if all(map(str.isdecimal, names)) else str)
    train, held = (Given(x[which], y[which], path, "row") for which in (kept, ~kept))
    parts: Parts = labelled(path.name, classes, [train], [] if test is None else [held])
    return image_set(parts, inputs)
