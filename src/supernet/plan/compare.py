"""A comparison before it is made: the search of each method, planned, and the training of what it finds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from supernet.errors import InputError, unknown
from supernet.estimators.tabular import Table
from supernet.plan.bounds import bounds_of
from supernet.plan.resolved import use_threads
from supernet.plan.scoring import table_of
from supernet.plan.search import SearchPlan, plan_search
from supernet.searchers import SEARCHERS
from supernet.settings.commands import Compare, Retrain, Search
from supernet.settings.given import NOT_FOR_USERS, Settings, accepted, checked, overlaid
from supernet.settings.sections import Machine
from supernet.strategies import STRATEGIES
from supernet.strategies.weights import Weights
from supernet.tasks.kind import Kind

UNITS = {"evals": "trials", "epochs": "epochs", "steps": "steps", "s": "seconds"}
COUNTED = {"params", "macs"}  # what a benchmark table knows of costs


@dataclass(frozen=True)
class Compared:
    """A method of a comparison. ``search``, ``final``: the settings of its search and of the training of what that finds, but for the seed.

    ``resolved``: every setting of the search with its value. ``tried``: how many architectures are scored to choose one.
    """

    search: Settings
    final: Settings
    resolved: Settings
    tried: int


@dataclass(frozen=True)
class ComparePlan:
    """Methods, ``seeds`` of each, on data or on a ``table``, where the architectures have ``bounds``.

    ``budget``: as it was given, which is so many of its unit: ``amount``. ``config``: the settings that all methods share.
    """

    space: str
    kind: type[Kind]
    methods: Mapping[str, Compared]
    table: Table | None
    bounds: Mapping[str, float]
    budget: str
    amount: int
    seeds: int
    workers: int
    config: Settings

    @property
    def document(self) -> dict[str, Any]:
        """What ``--dry-run`` prints: the settings, and those of each method's search with all their values."""
        own = {name: method.resolved for name, method in self.methods.items()}
        return {"settings": self.config, "methods": own, "budget": self.budget, "seeds": self.seeds}


def budget_of(text: str) -> tuple[int, str]:
    """(300, "evals") from 300evals; raises ``InputError`` for anything else."""
    found = re.fullmatch(r"([0-9]{1,9})([a-z]+)", text.strip())
    if not found or int(found[1]) < 1:
        raise InputError(f"--budget is a number with a unit ({', '.join(UNITS)}), for example 300evals, and below 10^9; got {text!r:.60}")
    if found[2] not in UNITS:
        raise unknown("unit of --budget", found[2], UNITS)
    return int(found[1]), found[2]


def plan_compare(settings: Compare, names: list[str], budget: str, seeds: int) -> ComparePlan:
    """Plan the search of every method, random search among them, and refuse what the comparison would refuse.

    Raises ``InputError``. Sets the number of threads, since results depend on it.
    """
    amount, unit = budget_of(budget)
    wanted = list(dict.fromkeys([*names, "random"]))
    searches = {name: search_of(settings, name, unit, amount) for name in wanted}
    check_compare(settings, wanted, unit, budget, seeds)
    threads = use_threads(settings.threads)
    methods: dict[str, Compared] = {}
    for name, search in searches.items():
        plan = plan_search(search)  # one at a time, since each holds its data
        methods[name] = compared(search, plan, settings, threads)
    return ComparePlan(
        plan.space.name,
        plan.kind,
        methods,
        table_of(settings.table, plan.supernet.space) if settings.table.file else None,
        bounds_of(settings.limits),
        budget,
        amount,
        seeds,
        settings.workers,
        {**settings.model_dump(), "threads": threads},
    )


def search_of(settings: Compare, name: str, unit: str, amount: int) -> Search:
    """The settings of the search of a method: those that all share, its budget, and its own."""
    own = settings.model_dump(include=set(Search.model_fields)) | {"command": "search", "method": name, UNITS[unit]: amount}
    if unit == "epochs" and name in SEARCHERS:
        own["estimator"]["epochs"] = max(amount // settings.trials, 1)
    return checked(Search, overlaid(own, settings.methods.get(name, {})))


def check_compare(settings: Compare, wanted: list[str], unit: str, budget: str, seeds: int) -> None:
    """Refuse what does not go together, beyond what each search refuses."""
    if settings.objective:
        raise InputError("objective would have no effect: methods are compared by one score, what the task is judged by")
    if settings.space is None:
        raise InputError("no search space: give --space (supernet list spaces)")
    for name in wanted:
        if name not in STRATEGIES and name not in SEARCHERS:
            raise unknown("method", name, [*STRATEGIES, *SEARCHERS])
    if idle := next((name for name in settings.methods if name not in wanted), None):
        raise unknown("method compared in the section methods:", idle, wanted)
    if not 1 <= seeds <= 10_000:
        raise InputError(f"--seeds must be at least 1 and at most 10000; got {seeds}")
    accepted("final.weights", Weights, settings.final.weights, fixed=NOT_FOR_USERS["weights"])
    if settings.table.file and unit != "evals":
        raise InputError(f"on a table the budget is in evals, for example 300evals; got {budget!r}")
    if trained := next((name for name in wanted if name in STRATEGIES and unit == "evals"), None):
        raise InputError(f"{trained} trains a supernet: its budget is in epochs, steps or s, for example 10epochs; got {budget!r}")
    if settings.table.file and (other := bounds_of(settings.limits).keys() - COUNTED):
        raise InputError(f"on a table the bounds of a comparison are on params and macs, not on {', '.join(sorted(other))}")


def compared(search: Search, plan: SearchPlan, settings: Compare, threads: int) -> Compared:
    """A method's search and the training of what it finds, for as long as all others, on the data and at the sizes of its search."""
    own = search.model_dump() | {"threads": search.threads or threads}  # said, since results depend on how many there are
    final = checked(Retrain, {**search.model_dump(include=set(Machine.model_fields)), **settings.final.model_dump()}).model_dump()
    sizes = plan.space.network.taken(search.supernet)
    final |= {"threads": own["threads"], "data": plan.data, "network": {**sizes, **search.network}}
    final |= {"task": plan.kind.name, "beside": False, "retrain": dict(plan.kind.short)}
    return Compared(own, final, plan.config["resolved"], search.trials if search.method in SEARCHERS else 1)
