"""A search before it is made: everything it is made of, checked together.

``plan_search`` refuses what the search would refuse, up to its first step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supernet.costs.latency.published import kind_of
from supernet.costs.limits import Limits
from supernet.errors import InputError, unknown
from supernet.layers.base import Supernet
from supernet.plan.bounds import Bounded, bounded, bounds_of, prices
from supernet.plan.recipe import with_recipe
from supernet.plan.resolved import resolved, use_threads, with_resolved
from supernet.plan.scoring import check_estimator, check_parts, estimator_of, estimator_on_data, open_table
from supernet.plan.supernets import check_initial, check_network, check_stages, make_strategy, network_settings, sketch, supernet_settings
from supernet.plan.watching import judge_of
from supernet.plan.ways import on_data, on_table, over_supernet
from supernet.searchers import SEARCHERS, searcher_class
from supernet.settings.given import NOT_FOR_USERS, Settings, accepted
from supernet.spaces import space as space_named
from supernet.spaces.record import Space
from supernet.strategies import STRATEGIES
from supernet.strategies import strategy as strategy_named
from supernet.strategies.base import SupernetStrategy
from supernet.strategies.weights import Weights
from supernet.task import usable
from supernet.tasks import kind_for
from supernet.tasks.kind import Kind
from supernet.ways.on_data import OnData
from supernet.ways.on_table import OnTable
from supernet.ways.over_supernet import OverSupernet

COUNTED = ("params", "macs")  # costs that a benchmark table knows


@dataclass(frozen=True)
class SearchPlan:
    """A search whose parts go together.

    ``way``: what finds the architecture. ``kind``: of task. ``supernet``: what is searched, without storage; ``sizes``: its settings that
    do not follow from data. ``network``: those of the network that the search is for. ``found_by``: what is said of how it was found.
    ``config``: what config.yaml of its run holds, every setting with its value.
    """

    way: OverSupernet | OnData | OnTable
    space: Space
    kind: type[Kind]
    supernet: Supernet
    sizes: Settings
    network: Settings
    bounded: Bounded
    found_by: Mapping[str, Any]
    device: str
    config: Settings
    examples: Mapping[str, int] | None = None

    @property
    def document(self) -> dict[str, Any]:
        """What ``--dry-run`` prints: all settings with their values, and the sizes of what would be searched."""
        sizes = {"supernet_params": sum(p.numel() for p in self.supernet.parameters()), "size": self.supernet.space.size()}
        return {"settings": self.config, **sizes, **({"examples": self.examples} if self.examples is not None else {})}


def plan_search(settings: Settings) -> SearchPlan:
    """Read the data or the table, build everything without storage, and refuse what does not go together.

    Raises ``InputError``. Sets the number of threads, since results depend on it.
    """
    settings = check_search(settings)
    use_threads(settings)
    check_combination(settings)
    space, kind = space_named(settings["space"]), kind_for(settings["space"], settings["task"])
    task = None if settings["table"]["file"] else kind.read(settings)
    supernet = sketch(settings, task)
    network = network_settings(settings, task) if task else settings["network"]
    check_network(space, supernet, network)
    known = bounded(settings, kind, network)
    if task and settings["method"] in SEARCHERS:  # refuses networks that it cannot score
        estimator_on_data(settings, task, supernet_settings(settings, task), estimator_of(settings))
    if settings["initial"]:
        check_initial(supernet, settings["initial"])
    strategy = None
    way: OverSupernet | OnData | OnTable
    if task is None:
        table = open_table(settings, supernet.space)
        counted = {name: most for name, most in known.bounds.items() if name in COUNTED}
        limits = known.limits if known.bounds.keys() - counted.keys() else None
        feasible = limits.check() if limits else None
        kept = table.check(counted)
        way = on_table(settings, table, supernet.space, limits, feasible if limits else kept)
    else:
        limits = known.limits
        feasible = limits.check() if limits else None
        if settings["method"] in STRATEGIES:
            way, strategy = over_supernet(settings, task, limits, feasible), tried(settings, task, limits)
        else:
            way = on_data(settings, task, supernet.space, limits, feasible)
    return SearchPlan(
        way=way,
        space=space,
        kind=kind,
        supernet=supernet,
        sizes=supernet_settings(settings),
        network=network,
        bounded=known,
        found_by={name: settings[name] for name in ("method", "seed", "epochs")},
        device=settings["device"],
        config=with_resolved(settings, resolved(settings, task, network, supernet, limits, strategy)),
        examples=task.counts if task else None,
    )


def tried(settings: Settings, task: Kind, limits: Limits | None) -> SupernetStrategy:
    """The strategy on a supernet without storage, so that it refuses what it would refuse. The streams of the task are as they were."""
    start, sizes = task.data.state_dict(), supernet_settings(settings, task)
    check_stages(settings, sizes)
    strategy = make_strategy(settings, task, sizes, sketch(settings, task), limits)
    task.data.load_state_dict(start)
    return strategy


def check_search(settings: Settings) -> Settings:
    """The settings of a search over the recipe of the space; refuses names, values and parts that do not go together.

    Reads no data; ``plan_search`` refuses the rest.
    """
    if settings["space"] is None or settings["method"] is None:
        raise InputError("a search needs a method and a space: supernet search METHOD --space SPACE (supernet list methods, spaces)")
    method, space = settings["method"], space_named(settings["space"])
    usable(settings["device"])
    if method not in STRATEGIES and method not in SEARCHERS:
        raise unknown("method", method, [*STRATEGIES, *SEARCHERS])
    if method in STRATEGIES:
        if settings["table"]["file"]:
            raise InputError(f"{method} trains a supernet on data: give --data; --table is for searchers ({', '.join(SEARCHERS)})")
        made = strategy_named(method).load(settings["space"])
        accepted(method, made, settings["strategy"], fixed=NOT_FOR_USERS["strategy"])
        accepted("weights", Weights, settings["weights"], fixed=NOT_FOR_USERS["weights"])
    name = settings["searcher"]["name"] if method in STRATEGIES else method
    accepted(name, searcher_class(name), {k: v for k, v in settings["searcher"].items() if k != "name"}, fixed=NOT_FOR_USERS["searcher"])
    space.network.accepted(settings["network"])
    check_limits(settings)
    check_estimator(settings)
    supernet = sketch(settings)
    check_parts(settings, name, supernet.space)
    if settings["judge"]["file"]:
        judge_of(settings, supernet.space)
    return with_recipe(settings, settings["space"])


def check_limits(settings: Settings) -> None:
    """Refuse bounds and prices that choose nothing, and a latency bound without latencies."""
    asked, file = bounds_of(settings), settings["limits"]["latency_table"]
    unpriced = space_named(settings["space"]).unpriced or kind_for(settings["space"], settings["task"]).unpriced
    if unpriced and (asked or prices(settings)):
        raise InputError(f"limits choose nothing in {settings['space']}: {unpriced}")
    if asked.keys() & {"latency", "energy"} and file is None:
        make = f"supernet profile --space {settings['space']} --out latency.json"
        raise InputError(f"a bound on latency needs latencies: give --latency-table FILE, which {make} writes")
    if file is not None and kind_of(Path(file)) is None:
        raise InputError(f"{file} is not a latency table: supernet profile writes one")
    if any(v is not None for k, v in settings["price"].items() if k != "cost") and not prices(settings):
        raise InputError("nothing is priced: give a bound, for example --max-latency 12ms, or --set price.cost=macs")


def check_combination(settings: Settings) -> None:
    """Refuse settings that exclude each other or that the method would take no notice of."""
    method = settings["method"]
    if settings["steps"] and settings["seconds"]:
        raise InputError("steps and seconds are both lengths of the search: give one of them")
    if settings["baseline"]["name"] and method not in STRATEGIES:
        raise InputError(f"{method} tries single architectures: --baseline random is for a method that trains a supernet; see compare")
    if settings["table"]["file"]:
        for name in ("steps", "seconds", "initial"):
            if settings[name]:
                raise InputError(f"{name} would have no effect: on a table nothing is trained; set trials instead")
    elif method in SEARCHERS and settings["initial"]:
        raise InputError(f"initial would have no effect: {method} trains each architecture from nothing")
