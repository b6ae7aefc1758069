"""What a network that was found really takes on this machine, beside what the table predicts, and where its time goes."""

from __future__ import annotations

import sys
from typing import Any

import torch

from supernet.costs.parts import parts, taken
from supernet.designs import Design
from supernet.errors import InputError
from supernet.profile import time_network
from supernet.settings import Settings
from supernet.space import Architecture
from supernet.workflow.limits import HOW, here, open_network, own_table


def measured_latency(settings: Settings, there: Design, predicted: float) -> dict[str, Any] | None:
    """The network of ``there`` timed whole as its table was, and whether it keeps the bound; None where the table is of another machine."""
    table = own_table(settings)
    if table is None:
        return None
    now, how = here(table), {name: table.machine[name] for name in HOW if name in table.machine}
    if "backend" not in now or table.differs(now):
        return None
    try:
        timing = time_network(there.network(), torch.empty(1, *there.sized({})["shape"]), **how)
    except InputError as error:  # a backend that is not here
        print(f"warning: the network was not measured: {error}", file=sys.stderr)
        return None
    bound = settings["limits"]["latency"]
    kept = {} if bound is None else {"bound": bound, "over": timing.minimum / bound - 1, "holds": timing.minimum <= bound}
    shown = {name: now[name] for name in ("processor", *HOW)}
    return {"ms": timing.minimum, "median": timing.median, "predicted": predicted, **kept, "machine": shown}


def milliseconds_by_part(settings: Settings, network: Settings, architecture: Architecture) -> list[tuple[str, float]]:
    """The parts that an architecture takes, in order, with the share that each has of the ms that the table predicts."""
    table = own_table(settings)
    if table is None:
        return []
    supernet, sized = open_network(settings["space"], network)
    found = taken(supernet.space, parts(supernet, torch.empty(1, *sized["shape"], device="meta")), architecture)
    alone = [(part.name, table.parts[part.name]) for part in found if table.parts.get(part.name)]
    total = sum(ms for _, ms in alone)
    whole = table.fit.offset + table.fit.scale * total
    return [(name, ms / total * whole) for name, ms in alone]
