"""Make a table of a CSV file, one line an architecture, after a line of headings.

- ``op_NAME``: the option taken at choice NAME (``op_0``, ``op_1``, ..., or ``op_1<0``), as text.
- ``COLUMN``: a score or cost by architecture; ``params`` and ``flops`` (multiply-adds) are the costs.
- ``COLUMN@DATASET``: the same on one of several data sets; a column that names any must name all.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from supernet.errors import InputError
from supernet.files.readers import read_text
from supernet.files.whole import write_whole


def from_csv(csv_path: str | Path, npz_path: str | Path) -> None:
    """Write the CSV file as an ``.npz`` table (see ``supernet.estimators.tabular``); operations are numbered as they first occur.

    Raises ``InputError`` with the line for what is not a table.
    """
    heads, lines = _lines(Path(csv_path))
    choices = [head for head in heads if head.startswith("op_")]
    if not choices or len(choices) == len(heads):
        raise InputError(f"{csv_path} needs columns op_0, op_1, ... and at least one of numbers; it has: {', '.join(heads)}")
    taken = [[line[heads.index(head)].strip() for head in choices] for line in lines]
    op_names = list(dict.fromkeys(name for row in taken for name in row))
    places = {name: i for i, name in enumerate(op_names)}
    arrays: dict[str, NDArray[Any]] = {
        "ops": np.array([[places[name] for name in row] for row in taken]),
        "op_names": np.array(op_names),
        "choices": np.array([head.removeprefix("op_") for head in choices]),
    }
    datasets = list(dict.fromkeys(head.split("@", 1)[1] for head in heads if "@" in head and head not in choices))
    if datasets:
        arrays["datasets"] = np.array(datasets)
    for name in dict.fromkeys(head.split("@", 1)[0] for head in heads if head not in choices):
        parts = [name] if name in heads else [f"{name}@{dataset}" for dataset in datasets]
        if missing := [part for part in parts if part not in heads]:
            raise InputError(f"{csv_path} has no column {missing[0]!r}, though {name!r} is given for other data sets")
        columns = [_numbers(part, (line[heads.index(part)] for line in lines), csv_path) for part in parts]
        arrays[name] = columns[0] if parts == [name] else np.stack(columns, 1)
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
    write_whole(npz_path, content.getvalue())


def _lines(path: Path) -> tuple[list[str], list[list[str]]]:
    """The headings and the lines below them, all of the same length."""
    text = read_text(path)
    try:
        heads, *lines = csv.reader(text.strip().splitlines() or [""])
    except csv.Error as error:
        raise InputError(f"{path} cannot be read as CSV: {error}") from error
    heads = [head.strip() for head in heads]
    if not lines:
        raise InputError(f"{path} has no line below its headings")
    if twice := [head for head in heads if heads.count(head) > 1]:
        raise InputError(f"{path} has two columns {twice[0]!r}")
    for i, line in enumerate(lines, start=2):
        if len(line) != len(heads):
            raise InputError(f"line {i} of {path} has {len(line)} entries for {len(heads)} columns")
    return heads, lines


def _numbers(head: str, texts: Iterable[str], path: str | Path) -> NDArray[Any]:
    """A column as integers, or else as 64-bit floats."""
    values: list[float] = []
    for i, text in enumerate(texts, start=2):
        try:
            values.append(int(text) if text.strip().lstrip("-").isdigit() else float(text))
        except ValueError:
            raise InputError(f"line {i} of {path}: {text!r} in column {head!r} is not a number") from None
    return np.array(values)
