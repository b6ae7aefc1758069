"""The command ``profile``: from a plan to a table of latencies measured here, or on a device without Python."""

from __future__ import annotations

from typing import Any

from supernet.costs.latency.collection import emit
from supernet.costs.latency.profile import profile, profile_networks
from supernet.costs.latency.table import LatencyTable
from supernet.costs.parts import parts
from supernet.plan.profile import ProfilePlan
from supernet.settings.given import json_ready
from supernet.space import Architecture


def profile_run(plan: ProfilePlan) -> dict[str, Any]:
    """Measure, or write what another device is to measure, or the table of what it has measured."""
    space, example, sized = plan.space, plan.example, json_ready(plan.sized)
    if plan.collected:
        assert plan.out
        plan.collected.write(plan.out)
        return result_of(plan, plan.collected)
    if plan.emitted:
        about = {"name": space.name, "settings": sized, "shape": plan.sized["shape"], "space": plan.supernet.space}
        written = emit(parts(plan.supernet, example), plan.emitted, **about, batch=plan.how["batch"])
        return {"emitted": str(plan.emitted), "files": len(written.files), "to_fill": str(plan.emitted / "manifest.csv")}

    def network(architecture: Architecture) -> Any:
        return space.network(architecture, **plan.sized)

    how = {"out": plan.out, "network": network, **plan.how}
    if plan.predictor:
        made, judged = profile_networks(plan.supernet, example, kind=plan.predictor, **how)
        return {"out": str(plan.out), "validation": judged, "machine": made.machine}
    return result_of(plan, profile(plan.supernet, example, space=space.name, settings=sized, **how))


def result_of(plan: ProfilePlan, table: LatencyTable) -> dict[str, Any]:
    """What the command prints of a table that it wrote."""
    judged = {k: v for k, v in (table.validation or {}).items() if k != "points"}
    return {"out": str(plan.out), "parts": len(table.parts), "fit": vars(table.fit), "validation": judged or None, "machine": table.machine}
