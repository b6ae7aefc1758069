"""The command ``profile``: from a space and its settings to a table of latencies measured here, or on a device without Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from supernet.costs.latency.backends import check_backend
from supernet.costs.latency.collection import collect, emit
from supernet.costs.latency.profile import profile, profile_networks
from supernet.costs.parts import parts
from supernet.errors import InputError
from supernet.layers.base import Supernet
from supernet.plan.bounds import open_network
from supernet.plan.resolved import with_resolved
from supernet.run import check_writable
from supernet.settings.given import Settings, defaults, json_ready
from supernet.spaces import space as space_named
from supernet.task import usable
from supernet.tasks import kind_for


def check_profile(
    settings: Settings, out: Path | None, emitted: Path | None = None, collected: Path | None = None
) -> tuple[Settings, Supernet, Settings]:
    """The settings, the network with every choice open and its settings; refuses what does not go together."""
    space = settings["space"]
    if space is None:
        raise InputError("no search space: give --space (supernet list spaces)")
    known, kind = space_named(space), kind_for(space, settings["task"])
    if unpriced := known.unpriced or kind.unpriced:
        raise InputError(f"latencies choose nothing in {space}: {unpriced}")
    if out is None and (emitted is None or collected is not None):
        raise InputError("give the table to write: --out latency.json (or --emit DIR)")
    if collected is None and emitted is None:
        usable(settings["device"])
        check_backend(settings["backend"], settings["device"])
    sizes = known.supernet.usual() if known.one_build else {}
    return settings, *open_network(space, {**sizes, **known.network.accepted(settings["network"])})


def plan_of(settings: Settings, out: Path | None, emitted: Path | None = None, collected: Path | None = None) -> dict[str, Any]:
    """What ``--dry-run`` prints: all settings with their values, and how many parts would be measured."""
    settings, supernet, sized = check_profile(settings, out, emitted, collected)
    for place in (out, emitted):
        if place:
            check_writable(place if place.is_dir() else place.parent)
    found = parts(supernet, kind_for(settings["space"], settings["task"]).drawn(sized, 1).to("meta"))
    network = {**defaults(space_named(settings["space"]).network.sizes), **sized}
    return {"settings": with_resolved(settings, {"network": network}), "parts": len(found)}


def profile_run(settings: Settings, out: Path | None, emitted: Path | None = None, collected: Path | None = None) -> dict[str, Any]:
    """Measure, or write what another device is to measure (``emitted``), or read what it has measured (``collected``)."""
    settings, supernet, sized = check_profile(settings, out, emitted, collected)
    space, build = settings["space"], space_named(settings["space"]).network
    example, described = kind_for(space, settings["task"]).drawn(sized, 1).to("meta"), json_ready(sized)
    if collected is not None:
        table = collect(collected, emitted / "manifest.json" if emitted else None, {"processor": settings["processor"]})
        assert out
        table.write(out)
    elif emitted is not None:
        about = {"name": space, "settings": described, "shape": sized["shape"], "space": supernet.space}
        written = emit(parts(supernet, example), emitted, **about, batch=settings["batch_size"])
        return {"emitted": str(emitted), "files": len(written.files), "to_fill": str(emitted / "manifest.csv")}
    else:
        how: dict[str, Any] = {name: settings[name] for name in ("backend", "threads", "device", "seed")}
        how |= {"batch": settings["batch_size"], "network": lambda architecture: build(architecture, **sized)}
        how |= {} if settings["networks"] is None else {"networks": settings["networks"]}
        if settings["predictor"] is not None:
            made, judged = profile_networks(supernet, example, out=out, kind=settings["predictor"], **how)
            return {"out": str(out), "validation": judged, "machine": made.machine}
        table = profile(supernet, example, out=out, space=space, settings=described, **how)
    judged = {k: v for k, v in (table.validation or {}).items() if k != "points"}
    return {"out": str(out), "parts": len(table.parts), "fit": vars(table.fit), "validation": judged or None, "machine": table.machine}
