"""What is said of a delivered network, inside its files and beside them: how to feed it, what it gives, what it is worth."""

from __future__ import annotations

from pathlib import Path

from supernet.naming.design import Design
from supernet.settings.given import Settings
from supernet.tasks import kind_for

UNITS = {"latency": "ms", "energy": "mJ", "activations": "bytes", "storage": "bytes"}


def description(folder: Path, there: Design) -> Settings:
    """Preprocessing, what outputs stand for, metrics, bounds, where the weights are from; what a run does not know is left out."""
    stored, kind = there.stored, kind_for(there.space, there.stored.get("task"))
    known = {**stored, **stored.get("trained", {})}
    found: Settings = {
        "weights": "trained from nothing" if there.alone else "of the supernet, as the search left them",
        **stored.get("preprocessing", {}),
        **{name: known[name] for name in kind.meant if name in known},
        "metrics": stored.get("scores", {}),
        "bounds": {name: bound(name, stored) for name in stored.get("limits", {})},
    }
    return {**found, **kind.kept(folder)}


def bound(name: str, stored: Settings) -> Settings:
    """A bound, what the network has, whether it holds, and how that is known; a measurement counts more than a prediction."""
    limit, value = stored["limits"][name], stored.get("costs", {}).get(name)
    unit = {"unit": UNITS[name]} if name in UNITS else {}
    real = stored.get("measured", {}).get(name)
    if real is None:
        how = "predicted by a table" if name in ("latency", "energy") else "counted"
        return {"bound": limit["bound"], **unit, "value": value, "holds": limit["holds"], "how": how}
    measured = {k: real[k] for k in ("holds", "how", "median", "minimum", "calls", "machine") if k in real}
    return {"bound": limit["bound"], **unit, "value": real["ms"], "predicted": value, **measured}

