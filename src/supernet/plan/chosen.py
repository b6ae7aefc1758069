"""What the names in the settings of a search stand for, looked up once and checked against each other without data."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supernet.auto import AUTO
from supernet.costs.latency.published import kind_of
from supernet.errors import InputError, unknown, without_effect
from supernet.estimators.tabular import Table
from supernet.plan.bounds import COUNTED, bounds_of, untold
from supernet.plan.goals import priced_by
from supernet.plan.recipe import Recipe, recipe_of
from supernet.plan.scoring import Asking, Scored, asking_of, check_trains, scored_by, table_of
from supernet.plan.supernets import sizes_of, sketch
from supernet.plan.watching import judge_of
from supernet.searchers import SEARCHERS
from supernet.settings.commands import Search
from supernet.settings.given import NOT_FOR_USERS, Settings, accepted, keywords
from supernet.settings.sections import Bounds, PriceSettings
from supernet.spaces import space as space_named
from supernet.spaces.record import Space
from supernet.strategies import STRATEGIES
from supernet.strategies.base import SupernetStrategy
from supernet.strategies.weights import Weights
from supernet.task import usable
from supernet.tasks.kind import Kind
from supernet.watch.judge import Judge


@dataclass(frozen=True)
class Chosen:
    """What a search is made of, as far as no data says it.

    ``name``, ``method``: the method as it was named, and its class; None where a searcher alone scores single architectures.
    ``strategy``: settings of the method. ``asking``, ``scored``: what asks for architectures and what scores them.
    ``sizes``: those of the supernet that do not follow from data. ``judge``: what scores it while it trains, where one was asked for.
    ``table``: where trainings are looked up, if anywhere. ``priced``: whether costs count that it does not know.
    ``opinion``: whether the method decides by itself, since it can and no searcher was named.
    """

    space: Space
    name: str
    method: type[SupernetStrategy] | None
    strategy: Settings
    recipe: Recipe
    asking: Asking
    scored: Scored
    sizes: Settings
    judge: Judge | None
    table: Table | None
    priced: bool
    opinion: bool


def choose(settings: Search) -> Chosen:
    """What the settings of a search name; refuses names, values and parts that do not go together. Reads no data."""
    if settings.space is None or settings.method is None:
        raise InputError("a search needs a method and a space: supernet search METHOD --space SPACE (supernet list methods, spaces)")
    space, name = space_named(settings.space), settings.method
    usable(settings.device)
    method = method_of(name, space, settings.strategy, settings.weights, settings.table.file) if name in STRATEGIES else None
    if method is None and name not in SEARCHERS:
        raise unknown("method", name, [*STRATEGIES, *SEARCHERS, AUTO])
    searcher = settings.searcher.name or method.searched_by if method else name
    asking = asking_of(searcher, settings.searcher, settings.seed, settings.trials)
    space.network.accepted(settings.network)
    sizes, recipe = sizes_of(space, method, {}, settings.supernet), recipe_of(settings, space)
    check_acting(settings, method)
    table = table_of(settings.table, sketch(space, sizes).space) if settings.table.file else None
    told = table.priced if table else ()
    goals = [goal for goal in priced_by(settings.objective) if goal not in told]
    limits = untold(settings.limits, told)
    if "latency" in told and (settings.limits.latency_table or settings.limits.margin):
        raise without_effect("--latency-table with its margin", "the table has latencies of whole networks")
    priced = bool(bounds_of(limits) or settings.price.cost or goals)
    check_limits(limits, settings.price, space, recipe.kind, priced, goals)
    scored = scored_by(settings.estimator.name, "supernet" if method else "table" if settings.table.file else "data", name)
    finals = settings.estimator.finals > 1
    of_training: dict[str, Any] = {"steps": settings.steps, "seconds": settings.seconds, "weights": settings.weights}
    of_training |= {"estimator.epochs": settings.estimator.epochs != 1}
    if settings.estimator.living and not scored.known.inherits:
        raise without_effect("estimator.living", f"no weights are inherited where {scored.name} scores")
    check_trains(scored, {} if finals else of_training)
    check_finals(scored, has_opinion(method, settings), finals)
    check_stop(scored, settings)
    strategy = {**recipe.strategy, **settings.strategy} if method and method.decides else settings.strategy
    if scored.known.cheaper is None:
        asking.check_parts(sketch(space, sizes).space, scored.name)
    judge = judge_of(settings.judge, method, name, sketch(space, sizes).space, settings.seed) if method and settings.judge.file else None
    return Chosen(space, name, method, strategy, recipe, asking, scored, sizes, judge, table, priced, has_opinion(method, settings))


def has_opinion(method: type[SupernetStrategy] | None, settings: Search) -> bool:
    """Whether a method decides by itself: it can, and no searcher was named."""
    return method is not None and method.decides and settings.searcher.name is None


def check_finals(scored: Scored, opinion: bool, finals: bool) -> None:
    """Refuse to train the best, where ``finals`` are asked for, after a method that decides and where each was trained."""
    if finals and opinion:
        raise without_effect("estimator.finals", "no searcher compares architectures by shared weights")
    if finals and "steps" in keywords(scored.known.load()):
        raise without_effect("estimator.finals", f"{scored.name} trains every architecture; estimator.epochs says how long")
    if finals and scored.known.needs == "table":
        raise without_effect("estimator.finals", "on a table nothing is trained")


def check_stop(scored: Scored, settings: Search) -> None:
    """Refuse to end trainings early where none are made, or where each is one epoch."""
    if not settings.estimator.stop:
        return
    if "stop" not in keywords(scored.known.load()):
        raise without_effect("estimator.stop", f"{scored.name} trains no architecture from nothing")
    if settings.estimator.epochs == 1 and not (settings.steps or settings.seconds):
        raise without_effect("estimator.stop", "a training of one epoch ends before anything is known of it; give estimator.epochs too")


def method_of(name: str, space: Space, strategy: Settings, weights: Settings, table: str | None) -> type[SupernetStrategy]:
    """The class of a method in a space; refuses settings that it or the training of its weights does not take, and a ``table``."""
    if table:
        raise InputError(f"{name} trains a supernet on data: give --data; --table is for searchers ({', '.join(SEARCHERS)})")
    method = STRATEGIES[name].load(space.name)
    accepted(name, method, strategy, fixed=NOT_FOR_USERS["strategy"])
    accepted("weights", Weights, weights, fixed=NOT_FOR_USERS["weights"])
    return method


def check_limits(limits: Bounds, price: PriceSettings, space: Space, kind: type[Kind], priced: bool, goals: Collection[str] = ()) -> None:
    """Refuse bounds and prices that choose nothing, and a bound on latency, or ``goals`` of it, without latencies."""
    file = limits.latency_table
    if kind.unpriced and priced:
        raise InputError(f"limits choose nothing in {space.name}: {kind.unpriced}")
    if space.whole and priced:
        check_counted({*bounds_of(limits), *goals, *filter(None, [price.cost])}, space.name)
    if {*bounds_of(limits), *goals} & {"latency", "energy"} and file is None:
        make = f"supernet profile --space {space.name} --out latency.json"
        raise InputError(f"a bound on latency needs latencies: give --latency-table FILE, which {make} writes, or on a table table.latency")
    if file is not None and kind_of(Path(file)) is None:
        raise InputError(f"{file} is not a latency table: supernet profile writes one")
    if price.model_dump(exclude={"cost"}, exclude_none=True) and not priced:
        raise InputError("nothing is priced: give a bound, for example --max-latency 12ms, or --set price.cost=macs")


def check_counted(costs: Collection[str], space: str) -> None:
    """Refuse costs that cannot be counted of whole networks."""
    for name in sorted({*costs} - {*COUNTED}):
        raise InputError(f"{name} is known of parts, and networks of {space} are counted whole: give bounds on {' and '.join(COUNTED)}")


def check_acting(settings: Search, method: type[SupernetStrategy] | None) -> None:
    """Refuse settings that exclude each other or that the method would take no notice of."""
    name = settings.method
    if settings.steps and settings.seconds:
        raise InputError("steps and seconds are both lengths of the search: give one of them")
    if settings.judge.file and method is None:
        raise InputError(f"--judge scores a supernet while it trains, and {name} trains none; to search on a table give --table")
    opinion = has_opinion(method, settings)
    if method and method.decides and method.narrows and not opinion:
        raise InputError(f"{name} leaves out options while it trains, so no searcher can choose among all of them: leave --searcher out")
    if settings.objective and opinion:
        raise InputError(f"{name} decides by itself: --objective is for searchers, alone, named by --searcher, or after one-shot")
    if settings.estimator.examples and (method is None or opinion):
        raise without_effect("estimator.examples", "no searcher compares architectures by shared weights")
    if settings.estimator.finals > settings.trials:
        raise InputError(f"estimator.finals are of the {settings.trials} trials, so no more than these; got {settings.estimator.finals}")
    if settings.estimator.epochs != 1 and settings.estimator.finals == 1 and method:
        raise without_effect("estimator.epochs", f"{name} trains no single architectures; they are of estimator.finals")
    if settings.limits.least and (settings.table.file or opinion or not bounds_of(settings.limits)):
        table, own = "on a table all networks are known", f"{name} decides by itself, and strategy.fill says how it uses a bound"
        raise without_effect("limits.least", table if settings.table.file else own if opinion else "nothing is bound")
    if settings.estimator.count and settings.table.file:
        raise without_effect("estimator.count", "on a table nothing is computed")
    if settings.baseline.name and (settings.table.file or name == settings.baseline.name):
        what = "on a table searchers are compared by supernet compare" if settings.table.file else f"{name} is the baseline itself"
        raise without_effect("--baseline", what)
    if settings.table.file:
        idle = {"steps": settings.steps, "seconds": settings.seconds, "initial": settings.initial}
        for given in (given for given, value in idle.items() if value):
            raise InputError(f"{given} would have no effect: on a table nothing is trained; set trials instead")
    elif settings.initial and method is None:
        raise InputError(f"initial would have no effect: {name} trains each architecture from nothing")
