"""A comparison before it is made: the search of each method, planned, and the training of what it finds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from supernet.auto import AUTO
from supernet.costs.objective import Objective
from supernet.errors import InputError, unknown, without_effect
from supernet.estimators.tabular import Table
from supernet.plan.auto import ADVICE, Advice, first
from supernet.plan.bounds import bounds_of
from supernet.plan.budget import UNITS, budget_of
from supernet.plan.resolved import use_machine
from supernet.plan.search import SearchPlan, plan_search
from supernet.plan.study import ALL, expanded, plan_study
from supernet.searchers import SEARCHERS
from supernet.settings.commands import Compare, Final, Retrain, Search
from supernet.settings.given import NOT_FOR_USERS, Settings, accepted, checked, overlaid, resolve
from supernet.settings.sections import Machine
from supernet.strategies import STRATEGIES
from supernet.strategies.weights import Weights
from supernet.study.judged import Judged
from supernet.study.on_table import Study
from supernet.tasks.kind import Kind

NAME = "[a-z0-9][a-z0-9_-]{0,59}"  # of an entry, which is a folder's too
Under = Callable[[str], Compare]


@dataclass(frozen=True)
class Compared:
    """A method of a comparison. ``search``, ``final``: the settings of its search and of the training of what that finds, but for the seed.

    ``tried``: how many architectures are scored to choose one. ``objective``: of trials that train no supernet; None: it trains one.
    """

    search: Settings
    final: Settings
    tried: int
    objective: Objective | None = None


@dataclass(frozen=True)
class ComparePlan:
    """Methods, ``seeds`` of each, on data of a ``kind`` of task, or as a ``study`` on a table.

    ``resolved``: method -> the settings of its search with all their values. ``methods``: what each does on data. ``judge``: what looks up
    what they found, in the place of a training. ``left_out``: method -> why it does not fit the table. ``budget``: as it was given.
    ``config``: the settings that all methods share.
    """

    space: str
    resolved: Mapping[str, Settings]
    budget: str
    seeds: int
    workers: int
    config: Settings
    kind: type[Kind] | None = None
    methods: Mapping[str, Compared] = field(default_factory=dict)
    study: Study | None = None
    judge: Judged | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def document(self) -> dict[str, Any]:
        """What ``--dry-run`` prints: the settings, and those of each method's search with all their values."""
        left_out = {"left_out": dict(self.left_out)} if self.left_out else {}
        return {"settings": self.config, "methods": self.resolved, **left_out, "budget": self.budget, "seeds": self.seeds}


def plan_compare(settings: Compare, names: list[str], budget: str, seeds: int, under: Under | None = None) -> ComparePlan:
    """Plan the search of every method, random search among them, and refuse what the comparison would refuse.

    ``under``: method -> the settings, with what its recipe sets under what the user set; by default the settings.
    Raises ``InputError``. Sets the number of threads, since results depend on it.
    """
    amount, unit = budget_of(budget)
    named, every = expanded(names)
    wanted = list(dict.fromkeys([*named, "random"]))
    check_compare(settings, wanted, every, unit, budget, seeds)
    methods = {name: method_of(settings, name) for name in wanted}
    of_method = {name: under(method) if under and method != AUTO else settings for name, method in methods.items()}
    threads = use_machine(settings)
    config = {**settings.model_dump(), "threads": threads}
    if settings.table.file:
        searches = {name: search_of(of_method[name], name, plainly(settings, method), unit, amount) for name, method in methods.items()}
        made = plan_study(settings, searches, every, amount)
        own = (made.space, made.resolved, budget, seeds, settings.workers, config)
        return ComparePlan(*own, study=made.study, left_out=made.left_out)
    planned, resolved = {}, {}
    for name, method in methods.items():

        def searched(advice: Advice, name: str = name) -> tuple[Search, SearchPlan]:
            search = search_of(of_method[name], name, advice, unit, amount)
            return search, plan_search(search)

        able = ADVICE if method == AUTO else [plainly(settings, method)]
        search, plan = first(searched, able)  # one at a time, since each holds its data
        planned[name], resolved[name] = compared(search, plan, settings, threads), plan.config["resolved"]
    judge = judge_in(settings, plan) if settings.judge.file else None
    return ComparePlan(plan.space.name, resolved, budget, seeds, settings.workers, config, plan.kind, planned, judge=judge)


def plainly(settings: Compare, method: str) -> Advice:
    """A method as it is, for as long as the budget says; searchers that train share its epochs among their trials."""

    def length(amount: int, unit: str) -> Settings:
        shared = {"estimator.epochs": max(amount // settings.trials, 1)} if unit == "epochs" and method in SEARCHERS else {}
        return {UNITS[unit]: amount, **shared}

    return Advice(method, {}, "it was named", length)


def search_of(settings: Compare, name: str, advice: Advice, unit: str, amount: int) -> Search:
    """The settings of the search of a method: those that all share, what is advised of it, its budget, and its own."""
    shared = settings.model_dump(include=set(Search.model_fields)) | {"command": "search"}
    given = {setting: value for setting, value in settings.methods.get(name, {}).items() if setting != "method"}
    bounds = settings.model_dump(include={"limits"}, exclude_defaults=True)  # which no advice changes where they are said

    def settle(under: Settings) -> Search:
        own = resolve(overlaid(overlaid(shared, under), bounds), None, (), {**advice.length(amount, unit), "method": advice.method})
        if settings.judge.file:
            own["estimator"]["count"] = True
            own["judge"] |= {"file": None} if advice.method in SEARCHERS else {}  # which is looked up at the end, as it trains no supernet
        return checked(Search, overlaid(own, given))

    return advice.settled(settle)


def judge_in(settings: Compare, plan: SearchPlan) -> Judged:
    """The table that judges what is found, within the bounds; raises ``InputError`` where it does not fit."""
    given, space = settings.judge, plan.supernet.space
    columns = given.model_dump(include={"search", "report", "dataset"}, exclude_none=True)
    try:
        return Judged(Table.read(str(given.file), space=space, **columns), bounds_of(settings.limits))
    except InputError as error:
        raise InputError(f"--judge {given.file}: {error}") from error


def method_of(settings: Compare, name: str) -> str:
    """The method of what is compared under a name: the one that its own settings say, else that of this name.

    Raises ``InputError`` for a method that is not known, and for the name of another.
    """
    known, own = [*STRATEGIES, *SEARCHERS, AUTO], settings.methods.get(name, {})
    if "method" not in own:
        if name not in known:
            raise unknown("method", name, known)
        return name
    if own["method"] not in known:
        raise unknown(f"method of methods.{name}", str(own["method"]), known)
    if name in known and name != own["method"]:
        raise InputError(f"methods.{name}.method: {name} is a method itself; give {own['method']} with other settings a name of its own")
    if not re.fullmatch(NAME, name):
        raise InputError(f"a name in methods: is of small letters, digits, - and _, such as {own['method']}-2; got {name!r:.60}")
    return str(own["method"])


def check_compare(settings: Compare, wanted: list[str], every: bool, unit: str, budget: str, seeds: int) -> None:
    """Refuse what does not go together, beyond what each search refuses; ``every``: whether all searchers are wanted."""
    if not settings.table.file:
        if every:
            raise InputError(f"{ALL} stands for the searchers that fit a table: give --table, or name the methods")
        if settings.at:
            raise without_effect("--at", "on data methods are compared at their end")
        if settings.space is None:
            raise InputError("no search space: give --space (supernet list spaces)")
        if settings.judge.file and settings.final != Final():
            raise without_effect("final", "what was found is looked up in the table of --judge, and not trained")
    elif settings.judge.file:
        raise without_effect("--judge", "on a table results are looked up there")
    elif settings.limits.latency_table:
        raise without_effect("--latency-table", "on a table latencies are its own, or of --set table.latency=FILE")
    methods = {name: method_of(settings, name) for name in wanted}
    if settings.objective and not settings.searcher.name:
        asking = [name for name, entry in settings.methods.items() if entry.get("searcher")]
        check_goals([method for name, method in methods.items() if method in STRATEGIES and name not in asking], settings.space)
    if idle := next((name for name in settings.methods if name not in wanted), None):
        raise unknown("method compared in the section methods:", idle, wanted)
    for name, own in settings.methods.items():
        if other := next((what for what in ("limits", "objective") if what in own), None):
            raise InputError(f"methods.{name}.{other}: methods are compared under the same bounds and one objective; give {other} for all")
    if not 1 <= seeds <= 10_000:
        raise InputError(f"--seeds must be at least 1 and at most 10000; got {seeds}")
    accepted("final.weights", Weights, settings.final.weights, fixed=NOT_FOR_USERS["weights"])
    if settings.table.file and unit != "evals":
        raise InputError(f"on a table the budget is in evals, for example 300evals; got {budget!r}")
    if settings.table.file and AUTO in methods.values():
        raise InputError("auto trains on data; on a table name searchers")
    if trained := next((name for name, method in methods.items() if method in (*STRATEGIES, AUTO) and unit == "evals"), None):
        raise InputError(f"{trained} trains: its budget is in epochs, steps or s, for example 10epochs; got {budget!r}")


def check_goals(methods: list[str], space: str | None) -> None:
    """Refuse methods that would take no notice of an objective."""
    if deciding := [name for name in methods if STRATEGIES[name].load(space).decides]:
        what = f"{', '.join(deciding)}, which {'decides by itself' if len(deciding) == 1 else 'decide by themselves'}"
        raise InputError(f"--objective is for searchers, alone or after a method such as one-shot: compare without {what}")


def compared(search: Search, plan: SearchPlan, settings: Compare, threads: int) -> Compared:
    """A method's search and the training of what it finds, for as long as all others, on the data and at the sizes of its search."""
    own = search.model_dump() | {"threads": search.threads or threads}  # said, since results depend on how many there are
    final = checked(Retrain, {**search.model_dump(include=set(Machine.model_fields)), **settings.final.model_dump()}).model_dump()
    sizes = plan.space.network.taken(search.supernet)
    final |= {"threads": own["threads"], "data": plan.data, "network": {**sizes, **search.network}}
    final |= {"task": plan.kind.name, "beside": False, "retrain": dict(plan.kind.short)}
    alone = search.method in SEARCHERS
    return Compared(own, final, search.trials if alone else 1, plan.way.objective if alone else None)
