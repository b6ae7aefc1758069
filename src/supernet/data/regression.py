"""Numbers to be predicted, of rows of a table or of images: CSV files, ``.npz`` files, folders of pictures, and a small set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy
import torch
from numpy.typing import NDArray

from supernet.data import KnownSet, npz
from supernet.data.arrays import read_npz
from supernet.data.columns import TARGET, read_columns
from supernet.data.described_pictures import FILE, parted, read
from supernet.data.images import ImageSet
from supernet.errors import InputError, unknown

SETS: dict[str, KnownSet] = {
    "diabetes": KnownSet(
        about="442 patients, 10 measurements each, and how far diabetes had progressed a year later, 25 to 346; comes with scikit-learn",
        cite="B. Efron, T. Hastie, I. Johnstone and R. Tibshirani, Least Angle Regression, Annals of Statistics, 2004",
    ),
}


def load(source: str | os.PathLike[str] = "diabetes", size: int | tuple[int, int] | None = None) -> ImageSet:
    """Inputs, (N, columns) or images (N, C, H, W), and the numbers to be predicted (N, targets), float32; raises ``InputError``.

    source: a name of ``SETS``; a CSV file, whose columns that begin with ``target`` are predicted, else the last, and which may have a
    column ``split`` (train or test); a ``.npz`` file with ``x`` and ``y``, or ``x_train``, ``y_train``, ``x_test``, ``y_test``; a folder of
    pictures with ``labels.csv``. size: height and width that a folder's pictures are resized to.
    """
    name, path = os.fspath(source), Path(source).expanduser()
    if name not in SETS and (path / FILE).is_file():
        return read(path, (size, size) if isinstance(size, int) else size)
    if size is not None:
        raise InputError(f"size is for folders of pictures; {name} is none with a file {FILE}")
    if name == "diabetes":
        return _diabetes()
    if not path.exists() and os.sep not in name and not path.suffix:
        raise unknown("set for regression", name, SETS)
    if path.suffix == ".csv":
        return _table(path)
    if path.suffix == ".npz" and path.exists():
        return _arrays(path)
    able = f"a .csv or .npz file, a folder of pictures with {FILE}, or {', '.join(SETS)}"
    raise InputError(f"{path} {'is no set for regression' if path.exists() else 'does not exist'}; a set for regression is {able}")


def _diabetes() -> ImageSet:
    from sklearn.datasets import load_diabetes  # slow to import

    bunch = load_diabetes(scaled=False)
    x = torch.from_numpy(bunch.data.astype(numpy.float32))
    return parted("diabetes", ("progression",), x, bunch.target[:, None].astype(numpy.float32), None, tuple(bunch.feature_names))


def _table(path: Path) -> ImageSet:
    table = read_columns(path)
    inputs, targets = table.parted()
    x = torch.from_numpy(table.values(inputs))
    return parted(path.name, targets, x, table.values(targets), table.tested(), inputs)


def _arrays(path: Path) -> ImageSet:
    arrays = read_npz(path, npz.WANTED)
    if "x" in arrays and "y" in arrays:
        x, y, test = _inputs(arrays["x"], path), _targets(arrays["y"], path), None
    else:
        if missing := [name for name in ("x_train", "y_train", "x_test", "y_test") if name not in arrays]:
            raise InputError(f"{path}: has no {missing[0]}; it needs x and y, or x_train, y_train, x_test and y_test")
        if arrays["x_train"].shape[1:] != arrays["x_test"].shape[1:] or arrays["y_train"].shape[1:] != arrays["y_test"].shape[1:]:
            raise InputError(f"{path}: the arrays of the test split must be shaped like those of the training split")
        x, y = (make(numpy.concatenate([arrays[f"{a}_train"], arrays[f"{a}_test"]]), path) for a, make in (("x", _inputs), ("y", _targets)))
        test = numpy.arange(len(y)) >= len(arrays["y_train"])
    if len(x) != len(y) or len(x) < 2:
        raise InputError(f"{path}: as many x as y are needed, at least 2; there are {len(x)} and {len(y)}")
    names = tuple(f"{TARGET}_{i}" for i in range(y.shape[1])) if y.shape[1] > 1 else (TARGET,)
    columns = tuple(f"x_{i}" for i in range(x.shape[1])) if x.ndim == 2 else ()
    return parted(path.name, names, torch.from_numpy(x), y, test, columns)


def _inputs(x: NDArray[Any], path: Path) -> NDArray[Any]:
    if x.ndim in (3, 4):
        return npz.images(x, None, f"{path}: x")
    if x.ndim != 2:
        raise InputError(f"{path}: x must be (N, columns) or images; it is {x.shape}")
    return npz.finite(x, f"{path}: x")


def _targets(y: NDArray[Any], path: Path) -> NDArray[numpy.float32]:
    if y.ndim not in (1, 2):
        raise InputError(f"{path}: y must be (N,) or (N, targets); it is {y.shape}")
    return npz.finite(y.reshape(len(y), -1), f"{path}: y")
