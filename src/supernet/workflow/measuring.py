"""What a network that was found really takes on this machine, beside what the table predicts, and where its time goes."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

from torch import nn

from supernet.costs.latency.profile import time_network
from supernet.costs.latency.table import LatencyTable
from supernet.costs.parts import parts, taken
from supernet.errors import InputError, RunError
from supernet.naming.design import Design
from supernet.plan.bounds import HOW, Bounded, here, open_network
from supernet.run import Run
from supernet.settings.given import Settings, json_ready
from supernet.spaces import space as space_named
from supernet.tasks.kind import Kind
from supernet.trying import Found
from supernet.workflow.delivery import export_run, load

PLAIN = "median of a plain loop"  # over the runtime, a call after the other


def measured_latency(bounded: Bounded, kind: type[Kind], there: Design, network: nn.Module, predicted: float) -> dict[str, Any] | None:
    """``network``, which is of ``there``, timed whole as the table was, and whether it keeps the bound; None on another machine."""
    table = bounded.latencies
    if table is None:
        return None
    now, how = here(table), {name: table.machine[name] for name in HOW if name in table.machine}
    if "backend" not in now or table.differs(now):
        return None
    try:
        timing = time_network(network, kind.drawn(there.sized({}), 1), **how)
    except InputError as error:  # a backend that is not here
        print(f"warning: the network was not measured: {error}", file=sys.stderr)
        return None
    bound, ms = bounded.bounds.get("latency"), rounded(timing.median_ms)
    kept = {} if bound is None else {"bound": bound, "over": ms / bound - 1, "holds": ms <= bound}
    named = {"unit": "ms", "median": ms, "minimum": rounded(timing.minimum_ms), "calls": timing.visits, "how": PLAIN}
    shown = {name: now[name] for name in ("processor", *HOW)}
    return {"ms": ms, **named, "predicted": predicted, **kept, "machine": shown}


def rounded(ms: float) -> float:
    """Four digits: a loop that is run again does not give more."""
    return float(f"{ms:.4g}")


def holds_weights(there: Design, found: Found) -> bool:
    """Whether the run has weights of the network that ``there`` is: in spaces that build but one, a supernet's of its sizes."""
    space = space_named(there.space)
    if found.network is None or not space.one_build:
        return False
    trained = replace(there, settings=space.network.taken(found.built))
    return json_ready(trained.sized({})) == json_ready(there.sized({}))


def exported(run: Run, kind: type[Kind], data: Settings, there: Design, found: Found) -> str | None:
    """Write the network that a bound is on as ONNX into the run, from the run's own weights; None where that cannot be done, and why."""
    if not holds_weights(there, found):
        reason = "the search has no trained weights of this network: retrain what it found"
        print(f"note: {run.folder}: no ONNX file, as {reason}", file=sys.stderr)
        return None
    try:
        return str(export_run(run.folder, load(run.folder), kind, data, run.folder / "exported", ("onnx",))["onnx"]["path"])
    except (InputError, RunError) as error:
        print(f"warning: the network was not exported: {error}", file=sys.stderr)
        return None


def milliseconds_by_part(bounded: Bounded, kind: type[Kind], there: Design, predicted: float) -> list[tuple[str, float]]:
    """The parts that an architecture takes, in order, with the share that each has of the ms that the table ``predicted``."""
    table = bounded.latencies
    if not isinstance(table, LatencyTable):
        return []
    supernet, sized = open_network(space_named(there.space), there.settings)
    found = taken(supernet.space, parts(supernet, kind.drawn(sized, 1).to("meta")), there.plan)
    alone = [(part.name, table.parts[part.name]) for part in found if table.parts.get(part.name)]
    total = sum(ms for _, ms in alone)
    return [(name, ms / total * predicted) for name, ms in alone]
