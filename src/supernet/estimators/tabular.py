"""Look up what training gave: benchmark tables of all architectures of a space.

A table is an ``.npz`` file of plain arrays, one row an architecture:

- ``ops`` (rows, choices) integers: which of ``op_names`` is taken at each choice; every combination once.
- ``op_names`` (options,) text.
- ``choices`` (choices,) text, optional: the names of the choices; else ``edges`` (choices, 2) integers, optional: from and to, for
  choices named ``to<from``; else choices are named ``0``, ``1``, ...
- ``datasets`` (datasets,) text, optional.
- any other array of numbers is a column by its name: (rows,), or (rows, datasets) where there are ``datasets``, and a last axis of
  seeds where training was repeated. Units stay as they are. ``params`` and ``flops`` (multiply-adds of one image) are costs.

NAS-Bench-201: Dong, Yang 2020, https://arxiv.org/abs/2001.00326; NAS-Bench-Macro: Su et al. 2021, https://arxiv.org/abs/2103.11922
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from supernet.costs.objective import number
from supernet.data.arrays import read_npz
from supernet.errors import InputError
from supernet.space import Architecture, Choice, SearchSpace, Taken

Array = NDArray[Any]
LAYOUT = ("ops", "op_names", "choices", "edges", "datasets")
COSTS = {"params": "params", "flops": "macs"}  # column -> our name


class Table:
    """Trained architectures and their scores, looked up by architecture.

    search: the column that a search sees; default ``val200_v11``, else the first whose name starts with "val".
    report: the column of the final score; default ``test200_v11``, else the first whose name starts with "test".
    dataset: one of ``datasets``; default cifar10, else the first.
    space: the space of the architectures that are looked up; default: the table's own. Choices are matched by name, or else by order;
    so are the options of a choice (option i is then ``op_names[i]``).
    A column with seeds counts by its mean. Where search and report are the same column, as in a table without validation scores, the
    first seed is searched on and the mean of the others reported; ``note`` says so.
    Raises ``InputError`` for a layout, column, data set or space that does not fit.
    """

    def __init__(
        self,
        arrays: Mapping[str, Array],
        search: str | None = None,
        report: str | None = None,
        dataset: str | None = None,
        space: SearchSpace | None = None,
    ) -> None:
        for key in ("ops", "op_names"):
            if key not in arrays:
                raise InputError(f"the table has no array {key!r}; it has: {', '.join(arrays)}")
        names = _listed(arrays, "op_names")
        self._arrays, self._rows = arrays, _rows(arrays["ops"], len(names))
        own = _own_space(arrays, names)
        self._space = own if space is None else space
        self._codes = _codes(self._space, own, names)
        self.datasets = _listed(arrays, "datasets") if "datasets" in arrays else []
        self.dataset = self._choose(dataset)
        self.columns = [n for n, a in arrays.items() if n not in LAYOUT and a.ndim and a.dtype.kind in "iuf"]
        scores = [n for n in self.columns if n not in COSTS]
        tests = ["test200_v11"] + [n for n in scores if n.startswith("test")]
        self.search_column = search or _first(["val200_v11", *(n for n in scores if n.startswith("val")), *tests, *scores], scores)
        self.report_column = report or _first([*tests, self.search_column], scores)
        self.note: str | None = None
        self._validation, self._test = self._split()
        self._costs = {name: _mean(self._column(column)).tolist() for column, name in COSTS.items() if column in arrays}

    @classmethod
    def read(
        cls,
        path: str | Path,
        search: str | None = None,
        report: str | None = None,
        dataset: str | None = None,
        space: SearchSpace | None = None,
    ) -> Table:
        """The table in the ``.npz`` file at ``path``; the other arguments as of the class."""
        try:
            arrays = read_npz(Path(path))
        except FileNotFoundError:
            raise InputError(f"there is no table {path}") from None
        except OSError as error:
            raise InputError(f"{path}: not an .npz file of plain arrays: {error.strerror or error}") from None
        return cls(arrays, search, report, dataset, space)

    def space(self) -> SearchSpace:
        """The space that was given, or the table's own: one choice a column of ``ops``, with the options that occur in it."""
        return self._space

    def estimate(self, architecture: Architecture, fidelity: float = 1.0) -> dict[str, float]:
        """{"validation": the score to search by}; raises ``InputError`` for a smaller fidelity: it has finished trainings alone."""
        if fidelity != 1:
            raise InputError(f"a table looks finished trainings up: it has no cheaper answer, so none for {fidelity:g} of one")
        return {"validation": self._validation[self._row(architecture)]}

    def report(self, architecture: Architecture) -> dict[str, float]:
        """{"test": the score to report, "params": ..., "macs": ...}; the last two where the table has them."""
        return {"test": self._test[self._row(architecture)], **self.costs(architecture)}

    def costs(self, architecture: Architecture) -> dict[str, float]:
        """{"params": ..., "macs": ...}, where the table has them."""
        row = self._row(architecture)
        return {name: column[row] for name, column in self._costs.items()}

    def check(self, bounds: Mapping[str, float]) -> Architecture | None:
        """The architecture of the table that keeps the bounds on its costs by most; None without bounds.

        Raises ``InputError`` where none keeps them, with the least that is possible.
        """
        held = {name: bound for name, bound in bounds.items() if name in self._costs}
        if not held:
            return None
        shares = np.max([np.asarray(self._costs[name]) / bound for name, bound in held.items()], axis=0)
        best = int(shares.argmin())
        if shares[best] > 1:
            asked = " and ".join(f"{name} <= {number(bound)}" for name, bound in held.items())
            had = ", ".join(f"{name} {number(min(self._costs[name]))}" for name in held)
            raise InputError(f"no network of the table meets {asked}: the least that is possible is {had}")
        row = next(row for row, i in self._rows.items() if i == best)
        return {name: next(o for o, code in codes.items() if code == at) for (name, codes), at in zip(self._codes, row, strict=True)}

    def _row(self, architecture: Architecture) -> int:
        try:
            return self._rows[tuple([codes[architecture[name]] for name, codes in self._codes])]
        except (KeyError, TypeError):
            full = self._space.check(architecture)  # raises for what is not of the space; fills in what decides nothing
        row = self._rows.get(tuple([codes[full[name]] for name, codes in self._codes]))
        if row is None:
            raise InputError(f"the table has no row for {full}")
        return row

    def _choose(self, dataset: str | None) -> int | None:
        """The place of ``dataset`` on the axis of data sets."""
        if not self.datasets:
            if dataset is not None:
                raise InputError(f"the table has no 'datasets', so no data set {dataset!r}")
            return None
        if dataset is None:
            dataset = "cifar10" if "cifar10" in self.datasets else self.datasets[0]
        if dataset not in self.datasets:
            raise InputError(f"the table has no data set {dataset!r}; it has: {', '.join(self.datasets)}")
        return self.datasets.index(dataset)

    def _column(self, name: str) -> Array:
        """A column on the chosen data set: (rows,) or (rows, seeds)."""
        if name not in self.columns:
            raise InputError(f"the table has no column {name!r}; it has: {', '.join(self.columns)}")
        column = self._arrays[name]
        axes = (len(self._rows), len(self.datasets)) if self.datasets and column.ndim > 1 else (len(self._rows),)
        if column.shape[: len(axes)] != axes or column.ndim > len(axes) + 1:
            raise InputError(f"column {name!r} has the shape {column.shape}; its first axes must be {axes}")
        return column[:, self.dataset] if len(axes) == 2 else column

    def _split(self) -> tuple[list[float], list[float]]:
        """What is searched on and what is reported, by row."""
        search, report = self._column(self.search_column), self._column(self.report_column)
        if self.search_column != self.report_column:
            return _mean(search).tolist(), _mean(report).tolist()
        if search.ndim == 1 or search.shape[1] == 1:
            self.note = f"searched on and reported by the same column, {self.search_column!r}"
            return _mean(search).tolist(), _mean(search).tolist()
        others = search.shape[1] - 1
        self.note = f"searched on the first seed of {self.search_column!r}, reported by the mean of its other {others}"
        return _mean(search[:, 0]).tolist(), _mean(search[:, 1:]).tolist()


def _mean(column: Array) -> Array:
    """Over the seeds, if any; whole numbers stay whole where there are none."""
    if column.ndim == 2:
        return np.asarray(column.mean(1, dtype=np.float64))
    return column.astype(np.float64) if column.dtype.kind == "f" else column


def _first(wanted: list[str], known: list[str]) -> str:
    """The first wanted name that is known."""
    for name in wanted:
        if name in known:
            return name
    raise InputError(f"the table has no column of scores beside {', '.join(COSTS)}")


def _rows(ops: Array, options: int) -> dict[tuple[int, ...], int]:
    """Row by the operations taken; raises ``InputError`` unless every combination is there once."""
    if ops.ndim != 2 or ops.dtype.kind not in "iu" or not ops.size:
        raise InputError(f"'ops' must be integers of shape (rows, choices), not {ops.dtype} of shape {ops.shape}")
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


def _listed(arrays: Mapping[str, Array], key: str) -> list[str]:
    """The names in an array; raises ``InputError`` unless they are a list of names that differ."""
    array = arrays[key]
    if array.ndim != 1 or not array.size or array.dtype.kind not in "US" or len(set(array.tolist())) < array.size:
        raise InputError(f"{key!r} must be a list of names that differ, not {array.dtype} of shape {array.shape}")
    return [name.decode(errors="replace") if isinstance(name, bytes) else name for name in array.tolist()]


def _own_space(arrays: Mapping[str, Array], names: list[str]) -> SearchSpace:
    """A choice a column of ``ops``, with the options that occur in it."""
    ops, choices = arrays["ops"], [str(i) for i in range(arrays["ops"].shape[1])]
    if "choices" in arrays:
        choices = _listed(arrays, "choices")
    elif "edges" in arrays:
        edges = arrays["edges"]
        if edges.ndim != 2 or edges.shape[1] != 2 or edges.dtype.kind not in "iu":
            raise InputError(f"'edges' must be integers of shape (choices, 2), not {edges.dtype} of shape {edges.shape}")
        choices = [f"{to}<{source}" for source, to in arrays["edges"].tolist()]
    if len(choices) != ops.shape[1] or len(set(choices)) < len(choices):
        raise InputError(f"the table names {len(set(choices))} choices for the {ops.shape[1]} columns of 'ops'")
    return SearchSpace(Choice(n, tuple(names[i] for i in np.unique(column))) for n, column in zip(choices, ops.T, strict=True))


def _codes(space: SearchSpace, own: SearchSpace, names: list[str]) -> list[tuple[str, dict[Taken, int]]]:
    """For each column of ``ops``, the choice of ``space`` and which operation each of its options is."""
    if len(space) != len(own):
        raise InputError(f"the space has {len(space)} choices, the table {len(own)}")
    codes: list[tuple[str, dict[Taken, int]]] = []
    for name in own if space.keys() == own.keys() else space:
        options = space[name].options
        by_name = all(str(o) in names for o in options)
        if space[name].pick is not None or not (by_name or len(options) == len(names)):
            raise InputError(f"choice {name!r} of the space cannot be looked up: its options are not the table's: {', '.join(names)}")
        codes.append((name, {o: names.index(str(o)) if by_name else i for i, o in enumerate(options)}))
    return codes
