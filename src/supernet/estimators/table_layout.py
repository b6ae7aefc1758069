"""The layout of a benchmark table: what its arrays are called, their shapes, and which architecture each row is.

docs/tables.md describes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from supernet.data.arrays import read_npz
from supernet.errors import InputError
from supernet.space import Choice, Option, SearchSpace, Taken

Array = NDArray[Any]
Arrays = Mapping[str, Array]
Codes = dict[Option, int]  # of one column of ``ops``: an option, and the number that stands for it
LAYOUT = ("ops", "op_names", "base_channels", "choices", "edges", "datasets", "devices")
EMBEDDED = {"fashion-bench": Path(__file__).with_name("fashion_bench.npz")}  # by name; benchmarks/fashion_bench.py made it
COSTS = {"params": "params", "flops": "macs", "latency_ms": "latency"}  # column -> our name


def read(path: str | Path) -> dict[str, Array]:
    """The arrays of a table's file, or, where there is no such file, of the one in ``EMBEDDED`` of this name; raises ``InputError``."""
    place = Path(path)
    try:
        return read_npz(place if place.is_file() else EMBEDDED.get(str(path), place))
    except FileNotFoundError:
        raise InputError(f"there is no table {path}; known by name: {', '.join(EMBEDDED)}") from None
    except OSError as error:
        raise InputError(f"{path}: not an .npz file of plain arrays: {error.strerror or error}") from None


def beside(arrays: Arrays, path: str | Path) -> dict[str, Array]:
    """``arrays`` with the columns of another file, of the same rows in the same order; raises ``InputError`` where they are not."""
    more, rows = read(path), len(arrays["ops"])
    columns = {name: array for name, array in more.items() if name not in LAYOUT}
    if "ops" in more and not np.array_equal(more["ops"], arrays["ops"]):
        raise InputError(f"{path}: its 'ops' are not those of the table, row by row")
    for name, array in columns.items():
        if array.ndim == 0 or len(array) != rows:
            raise InputError(f"{path}: {name!r} has the shape {array.shape}; it needs a row for each of the table's {rows}")
        if name in arrays:
            raise InputError(f"{path}: the table has a column {name!r} itself")
    if not columns:
        raise InputError(f"{path} has no columns; it has: {', '.join(more)}")
    return {**arrays, **columns, **{name: more[name] for name in ("devices",) if name in more}}


def rows_of(arrays: Arrays) -> dict[tuple[int, ...], int]:
    """Row by the options taken; raises ``InputError`` unless every combination is there once."""
    ops = arrays["ops"]
    if ops.ndim != 2 or ops.dtype.kind not in "iu" or not ops.size:
        raise InputError(f"'ops' must be integers of shape (rows, choices), not {ops.dtype} of shape {ops.shape}")
    options = arrays["op_names"].size if "op_names" in arrays else int(ops.max()) + 1
    if ops.min() < 0 or ops.max() >= options:
        raise InputError(f"'ops' must be from 0 to {options - 1}, the last of 'op_names', not from {ops.min()} to {ops.max()}")
    rows: dict[tuple[int, ...], int] = {}
    for i, taken in enumerate(map(tuple, ops.tolist())):
        if rows.setdefault(taken, i) != i:
            raise InputError(f"rows {rows[taken]} and {i} of the table are the same architecture")
    combinations = prod(len(np.unique(column)) for column in ops.T)
    if len(rows) != combinations:
        raise InputError(f"the table has {len(rows)} rows for {combinations} combinations of its options; it needs each of them once")
    return rows


def options_of(arrays: Arrays) -> list[Codes]:
    """The options of each column of ``ops``: text where they have names, else whole numbers, which are widths with ``base_channels``."""
    ops = arrays["ops"]
    if "op_names" in arrays:
        return [{name: i for i, name in enumerate(listed(arrays, "op_names"))}] * ops.shape[1]
    base = arrays.get("base_channels", np.ones(ops.shape[1], dtype=np.int64))
    if base.shape != ops.shape[1:] or base.dtype.kind not in "iu" or base.min() < 1:
        raise InputError(f"'base_channels' must be a whole number above 0 for each of the {ops.shape[1]} columns of 'ops'")
    return [{int(width) * i: i for i in np.unique(column).tolist()} for width, column in zip(base, ops.T, strict=True)]


def space_of(arrays: Arrays, options: list[Codes]) -> SearchSpace:
    """A choice a column of ``ops``, with those ``options`` that occur in it."""
    ops, choices = arrays["ops"], [str(i) for i in range(arrays["ops"].shape[1])]
    if "choices" in arrays:
        choices = listed(arrays, "choices")
    elif "edges" in arrays:
        edges = arrays["edges"]
        if edges.ndim != 2 or edges.shape[1] != 2 or edges.dtype.kind not in "iu":
            raise InputError(f"'edges' must be integers of shape (choices, 2), not {edges.dtype} of shape {edges.shape}")
        choices = [f"{to}<{source}" for source, to in arrays["edges"].tolist()]
    if len(choices) != ops.shape[1] or len(set(choices)) < len(choices):
        raise InputError(f"the table names {len(set(choices))} choices for the {ops.shape[1]} columns of 'ops'")
    there = [set(np.unique(column).tolist()) for column in ops.T]
    taken = [tuple(option for option, i in known.items() if i in on) for known, on in zip(options, there, strict=True)]
    return SearchSpace(Choice(name, own) for name, own in zip(choices, taken, strict=True))


def matched(space: SearchSpace, own: SearchSpace, options: list[Codes]) -> list[tuple[str, dict[Taken, int]]]:
    """For each column of ``ops``, the choice of ``space`` and what stands for each of its options; ``own``: the space of the table.

    Raises ``InputError`` where they do not fit.
    """
    if len(space) != len(own):
        raise InputError(f"the space has {len(space)} choices, the table {len(own)}")
    found: list[tuple[str, dict[Taken, int]]] = []
    for name, known in zip(own if space.keys() == own.keys() else space, options, strict=True):
        taken, texts = space[name].options, {str(option): i for option, i in known.items()}
        by_name = all(str(option) in texts for option in taken)
        if space[name].pick is not None or not (by_name or len(taken) == len(known)):
            raise InputError(f"choice {name!r} of the space cannot be looked up: its options are not the table's: {', '.join(texts)}")
        codes = [texts[str(option)] for option in taken] if by_name else list(known.values())
        found.append((name, dict(zip(taken, codes, strict=True))))
    return found


def listed(arrays: Arrays, key: str) -> list[str]:
    """The names in an array; raises ``InputError`` unless they are a list of names that differ."""
    array = arrays[key]
    if array.ndim != 1 or not array.size or array.dtype.kind not in "US" or len(set(array.tolist())) < array.size:
        raise InputError(f"{key!r} must be a list of names that differ, not {array.dtype} of shape {array.shape}")
    return [name.decode(errors="replace") if isinstance(name, bytes) else name for name in array.tolist()]
