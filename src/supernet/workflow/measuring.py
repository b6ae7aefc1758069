"""What a network that was found really takes on this machine, beside what the table predicts, and where its time goes."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import nn

from supernet.costs.latency import LatencyTable
from supernet.costs.parts import parts, taken
from supernet.derive import derive
from supernet.designs import Design
from supernet.errors import InputError, RunError
from supernet.export import export
from supernet.profile import time_network
from supernet.run import Run
from supernet.search import Found
from supernet.settings import Settings
from supernet.space import Architecture
from supernet.spaces import space_module
from supernet.workflow.limits import HOW, here, open_network, own_table


def measured_latency(settings: Settings, there: Design, network: nn.Module, predicted: float) -> dict[str, Any] | None:
    """``network``, which is of ``there``, timed whole as the table was, and whether it keeps the bound; None on another machine."""
    table = own_table(settings)
    if table is None:
        return None
    now, how = here(table), {name: table.machine[name] for name in HOW if name in table.machine}
    if "backend" not in now or table.differs(now):
        return None
    try:
        timing = time_network(network, torch.empty(1, *there.sized({})["shape"]), **how)
    except InputError as error:  # a backend that is not here
        print(f"warning: the network was not measured: {error}", file=sys.stderr)
        return None
    bound, ms = settings["limits"]["latency"], timing.minimum_ms
    kept = {} if bound is None else {"bound": bound, "over": ms / bound - 1, "holds": ms <= bound}
    shown = {name: now[name] for name in ("processor", *HOW)}
    return {"ms": ms, "median": timing.median_ms, "predicted": predicted, **kept, "machine": shown}


def delivered(there: Design, found: Found) -> nn.Module:
    """The network that the bound is on: in spaces that build but one, with the weights of the supernet."""
    if found.supernet is None or not getattr(space_module(there.space), "ONE_BUILD", False):
        return there.network()
    device = next(found.supernet.parameters()).device
    return derive(found.supernet, found.architecture, torch.zeros(1, *there.sized({})["shape"], device=device)).cpu()


def exported(run: Run, there: Design, network: nn.Module) -> str | None:
    """Write ``network`` as ONNX into the run, checked; None, with a warning, where that cannot be done."""
    example = torch.randn(2, *there.sized({})["shape"], generator=torch.Generator().manual_seed(0))
    try:
        return str(export(network, example, run.folder / "exported", ("onnx",))["onnx"].path)
    except (InputError, RunError) as error:
        print(f"warning: the network was not exported: {error}", file=sys.stderr)
        return None


def milliseconds_by_part(settings: Settings, network: Settings, architecture: Architecture) -> list[tuple[str, float]]:
    """The parts that an architecture takes, in order, with the share that each has of the ms that the table predicts."""
    table = own_table(settings)
    if not isinstance(table, LatencyTable):
        return []
    supernet, sized = open_network(settings["space"], network)
    found = taken(supernet.space, parts(supernet, torch.empty(1, *sized["shape"], device="meta")), architecture)
    alone = [(part.name, table.parts[part.name]) for part in found if table.parts.get(part.name)]
    total = sum(ms for _, ms in alone)
    whole = table.fit.offset + table.fit.scale * total
    return [(name, ms / total * whole) for name, ms in alone]
