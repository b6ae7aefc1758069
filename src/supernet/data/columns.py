"""A CSV file as named columns: a line of headings, a line an example."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from supernet.errors import InputError, unknown
from supernet.files.readers import read_text

SPLITS = ("train", "test")
TARGET = "target"  # what the heading of a column that is predicted begins with


@dataclass(frozen=True)
class Columns:
    """The headings of a CSV file and its lines, all of the same length; ``numbers`` are those of the file, from 1."""

    path: Path
    heads: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    numbers: tuple[int, ...]

    def text(self, name: str) -> list[str]:
        """One column; raises ``InputError`` with the nearest heading where there is none of this name."""
        if name not in self.heads:
            raise unknown(f"column of {self.path}", name, self.heads)
        at = self.heads.index(name)
        return [line[at] for line in self.lines]

    def values(self, names: tuple[str, ...]) -> NDArray[numpy.float32]:
        """The numbers of some columns: (N, columns); raises ``InputError`` that names the line of one that is none."""
        found = numpy.empty((len(self.lines), len(names)), numpy.float32)
        for column, name in enumerate(names):
            for row, text in enumerate(self.text(name)):
                try:
                    found[row, column] = float(text)
                except ValueError:
                    raise InputError(f"{self.path}, line {self.numbers[row]}: {name} must be a number; got {text!r:.60}") from None
                if not numpy.isfinite(found[row, column]):
                    raise InputError(f"{self.path}, line {self.numbers[row]}: {name} must be a finite number; got {text!r:.60}")
        return found

    def parted(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The headings of what is predicted from, and of what is predicted: those that begin with ``target``, else the last.

        Raises ``InputError`` where there is nothing to predict from.
        """
        heads = tuple(head for head in self.heads if head != "split")
        targets = tuple(head for head in heads if head.startswith(TARGET)) or heads[-1:]
        inputs = tuple(head for head in heads if head not in targets)
        if not inputs:
            raise InputError(f"{self.path}: a column is needed beside {', '.join(targets)}, to predict from")
        return inputs, targets

    def tested(self) -> NDArray[numpy.bool_] | None:
        """Which lines are the test split, by the column ``split``; None without one. Raises ``InputError`` for another word there."""
        if "split" not in self.heads:
            return None
        given = self.text("split")
        for row, word in enumerate(given):
            if word not in SPLITS:
                raise InputError(f"{self.path}, line {self.numbers[row]}: split must be train or test; got {word!r:.60}")
        found: NDArray[Any] = numpy.array([word == "test" for word in given])
        if found.all() or not found.any():
            raise InputError(f"{self.path}: the column split must name lines of both, train and test")
        return found


def read_columns(path: Path) -> Columns:
    """The columns of a CSV file; raises ``InputError`` for what is none, or has lines of different lengths."""
    try:
        rows = [(number, tuple(cell.strip() for cell in row)) for number, row in enumerate(csv.reader(read_text(path).splitlines()), 1)]
    except csv.Error as error:
        raise InputError(f"{path} is not a CSV file: {error}") from error
    rows = [(number, row) for number, row in rows if any(row)]
    if len(rows) < 3:
        raise InputError(f"{path}: a line of headings and at least 2 examples are needed; it has {len(rows)} lines")
    (_, heads), *lines = rows
    if len(set(heads)) < len(heads) or not all(heads):
        raise InputError(f"{path}: every column needs a heading of its own; they are {', '.join(heads)[:200]!r}")
    for number, row in lines:
        if len(row) != len(heads):
            raise InputError(f"{path}, line {number}: {len(row)} values for {len(heads)} columns")
    return Columns(path, heads, tuple(row for _, row in lines), tuple(number for number, _ in lines))
