"""A ``.npz`` file as a set of images, or of rows of a table, each with a label.

Arrays: ``x`` and ``y``, or ``x_train`` and ``y_train`` with or without ``x_test`` and ``y_test``; ``classes``, a list of names,
where wanted; labels are as ``parts`` says. Images are (N, H, W), (N, C, H, W) or (N, H, W, C). The last two are told apart by the
axis that has 1 to 4 entries; where both or neither do, an array ``layout`` must say "NCHW" or "NHWC". Whole numbers must lie in 0 to
255; floating-point numbers are taken as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from supernet.data.arrays import names_in, read_npz
from supernet.data.parts import Given, Parts, labelled
from supernet.errors import InputError

Inputs = Callable[[NDArray[Any], str | None, str], NDArray[Any]]  # (x, layout, what an error calls it) -> examples
WANTED = ("x", "y", "x_train", "y_train", "x_test", "y_test", "classes", "layout")


def images(x: NDArray[Any], layout: str | None, where: str) -> NDArray[Any]:
    """Images (N, C, H, W), uint8 or float32; raises ``InputError`` for what is none."""
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


def rows(x: NDArray[Any], layout: str | None, where: str) -> NDArray[Any]:
    """Rows of a table (N, columns), float32; raises ``InputError`` for what is none. A table has no layout."""
    if x.ndim != 2:
        raise InputError(f"{where}: rows are (N, columns); these are {x.shape}")
    return finite(x, where)


def finite(values: NDArray[Any], where: str) -> NDArray[numpy.float32]:
    """``values`` as float32; raises ``InputError`` for what is no number, not finite, or empty."""
    if values.dtype.kind not in "iuf" or not values.size or not numpy.isfinite(values).all():
        raise InputError(f"{where} must be finite numbers; it is {values.dtype} of shape {values.shape}")
    return values.astype(numpy.float32)


def _layout(shape: tuple[int, ...], where: str) -> str:
    first, last = shape[1] <= 4, shape[3] <= 4
    if first == last:
        raise InputError(f"{where}: cannot tell the channels of {shape}; add an array layout, 'NCHW' or 'NHWC', to the file")
    return "NCHW" if first else "NHWC"


def read(path: Path, inputs: Inputs = images, what: str = "image") -> Parts:
    """The set in a ``.npz`` file; raises InputError in one line where its arrays do not make one.

    inputs: makes examples of an array ``x``. what: an error calls an example that.
    """
    arrays = read_npz(path, WANTED)
    names = ("x", "y") if "x" in arrays and "x_train" not in arrays else ("x_train", "y_train")
    if missing := [name for name in names if name not in arrays]:
        held = ", ".join(map(repr, names_in(path))) or "nothing"
        raise InputError(f"{path}: has no {missing[0]!r}; it holds {held}, not x and y nor x_train and y_train")
    if ("x_test" in arrays) != ("y_test" in arrays):
        raise InputError(f"{path}: x_test and y_test belong together, one of them is missing")
    layout = str(arrays["layout"]) if "layout" in arrays else None
    if layout not in (None, "NCHW", "NHWC"):
        raise InputError(f"{path}: the layout {layout!r} is neither 'NCHW' nor 'NHWC'")

    def given(x: str, y: str) -> Given:
        return Given(inputs(arrays[x], layout, f"{path}: {x}"), arrays[y], f"{path}: {y}", what)

    train = given(*names)
    test = [given("x_test", "y_test")] if "x_test" in arrays else []
    kinds = [f"{x.dtype} of shape {x.shape[1:]}" for x, *_ in (train, *test)]
    if len(set(kinds)) > 1:
        raise InputError(f"{path}: x_test is {kinds[1]} but the training {what}s are {kinds[0]}")
    return labelled(path.name, _classes(arrays.get("classes"), path), [train], test)


def _classes(given: NDArray[Any] | None, path: Path) -> list[str] | None:
    """The names of the classes, where the file has them."""
    if given is None:
        return None
    if given.ndim != 1 or given.dtype.kind not in "USiu" or not len(given):
        raise InputError(f"{path}: classes must be a list of names; these are {given.dtype} of shape {given.shape}")
    return [name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in given]
