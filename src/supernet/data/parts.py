"""What every reader of labelled examples, images or rows of a table, returns, and the one rule for classes and labels.

Labels are whole numbers from 0, each the place of its class, or text: names of classes. Classes are those that are given, or the
names in alphabetical order, or the numbers up to the largest label. Their names differ, and each has a training example.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy
from numpy.typing import NDArray

from supernet.errors import InputError

Labelled = tuple[NDArray[Any], NDArray[numpy.int64]]  # images (N, C, H, W), uint8 or float32, or rows (N, columns), float32; labels (N,)


class Given(NamedTuple):
    """Images (N, C, H, W), or rows (N, columns), and labels (N,) as a file has them; ``where``: the file that an error names."""

    examples: NDArray[Any]
    labels: Any
    where: str | Path
    what: str = "image"  # an error calls an example that


@dataclass(frozen=True)
class Parts:
    """A set as it lies on disk; ``test`` is None where it has no test split of its own."""

    name: str
    classes: tuple[str, ...]
    train: Labelled
    test: Labelled | None = None
    notes: tuple[str, ...] = ()


def labelled(
    name: str, classes: Sequence[str] | None, train: Sequence[Given], test: Sequence[Given] = (), notes: tuple[str, ...] = ()
) -> Parts:
    """The set that files make together; ``classes``: their names, or None where they follow from the training labels.

    Raises ``InputError`` for labels that do not follow the rule above, or that are not one an example.
    """
    where, what = train[0].where, train[0].what
    vectors = [_vector(given) for given in train]
    if classes is None and vectors[0].dtype.kind in "US":
        classes = sorted({_text(label) for labels in vectors for label in labels})
    elif classes is not None:
        _check_names(classes, where)
    y = numpy.concatenate([_numbers(labels, classes, given.where) for labels, given in zip(vectors, train, strict=True)])
    count = len(classes) if classes is not None else int(y.max()) + 1
    _check_training(numpy.unique(y), count, classes, where, what)
    names = tuple(map(str, range(count))) if classes is None else tuple(classes)
    held = numpy.concatenate([_numbers(_vector(given), names, given.where) for given in test]) if test else None
    return Parts(name, names, (_joined(train), y), None if held is None else (_joined(test), held), notes)


def _joined(part: Sequence[Given]) -> NDArray[Any]:
    return numpy.concatenate([given.examples for given in part]) if len(part) > 1 else part[0].examples


def _vector(given: Given) -> NDArray[Any]:
    """Labels as whole numbers or text (N,), one an example."""
    try:
        y = numpy.asarray(given.labels)
    except ValueError:
        raise InputError(f"{given.where}: the labels are not a list of whole numbers") from None
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or (y.dtype.kind not in "iuUS" and len(y) > 0):
        raise InputError(
            f"{given.where}: labels must be whole numbers or names of classes, one for each {given.what}; "
            f"these are {y.dtype} of shape {y.shape}"
        )
    if len(y) != len(given.examples):
        raise InputError(f"{given.where}: {len(y)} labels for {len(given.examples)} {given.what}s; each must have one")
    if len(y) == 0:
        raise InputError(f"{given.where}: holds no {given.what}s")
    return y


def _numbers(labels: NDArray[Any], classes: Sequence[str] | None, where: str | Path) -> NDArray[numpy.int64]:
    """Labels as places of classes."""
    if labels.dtype.kind in "US":
        names, places = [_text(label) for label in labels], {name: i for i, name in enumerate(classes or ())}
        if unknown := [name for name in names if name not in places]:
            raise InputError(f"{where}: label {unknown[0]!r} is no class; the classes are {', '.join([*places][:10]) or 'numbers'}")
        return numpy.array([places[name] for name in names], numpy.int64)
    low, high, end = int(labels.min()), int(labels.max()), None if classes is None else len(classes)
    if low < 0 or (end is not None and high >= end):
        bad = low if low < 0 else high
        hint = "; they are numbered from 1 here: subtract 1" if (low, high) == (1, end) else ""
        raise InputError(f"{where}: label {bad} is out of range; labels go from 0" + (f" to {end - 1}" if end else "") + hint)
    return labels.astype(numpy.int64)


def _check_names(classes: Sequence[str], where: str | Path) -> None:
    if twice := next((name for i, name in enumerate(classes) if name in classes[:i]), None):
        raise InputError(f"{where}: two classes are called {twice!r}; their names must differ")


def _check_training(found: NDArray[Any], count: int, classes: Sequence[str] | None, where: str | Path, what: str) -> None:
    """Refuse classes without a training example; ``found``: the labels that there are, ascending."""
    if len(found) == count:
        return
    lacking = next(i for i, label in enumerate([*found.tolist(), count]) if i != label)
    name = f" ({classes[lacking]})" if classes is not None else ""
    hint = "; they are numbered from 1: subtract 1" if lacking == 0 and len(found) == count - 1 and classes is None else ""
    raise InputError(f"{where}: no training {what} has the label {lacking}{name}; labels are numbered from 0 without a gap{hint}")


def _text(label: Any) -> str:
    return label.decode("utf-8", "replace") if isinstance(label, bytes) else str(label)
