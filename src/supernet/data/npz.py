"""A ``.npz`` file as an image set.

Arrays: ``x`` and ``y``, or ``x_train`` and ``y_train`` with or without ``x_test`` and ``y_test``; ``classes``, a list of names,
where wanted. Images are (N, H, W), (N, C, H, W) or (N, H, W, C). The last two are told apart by the axis that has 1 to 4
entries; where both or neither do, an array ``layout`` must say "NCHW" or "NHWC". Whole numbers must lie in 0 to 255;
floating-point numbers are taken as they are.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from supernet.data.parts import Labelled, Parts, checked_labels
from supernet.errors import InputError


def read(path: Path) -> Parts:
    """The set in a ``.npz`` file; raises InputError in one line where its arrays do not make one."""
    arrays = _arrays(path)
    names = ("x", "y") if "x" in arrays and "x_train" not in arrays else ("x_train", "y_train")
    if missing := [name for name in names if name not in arrays]:
        held = ", ".join(map(repr, arrays)) or "nothing"
        raise InputError(f"{path}: has no {missing[0]!r}; it holds {held}, not x and y nor x_train and y_train")
    if ("x_test" in arrays) != ("y_test" in arrays):
        raise InputError(f"{path}: x_test and y_test belong together, one of them is missing")
    given = tuple(map(str, arrays["classes"].ravel())) if "classes" in arrays else None
    layout = str(arrays["layout"]) if "layout" in arrays else None
    if layout not in (None, "NCHW", "NHWC"):
        raise InputError(f"{path}: the layout {layout!r} is neither 'NCHW' nor 'NHWC'")
    train = _labelled(path, arrays, names, layout, len(given) if given else None)
    classes = given or tuple(map(str, range(int(train[1].max()) + 1)))
    test = _labelled(path, arrays, ("x_test", "y_test"), layout, len(classes)) if "x_test" in arrays else None
    if test is not None and (test[0].shape[1:] != train[0].shape[1:] or test[0].dtype != train[0].dtype):
        kinds = [f"{x.dtype} of shape {x.shape[1:]}" for x, _ in (test, train)]
        raise InputError(f"{path}: x_test is {kinds[0]} but the training images are {kinds[1]}")
    return Parts(path.name, classes, train, test)


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("not even a zip file")
        with numpy.load(path, allow_pickle=False) as file:
            return {name: numpy.asarray(file[name]) for name in file.files}
    except OSError:
        raise
    except Exception as error:  # a damaged archive can raise anything
        reason = "it holds Python objects, which are not read" if "allow_pickle" in str(error) else "truncated, or not a .npz file"
        raise InputError(f"{path}: {reason}") from None


def _labelled(path: Path, arrays: dict[str, NDArray[Any]], names: tuple[str, str], layout: str | None, classes: int | None) -> Labelled:
    x = _images(arrays[names[0]], layout, f"{path}: {names[0]}")
    return x, checked_labels(arrays[names[1]], len(x), classes, f"{path}: {names[1]}")


def _images(x: NDArray[Any], layout: str | None, where: str) -> NDArray[Any]:
    if x.ndim not in (3, 4) or 0 in x.shape:
        raise InputError(f"{where}: images are (N, H, W), (N, C, H, W) or (N, H, W, C); these are {x.shape}")
    if x.ndim == 3:
        x = x[:, None]
    elif (layout or _layout(x.shape, where)) == "NHWC":
        x = x.transpose(0, 3, 1, 2)
    if x.dtype.kind == "f":
        if not numpy.isfinite(x).all():
            raise InputError(f"{where}: has values that are not finite numbers")
        return numpy.ascontiguousarray(x, dtype=numpy.float32)
    if x.dtype.kind not in "iu" or x.min() < 0 or x.max() > 255:
        raise InputError(f"{where}: pixels are whole numbers from 0 to 255, or floating-point numbers; these are {x.dtype}")
    return numpy.ascontiguousarray(x, dtype=numpy.uint8)


def _layout(shape: tuple[int, ...], where: str) -> str:
    first, last = shape[1] <= 4, shape[3] <= 4
    if first == last:
        raise InputError(f"{where}: cannot tell the channels of {shape}; add an array layout, 'NCHW' or 'NHWC', to the file")
    return "NCHW" if first else "NHWC"
