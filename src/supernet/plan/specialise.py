"""Networks for several bounds before they are searched for: every combination of bounds, and what asks for architectures."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supernet.errors import InputError
from supernet.plan.bounds import Bounded, bounded
from supernet.plan.chosen import check_limits
from supernet.plan.resolved import searcher_of
from supernet.plan.scoring import Asking, asking_of
from supernet.plan.search import SearchPlan
from supernet.settings.commands import Specialise
from supernet.settings.given import Settings, json_ready
from supernet.settings.sections import Bounds, PriceSettings

TABLE = "latency_table"


@dataclass(frozen=True)
class Wanted:
    """One network that is asked for: its bounds as they were given, also as a document, and its folder's name."""

    asked: Bounds
    bounded: Bounded
    said: Mapping[str, Any]
    name: str


@dataclass(frozen=True)
class SpecialisePlan:
    """The ``networks`` that are asked for of the supernet that ``search`` trained, and what asks for architectures."""

    search: SearchPlan
    networks: Sequence[Wanted]
    asking: Asking
    settings: Settings

    @property
    def document(self) -> dict[str, Any]:
        """What ``--dry-run`` prints: the settings with their values, and the folder of each network by its bounds."""
        return {"settings": self.settings, "networks": [{"bound": dict(each.said), "name": each.name} for each in self.networks]}


def plan_specialise(search: SearchPlan, given: Specialise, bounds: Mapping[str, Sequence[Any]]) -> SpecialisePlan:
    """Networks out of the supernet that a search trained, see ``wanted``; refuses settings that the searcher does not take."""
    search = search.scored_as(given.estimator)
    way = search.over_supernet
    asking = asking_of(given.searcher.name or way.searched_by, given.searcher, given.seed, given.trials)
    values = {"searcher": searcher_of(asking, search.supernet.space)}
    values["estimator"] = {"calibration": way.calibration, "examples": way.examples}
    return SpecialisePlan(search, wanted(search, bounds), asking, json_ready({**given.model_dump(), **values}))


def wanted(plan: SearchPlan, bounds: Mapping[str, Sequence[Any]]) -> list[Wanted]:
    """A network for each combination of one bound of each kind; ``bounds``: kind -> what is given of it, tables in ``latency_table``.

    They are on the network that the search of ``plan`` is for. Raises ``InputError`` for bounds that choose nothing, that nothing
    keeps, or that need latencies which are not given.
    """
    kinds = {kind: list(dict.fromkeys(values)) for kind, values in bounds.items() if values}
    if TABLE in kinds and not kinds.keys() & {"latency", "energy"} and len(kinds[TABLE]) > 1:
        raise InputError("several latency tables say nothing without a bound on latency: give --max-latency too")
    found = []
    for values in itertools.product(*kinds.values()):
        said = dict(zip(kinds, values, strict=True))
        asked = Bounds(**said)
        check_limits(asked, PriceSettings(), plan.space, plan.kind, priced=bool(said.keys() - {TABLE}))
        known = bounded(asked, True, plan.space, plan.kind, plan.network, plan.sizes, plan.supernet.space)
        if known.limits:
            known.limits.check()
        found.append(Wanted(asked, known, said, _name(said)))
    return found


def _name(said: Mapping[str, Any]) -> str:
    """The name of a folder, such as pixel-latency-8."""
    parts = [f"{kind}-{value:.12g}" for kind, value in said.items() if kind != TABLE]
    return "-".join([*([Path(said[TABLE]).stem] if TABLE in said else []), *parts]) or "network"
