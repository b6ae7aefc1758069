"""The three ways to an architecture: over a supernet, by scoring single ones on data, on a benchmark table."""

from __future__ import annotations

import sys
from copy import deepcopy
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any

from torch import nn

from supernet.costs.limits import Limits
from supernet.costs.objective import Objective
from supernet.decided import Verdict, by_difference
from supernet.estimators import ESTIMATORS
from supernet.estimators.scratch import FromScratch
from supernet.estimators.tabular import Table
from supernet.layers.base import Supernet
from supernet.randomness import seed_everything
from supernet.run import Run
from supernet.search import Found, among, default_objective, search, try_architectures, warm_start
from supernet.searchers import Searcher, make_searcher
from supernet.searchers.assured import Assured
from supernet.settings import Settings, taken
from supernet.sketch import fitting
from supernet.space import Architecture, SearchSpace
from supernet.spaces import space as space_named
from supernet.strategies import STRATEGIES
from supernet.strategies import strategy as strategy_named
from supernet.strategies.retrain import Retrain
from supernet.strategies.weights import Weights
from supernet.task import Task
from supernet.tasks.kind import Kind
from supernet.workflow.baseline import random_baseline
from supernet.workflow.limits import bounds_of
from supernet.workflow.pace import steps_for
from supernet.workflow.watching import watcher


def build_supernet(settings: Settings, task: Kind) -> Supernet:
    """The supernet of the run's space and settings."""
    seed_everything(settings["seed"])
    supernet: Supernet = space_named(settings["space"]).supernet(**supernet_settings(settings, task))
    if settings["initial"]:
        warm_start(supernet, settings["initial"])
    return supernet


def supernet_settings(settings: Settings, task: Kind | None = None) -> Settings:
    """Of the space, of the method, of the data, of the user: the later counts."""
    space, method = space_named(settings["space"]), STRATEGIES.get(settings["method"])
    own = space.served(method.load(space.name).needs) if method else {}
    return space.supernet.accepted({**space.supernet.usual(), **own, **(task.sizes if task else {}), **settings["supernet"]})


def network_settings(settings: Settings, task: Kind | None = None) -> Settings:
    """Of the network that a search is for: what the user says; in spaces that build but one network, else what the supernet has."""
    space = space_named(settings["space"])
    base = space.network.taken(supernet_settings(settings, task)) if space.one_build else {}
    return {**base, **(task.sizes if task else {}), **settings["network"]}


def make_strategy(settings: Settings, task: Kind, supernet: Supernet, limits: Limits | None) -> Any:
    """The strategy of a command's settings; prices adapt, so every strategy has its own."""
    space, sizes = space_named(settings["space"]), supernet_settings(settings, task)
    method = strategy_named(settings["method"]).load(space.name)
    own = dict(settings["strategy"])
    if space.builds_again(method.needs):
        own["build"] = lambda **more: space.supernet(**{**sizes, **more})
    if limits and method.decides:
        own |= limits.for_gradient(method.pricing, settings["price"])
    return task.paced(method(supernet, task, seed=settings["seed"], weights=settings["weights"], **own))


def over_a_supernet(
    settings: Settings, run: Run, task: Kind, limits: Limits | None, feasible: Architecture | None
) -> tuple[Found, Settings]:
    """``limits``: of ``limits_of``, where anything is bound or priced. ``feasible``: an architecture that keeps them, if one is known."""
    start = task.data.state_dict()
    task.keep(run)
    supernet = build_supernet(settings, task)
    network = network_settings(settings, task)
    task.place(supernet)
    make = partial(make_strategy, settings, task, limits=limits)
    steps = settings["steps"]
    if settings["seconds"]:
        steps = steps_for(settings["seconds"], lambda: make(deepcopy(supernet)), task, run)
    seed_everything(settings["seed"])
    strategy = make(supernet)
    found = search(
        supernet,
        task,
        strategy,
        epochs=settings["epochs"],
        steps=steps,
        out=run,
        searcher=searcher_of(settings, settings["searcher"]["name"], supernet.space),
        trials=settings["trials"],
        limits=limits,
        calibration=settings["estimator"]["calibration"],
        save_every=settings["save_every"],
        watch=watcher(settings, run, supernet),
        count=settings["baseline"]["name"] is not None,
    )
    assert found.supernet
    found.data = {"preprocessing": task.preprocessing, **task.about}
    found.built = {**supernet_settings(settings, task), **strategy.built}
    if settings["baseline"]["name"]:
        task.forget(start)
        found.baseline = random_baseline(
            run,
            supernet.space,
            found.multiply_adds,
            lambda steps: scratch_estimator(settings, task, 1, steps),
            found.architecture,
            trials=settings["baseline"]["trials"],
            seed=settings["seed"],
            objective=replace(default_objective(task), limits=limits.aims if limits else {}),
            costs=limits.costs if limits else None,
            feasible=feasible,
        )
        found.decided |= against_random(found, task)
    return found, network


def against_random(found: Found, task: Task) -> dict[str, Verdict]:
    """Whether what was found beats the best of its baseline, trained alike, by what the task is judged by."""
    judged = task.judged
    own, other = (found.baseline[whose][judged.name] for whose in ("found", "scores"))
    return {"baseline": by_difference(own, other, task.examples() if judged.counted else None, judged.larger)}


def needs_of(settings: Settings) -> str:
    """What architectures are scored by, by the method and what it is given: see ``supernet.estimators.Known``."""
    return "supernet" if settings["method"] in STRATEGIES else "table" if settings["table"]["file"] else "data"


def estimator_of(settings: Settings) -> str:
    """The name of what scores architectures: the one that was asked for, else the first that can."""
    needs: str = needs_of(settings)
    given: str | None = settings["estimator"]["name"]
    return given or next(name for name, known in ESTIMATORS.items() if known.needs == needs)


def on_data(
    settings: Settings, run: Run, task: Kind, limits: Limits | None, feasible: Architecture | None
) -> tuple[Found, Settings]:
    space, raised = build_supernet(settings, task).space, ESTIMATORS[estimator_of(settings)].raised
    network = network_settings(settings, task)
    goal, steps = Objective(maximise=(raised,)) if raised else default_objective(task), settings["steps"]
    objective = replace(goal, limits=limits.aims if limits else {})
    if settings["seconds"]:
        one = scratch_estimator(settings, task, 1)
        drawn = space.sample(Random(settings["seed"]))
        steps = steps_for(settings["seconds"], lambda: one.begin(drawn), task, run)
    if steps is not None:
        steps = max(steps // settings["trials"], 1)
    trials = try_architectures(
        space,
        searcher_of(settings, settings["method"], space, feasible),
        estimator_on_data(estimator_of(settings), settings, task, epochs=settings["estimator"]["epochs"], steps=steps),
        settings["trials"],
        objective,
        run,
        costs=limits.costs if limits else None,
    )
    found = Found(space.matters(trials[0].architecture), dict(trials[0].scores or {}), None, [], trials)
    found.decided = among(trials, objective, task)
    found.data = {"preprocessing": task.preprocessing, **task.about}
    return found, network


def searcher_of(settings: Settings, name: str, space: SearchSpace, feasible: Architecture | None = None) -> Searcher:
    """The searcher by name, with the settings of the section ``searcher``; ``feasible``: an architecture that keeps all bounds."""
    own = {k: v for k, v in settings["searcher"].items() if k != "name"}
    searcher = make_searcher(name, space, settings["seed"], budget=settings["trials"], **own)
    return searcher if feasible is None else Assured(searcher, feasible)


def scratch_estimator(settings: Settings, task: Kind, epochs: int, steps: int | None = None) -> FromScratch:
    """Trains the network of an architecture at the supernet's size: the proxy of the papers."""
    made: FromScratch = estimator_on_data("scratch", settings, task, epochs=epochs, steps=steps)
    return made


def estimator_on_data(name: str, settings: Settings, task: Kind, **length: Any) -> Any:
    """Scores the network of an architecture at the supernet's size; ``length``: of a training, where it trains."""
    build = space_named(settings["space"]).network
    able = build.taken(supernet_settings(settings, task))
    weights = partial(Weights, **{"lr_min": 0.0, **settings["weights"]})

    def train(model: nn.Module, of: Task) -> Any:
        return task.paced(Retrain(model, of, drop_path=0.0, weights=weights))

    made, given = ESTIMATORS[name].load(), {"seed": settings["seed"], "strategy": train, **length}
    return made(lambda arch: build(arch, **able), task, **taken(made, given))


def on_a_table(settings: Settings, run: Run, limits: Limits | None, feasible: Architecture | None) -> tuple[Found, Settings]:
    space, table = open_table(settings)
    if table.note:
        print(f"note: {table.note}", file=sys.stderr)
    bounds = bounds_of(settings)

    def costs(architecture: Architecture) -> dict[str, float]:
        return {**(limits.costs(architecture) if limits else {}), **table.costs(architecture)}

    objective = Objective(maximise=("validation",), limits=limits.aims if limits else bounds)
    searcher = searcher_of(settings, settings["method"], space, feasible)
    trials = try_architectures(space, searcher, table.estimate, settings["trials"], objective, run, costs=costs)
    found = Found(space.matters(trials[0].architecture), dict(trials[0].scores or {}), None, [], trials)
    found.decided = among(trials, objective)
    return found, dict(settings["network"])


def sketch(settings: Settings, task: Kind | None = None) -> Supernet:
    """The supernet of a command's settings, without storage; raises ``InputError`` where it cannot be built, or not be held."""
    given, build = supernet_settings(settings, task), space_named(settings["space"]).supernet
    found: Supernet = fitting(build.what, lambda: build(**given))
    return found


def open_table(settings: Settings) -> tuple[SearchSpace, Table]:
    """The search space and the benchmark table of a command's settings."""
    space = sketch(settings).space
    given = {k: v for k, v in settings["table"].items() if k != "file" and v is not None}
    return space, Table.read(settings["table"]["file"], space=space, **given)
