"""A measurement of latencies before it is made: the network, where it is measured, and where the table goes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from supernet.costs.latency.backends import check_backend
from supernet.costs.latency.collection import collect
from supernet.costs.latency.table import LatencyTable
from supernet.costs.parts import parts
from supernet.errors import InputError
from supernet.layers.base import Supernet
from supernet.plan.bounds import open_network
from supernet.plan.resolved import config_of
from supernet.run import check_writable
from supernet.settings.commands import Profile
from supernet.settings.given import Settings, defaults
from supernet.spaces import space as space_named
from supernet.spaces.record import Space
from supernet.task import usable
from supernet.tasks import kind_for


@dataclass(frozen=True)
class ProfilePlan:
    """A measurement of the parts of ``supernet``, a network with every choice open and the settings ``sized``, without storage.

    ``example``: one input. ``how``: arguments of the measurement here, into ``out``. ``predictor``: the kind of a model of whole networks
    in the place of a table. ``emitted``: the folder that the parts are written to, for another device; ``collected``: what such a device
    measured.
    """

    space: Space
    supernet: Supernet
    example: Tensor
    sized: Settings
    how: Settings
    predictor: str | None
    out: Path | None
    emitted: Path | None
    collected: LatencyTable | None
    config: Settings

    @property
    def document(self) -> dict[str, Any]:
        """What ``--dry-run`` prints: all settings with their values, and how many parts would be measured."""
        return {"settings": self.config, "parts": len(parts(self.supernet, self.example))}


def plan_profile(settings: Profile, out: Path | None, emitted: Path | None = None, collected: Path | None = None) -> ProfilePlan:
    """Build the network without storage, read what was ``collected``, and refuse what the measurement would refuse.

    Raises ``InputError``, and ``RunError`` where nothing can be written.
    """
    if settings.space is None:
        raise InputError("no search space: give --space (supernet list spaces)")
    space, kind = space_named(settings.space), kind_for(settings.space, settings.task)
    if kind.unpriced:
        raise InputError(f"latencies choose nothing in {space.name}: {kind.unpriced}")
    if space.whole:
        raise InputError(f"latencies are measured of parts, and networks of {space.name} are not put together from parts of its supernet")
    if out is None and (emitted is None or collected is not None):
        raise InputError("give the table to write: --out latency.json (or --emit DIR)")
    if collected is None and emitted is None:
        usable(settings.device)
        check_backend(settings.backend, settings.device)
    sizes = space.supernet.usual() if space.one_build else {}
    supernet, sized = open_network(space, {**sizes, **space.network.accepted(settings.network)})
    for place in (out, emitted):
        if place:
            check_writable(place if place.is_dir() else place.parent)
    how: Settings = settings.model_dump(include={"backend", "threads", "device", "seed"}) | {"batch": settings.batch_size}
    return ProfilePlan(
        space,
        supernet,
        kind.drawn(sized, 1).to("meta"),
        sized,
        how | ({} if settings.networks is None else {"networks": settings.networks}),
        settings.predictor,
        out,
        emitted,
        collect(collected, emitted / "manifest.json" if emitted else None, {"processor": settings.processor}) if collected else None,
        config_of(settings, {}, {"network": {**defaults(space.network.sizes), **sized}}),
    )
