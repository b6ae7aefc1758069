"""The bounds of a command on the network that its search is for."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

from torch import Tensor

from supernet.costs.latency.machine import machine, processor
from supernet.costs.latency.predictor import Predictor
from supernet.costs.latency.published import kind_of, published_table
from supernet.costs.latency.table import LatencyTable
from supernet.costs.limits import COSTS, Limits
from supernet.costs.parts import parts
from supernet.errors import InputError
from supernet.layers.base import Supernet
from supernet.mixture import Costing, Table
from supernet.settings import Settings
from supernet.sketch import sketched
from supernet.spaces import space as space_named
from supernet.tasks import kind_for

HOW = ("backend", "threads", "batch", "device")  # of a machine, what a measurement chose


def bounds_of(settings: Mapping[str, Any]) -> dict[str, float]:
    """The bounds among a command's settings: cost -> the most that it may be."""
    return {name: settings["limits"][name] for name in COSTS if settings["limits"][name] is not None}


def prices(settings: Mapping[str, Any]) -> bool:
    """Whether a command's search looks at what networks cost."""
    return bool(bounds_of(settings) or settings["price"]["cost"])


def limits_of(settings: Mapping[str, Any], network: Mapping[str, Any]) -> Limits:
    """The bounds of a command, on the evaluation network of its space with the settings ``network``.

    Raises ``InputError`` where a latency table is missing or is of other networks; warns where it was measured elsewhere.
    """
    found, sized = open_network(settings["space"], network)
    example = kind_for(settings["space"], settings["task"]).drawn(sized, 1).to("meta")
    file = settings["limits"]["latency_table"]
    measured: dict[str, Table | Costing] = {}
    if file is not None:
        measured = measured_tables(Path(file), settings["space"], sized, found, example)
    table, margin = own_table(settings), settings["limits"]["margin"]
    if margin is None:  # a network at the bound itself would miss it as often as not
        margin = table.underestimate if isinstance(table, LatencyTable) else 0.0
    return Limits.of(found, [example], bounds_of(settings), measured, margin)


def open_network(space: str, network: Mapping[str, Any]) -> tuple[Supernet, Settings]:
    """The evaluation network of a space with every choice open, without storage, and its settings in full."""
    known = space_named(space)
    sized = known.network.sized(network)
    given = known.supernet.taken({**sized, "affine": True})
    found: Supernet = sketched(f"{known.network.what} with every choice open", lambda: known.supernet(**given))
    return found, sized


def measured_tables(file: Path, space: str, sized: Settings, network: Supernet, example: Tensor) -> dict[str, Table | Costing]:
    """The tables or the predictor of a file that ``supernet profile`` wrote, or a published table."""
    if kind_of(file) == "predictor":
        return {"latency": Predictor.read(file)}
    if kind_of(file) != "measured":
        found = parts(network, example)
        return {"latency": published_table(file, network.space, found)}
    table = LatencyTable.read(file)
    if other := table.differs_in(space, sized, tuple(example.shape[1:])):
        raise InputError(f"{file} was measured for another network: {other[0]}; measure one for this network with supernet profile")
    return {name: table.table(network.space, name) for name in table.costs}


def own_table(settings: Mapping[str, Any]) -> LatencyTable | Predictor | None:
    """The table or the predictor among a command's settings, where ``supernet profile`` wrote it."""
    file = settings["limits"]["latency_table"]
    kind = None if file is None else kind_of(Path(file))
    return LatencyTable.read(Path(file)) if kind == "measured" else Predictor.read(Path(file)) if kind == "predictor" else None


def warn_elsewhere(settings: Mapping[str, Any]) -> None:
    """Say where the table among a command's settings was measured, if not on this machine."""
    table = own_table(settings)
    for line in table.differs(here(table)) if table else ():
        print(f"warning: {settings['limits']['latency_table']} was measured elsewhere: {line}", file=sys.stderr)


def here(table: LatencyTable | Predictor) -> dict[str, Any]:
    """This machine, measured as ``table`` was; empty where its backend is not installed."""
    try:
        return machine(**{name: table.machine[name] for name in HOW if name in table.machine})
    except (PackageNotFoundError, TypeError, InputError):
        return {"processor": processor()}
