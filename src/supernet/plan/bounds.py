"""The bounds of a command on the network that its search is for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

from torch import Tensor

from supernet.costs.counted import Counts
from supernet.costs.latency.machine import machine, processor
from supernet.costs.latency.predictor import Predictor
from supernet.costs.latency.published import kind_of, published_table
from supernet.costs.latency.table import LatencyTable
from supernet.costs.limits import COSTS, Limits
from supernet.costs.parts import parts
from supernet.errors import InputError
from supernet.layers.base import Supernet
from supernet.mixture import Costing, Table
from supernet.modules.sketch import sketched
from supernet.settings.given import Settings
from supernet.settings.sections import Bounds
from supernet.space import Architecture, SearchSpace
from supernet.spaces.record import Space
from supernet.tasks.kind import Kind

COUNTED = ("params", "macs")  # costs that are known of whole networks
HOW = ("backend", "threads", "batch", "device")  # of a machine, what a measurement chose

Latencies = LatencyTable | Predictor  # what supernet profile writes


def bounds_of(limits: Bounds) -> dict[str, float]:
    """Cost -> the most that it may be."""
    return limits.model_dump(include=set(COSTS), exclude_none=True)


def untold(limits: Bounds, told: Sequence[str]) -> Bounds:
    """The bounds without those on costs that a benchmark table has ``told``."""
    return limits.model_copy(update=dict.fromkeys(told))


@dataclass(frozen=True)
class Bounded:
    """What the network that a search is for may cost, and what is known of costs.

    ``bounds``: cost -> the most that it may be. ``limits``: what architectures cost, where anything is bound or priced. ``latencies``: what
    supernet profile wrote into ``file``.
    """

    bounds: Mapping[str, float]
    limits: Limits | None = None
    file: str | None = None
    latencies: Latencies | None = None

    def costs(self, architecture: Architecture) -> dict[str, float]:
        """What an architecture costs, as far as it is asked."""
        return dict(self.limits.costs(architecture)) if self.limits else {}

    def warn_elsewhere(self) -> None:
        """Say where the latencies were measured, if not on this machine."""
        for line in self.latencies.differs(here(self.latencies)) if self.latencies else ():
            print(f"warning: {self.file} was measured elsewhere: {line}", file=sys.stderr)


def bounded(
    asked: Bounds, priced: bool, space: Space, kind: type[Kind], network: Settings, supernet: Settings, choices: SearchSpace
) -> Bounded:
    """The bounds asked for on the evaluation network of a space with the settings ``network``; ``priced``: whether costs have a price.

    ``supernet``, ``choices``: the settings of what is searched, and its choices.
    Raises ``InputError`` where a latency table is missing or is of other networks.
    """
    bounds, latencies = bounds_of(asked), latencies_in(asked.latency_table)
    limits = None
    if space.whole and (bounds or priced):
        limits = Limits(bounds, counted(space, choices, space.network.sized(network)), choices, least=asked.least or 0.0)
    elif bounds or priced:
        limits = limits_on(asked, space, kind, network, latencies, supernet)
    return Bounded(bounds, limits, asked.latency_table, latencies)


def limits_on(
    asked: Bounds, space: Space, kind: type[Kind], network: Settings, latencies: Latencies | None = None, supernet: Settings | None = None
) -> Limits:
    """What architectures cost as networks with the settings ``network``, and the bounds; ``latencies``: of ``latencies_in``.

    ``supernet``: the settings of what is searched, where they say which choices there are.
    """
    found, sized = open_network(space, network, supernet)
    example, file = kind.drawn(sized, 1).to("meta"), asked.latency_table
    measured = {} if file is None else measured_tables(Path(file), latencies, space.name, sized, found, example)
    margin = asked.margin
    if margin is None:  # a network at the bound itself would miss it as often as not
        margin = latencies.underestimate if isinstance(latencies, LatencyTable) else 0.0
    return Limits.of(found, [example], bounds_of(asked), measured, margin, asked.least or 0.0)


def counted(space: Space, choices: SearchSpace, sized: Settings) -> Mapping[str, Costing]:
    """What networks with the settings ``sized`` cost, where they are counted one by one."""

    def count(architecture: Architecture) -> Mapping[str, float]:
        return space.costs(sketched(space.network.what, lambda: space.network(architecture, **sized)), sized)

    return Counts(choices, count).costs(*COUNTED)


def open_network(space: Space, network: Mapping[str, Any], supernet: Settings | None = None) -> tuple[Supernet, Settings]:
    """The evaluation network of a space with the choices of a ``supernet`` open, without storage, and its settings in full."""
    sized = space.network.sized(network)
    opens = {name: value for name, value in (supernet or {}).items() if name in space.opens}
    given = space.supernet.taken({**opens, **sized, "affine": True})
    found: Supernet = sketched(f"{space.network.what} with every choice open", lambda: space.supernet(**given))
    return found, sized


def measured_tables(
    file: Path, latencies: Latencies | None, space: str, sized: Settings, network: Supernet, example: Tensor
) -> Mapping[str, Table | Costing]:
    """The costs that a file says: those that supernet profile wrote into it, ``latencies``, or a published table."""
    if isinstance(latencies, Predictor):
        return {"latency": latencies}
    if latencies is None:
        return {"latency": published_table(file, network.space, parts(network, example))}
    if other := latencies.differs_in(space, sized, tuple(example.shape[1:])):
        raise InputError(f"{file} was measured for another network: {other[0]}; measure one for this network with supernet profile")
    return {name: latencies.table(network.space, name) for name in latencies.costs}


def latencies_in(file: str | None) -> Latencies | None:
    """The table or the predictor that ``supernet profile`` wrote into a file; None of another file."""
    kind = None if file is None else kind_of(Path(file))
    readers: dict[str | None, Callable[[Path], Latencies]] = {"measured": LatencyTable.read, "predictor": Predictor.read}
    return readers[kind](Path(str(file))) if kind in readers else None


def here(table: Latencies) -> dict[str, Any]:
    """This machine, measured as ``table`` was; empty where its backend is not installed."""
    try:
        return machine(**{name: table.machine[name] for name in HOW if name in table.machine})
    except (PackageNotFoundError, TypeError, InputError):
        return {"processor": processor()}
