"""Look up what training gave: benchmark tables of all architectures of a space, laid out as ``supernet.estimators.table_layout`` says.

NAS-Bench-201: Dong, Yang 2020, https://arxiv.org/abs/2001.00326; NAS-Bench-Macro: Su et al. 2021, https://arxiv.org/abs/2103.11922;
Channel-Bench-Macro: Su et al. 2022, https://arxiv.org/abs/2203.13714
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from supernet.costs.objective import number
from supernet.errors import InputError
from supernet.estimators import table_layout
from supernet.estimators.table_layout import COSTS, LAYOUT, Array, Arrays, listed
from supernet.space import Architecture, SearchSpace

DEVICES = "latency_ms"  # the column with an axis of devices
CHEAPER = {"val200_v11": {"val12": 12 / 200}}  # of NAS-Bench-201: trained for 12 epochs, in the place of 200


class Table:
    """Trained architectures and their scores, looked up by architecture.

    search: the column that a search sees; default ``val200_v11``, else the first whose name starts with "val".
    report: the column of the final score; default ``test200_v11``, else the first whose name starts with "test".
    dataset: one of ``datasets``; default cifar10, else the first.
    space: the space of the architectures that are looked up; default: the table's own. Choices are matched by name, or else by order;
    so are the options of a choice (option i is then ``op_names[i]``).
    device: one of ``devices``, whose latencies are a cost; default: the only one. Without it those of several devices are no cost.
    cheaper: columns of shorter trainings, and the share of a training of ``search`` that each cost, between 0 and 1; default: ``val12``,
    0.06 of ``val200_v11``, in tables that have both. ``shares``: these shares, ascending.
    A column with seeds counts by its mean. Where search and report are the same column, as in a table without validation scores, the
    first seed is searched on and the mean of the others reported; ``note`` says so.
    Raises ``InputError`` for a layout, column, data set, device or space that does not fit.
    """

    def __init__(
        self,
        arrays: Arrays,
        search: str | None = None,
        report: str | None = None,
        dataset: str | None = None,
        space: SearchSpace | None = None,
        device: str | None = None,
        cheaper: Mapping[str, float] | None = None,
    ) -> None:
        if "ops" not in arrays:
            raise InputError(f"the table has no array 'ops'; it has: {', '.join(arrays)}")
        self._arrays, self._rows = arrays, table_layout.rows_of(arrays)
        options = table_layout.options_of(arrays)
        own = table_layout.space_of(arrays, options)
        self._space = own if space is None else space
        self._codes = table_layout.matched(self._space, own, options)
        self.datasets = listed(arrays, "datasets") if "datasets" in arrays else []
        self.dataset = self._choose(dataset)
        self.columns = [n for n, a in arrays.items() if n not in LAYOUT and a.ndim and a.dtype.kind in "iuf"]
        scores = [n for n in self.columns if n not in COSTS]
        tests = ["test200_v11"] + [n for n in scores if n.startswith("test")]
        self.search_column = search or _first(["val200_v11", *(n for n in scores if n.startswith("val")), *tests, *scores], scores)
        self.report_column = report or _first([*tests, self.search_column], scores)
        self.note: str | None = None
        self._validation, self._test = self._split()
        if device is not None and not {DEVICES, "devices"} <= arrays.keys():
            raise InputError(f"the table has no latencies by device ({DEVICES} and devices), so none of {device!r}")
        costs = {name: self._cost(column, device) for column, name in COSTS.items() if column in arrays}
        self._costs = {name: cost.tolist() for name, cost in costs.items() if cost is not None}
        known = {name: share for name, share in CHEAPER.get(self.search_column, {}).items() if name in self.columns}
        self._by_share = self._shorter(known if cheaper is None else cheaper)
        self.shares = tuple(self._by_share)

    @classmethod
    def read(
        cls,
        path: str | Path,
        search: str | None = None,
        report: str | None = None,
        dataset: str | None = None,
        space: SearchSpace | None = None,
        latency: str | Path | None = None,
        device: str | None = None,
        cheaper: Mapping[str, float] | None = None,
    ) -> Table:
        """The table in the ``.npz`` file at ``path``; ``latency``: a file with further columns of its rows; the others as of the class."""
        arrays = table_layout.read(path)
        if latency is not None and "ops" in arrays:
            arrays = table_layout.beside(arrays, latency)
            devices = listed(arrays, "devices") if {DEVICES, "devices"} <= arrays.keys() else []
            if device is None and len(devices) > 1:
                raise InputError(f"{latency} has latencies of several devices: give table.device, one of {', '.join(devices)}")
        return cls(arrays, search, report, dataset, space, device, cheaper)

    @property
    def others(self) -> list[str]:
        """The columns of one number an architecture beside that which is searched on."""
        return [name for name in self.columns if name not in (self.search_column, DEVICES)]

    @property
    def priced(self) -> tuple[str, ...]:
        """The costs that the table knows."""
        return tuple(self._costs)

    def space(self) -> SearchSpace:
        """The space that was given, or the table's own: one choice a column of ``ops``, with the options that occur in it."""
        return self._space

    def estimate(self, architecture: Architecture, fidelity: float = 1.0) -> dict[str, float]:
        """{"validation": the score to search by}, of a smaller fidelity that of the nearest share that costs no more.

        Raises ``InputError`` where there is none.
        """
        if fidelity == 1:
            return {"validation": self._validation[self._row(architecture)]}
        able = [share for share in self.shares if share <= fidelity]
        if not able:
            least = f"than {self.shares[0]:g} of a training" if self.shares else "than a whole training"
            raise InputError(f"a table looks finished trainings up: it has no cheaper answer {least}, so none for {fidelity:g} of one")
        return {"validation": self._by_share[able[-1]][self._row(architecture)]}

    def report(self, architecture: Architecture) -> dict[str, float]:
        """{"test": the score to report, "params": ..., "macs": ..., "latency": ... in ms}; costs where the table has them."""
        return {"test": self._test[self._row(architecture)], **self.costs(architecture)}

    def costs(self, architecture: Architecture) -> dict[str, float]:
        """{"params": ..., "macs": ..., "latency": ... in ms}, where the table has them."""
        row = self._row(architecture)
        return {name: column[row] for name, column in self._costs.items()}

    def every(self) -> dict[str, list[float]]:
        """Each score and each cost, a number a row."""
        return {"validation": self._validation, "test": self._test, **self._costs}

    def says(self, column: str, architecture: Architecture) -> float:
        """What one of ``columns`` says of an architecture, on the chosen data set, by the mean of its seeds; raises ``InputError``."""
        return float(_mean(self._column(column)[self._row(architecture)][None])[0])

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

    def _cost(self, column: str, device: str | None) -> Array | None:
        """A cost by row; None of latencies on several devices of which none is chosen."""
        if column != DEVICES or "devices" not in self._arrays:
            return _mean(self._column(column))
        devices, latencies = listed(self._arrays, "devices"), self._arrays[column]
        if latencies.shape != (len(self._rows), len(devices)):
            raise InputError(f"column {column!r} has the shape {latencies.shape}; it must be {(len(self._rows), len(devices))}")
        if device is None and len(devices) > 1:
            return None
        if device is not None and device not in devices:
            raise InputError(f"the table has no device {device!r}; it has: {', '.join(devices)}")
        return _mean(latencies[:, devices.index(device) if device else 0])

    def _shorter(self, cheaper: Mapping[str, float]) -> dict[float, list[float]]:
        """What shorter trainings gave, by row, under the share of a whole one that each cost, the smallest first."""
        for name, share in cheaper.items():
            if not 0 < share < 1 or name == self.search_column:
                other = f"another than {self.search_column!r}"
                raise InputError(f"a cheaper column is {other} and costs between 0 and 1 of it: {name}, {share}")
        if len(set(cheaper.values())) < len(cheaper):
            raise InputError(f"two cheaper columns of the table cost the same share: {dict(cheaper)}")
        by_share = sorted((share, name) for name, share in cheaper.items())
        return {share: _mean(self._column(name)).tolist() for share, name in by_share}

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
