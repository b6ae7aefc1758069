"""The three ways to an architecture, made of a search's settings."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from supernet.costs.limits import Limits
from supernet.estimators.tabular import Table
from supernet.plan.bounds import bounds_of
from supernet.plan.scoring import estimator_of, estimator_on_data, goal_of, searcher_of
from supernet.plan.supernets import build_supernet, make_strategy, supernet_settings
from supernet.plan.watching import watcher
from supernet.settings.given import Settings
from supernet.space import Architecture, SearchSpace
from supernet.tasks.kind import Kind
from supernet.ways.on_data import OnData
from supernet.ways.on_table import OnTable
from supernet.ways.over_supernet import Baseline, OverSupernet
from supernet.ways.pace import Length


def over_supernet(settings: Settings, task: Kind, limits: Limits | None, feasible: Architecture | None) -> OverSupernet:
    """Train a supernet on data."""
    sizes, trials = supernet_settings(settings, task), settings["baseline"]["trials"]
    baseline = Baseline(trials, lambda steps: estimator_on_data(settings, task, sizes, "scratch", epochs=1, steps=steps))
    return OverSupernet(
        task,
        build=lambda: build_supernet(settings, sizes),
        sizes=sizes,
        strategy=lambda supernet: make_strategy(settings, task, sizes, supernet, limits),
        searcher=partial(searcher_of, settings, settings["searcher"]["name"]),
        length=length_of(settings),
        trials=settings["trials"],
        calibration=settings["estimator"]["calibration"],
        save_every=settings["save_every"],
        seed=settings["seed"],
        watch=partial(watcher, settings),
        limits=limits,
        feasible=feasible,
        baseline=baseline if settings["baseline"]["name"] else None,
    )


def on_data(settings: Settings, task: Kind, space: SearchSpace, limits: Limits | None, feasible: Architecture | None) -> OnData:
    """Score single architectures on data."""
    sizes, name = supernet_settings(settings, task), estimator_of(settings)
    estimator = partial(estimator_on_data, settings, task, sizes)
    return OnData(
        task,
        space,
        searcher=lambda space: searcher_of(settings, settings["method"], space, feasible),
        estimate=lambda steps: estimator(name, epochs=settings["estimator"]["epochs"], steps=steps),
        train=lambda: estimator("scratch", epochs=1),
        objective=replace(goal_of(settings, task), limits=limits.aims if limits else {}),
        length=length_of(settings),
        trials=settings["trials"],
        seed=settings["seed"],
        limits=limits,
    )


def on_table(settings: Settings, table: Table, space: SearchSpace, limits: Limits | None, feasible: Architecture | None) -> OnTable:
    """Look architectures up."""
    return OnTable(
        space,
        table,
        searcher=lambda space: searcher_of(settings, settings["method"], space, feasible),
        objective=replace(goal_of(settings), limits=limits.aims if limits else bounds_of(settings)),
        trials=settings["trials"],
        limits=limits,
    )


def length_of(settings: Settings) -> Length:
    """How long a search trains."""
    return Length(settings["epochs"], settings["steps"], settings["seconds"])
