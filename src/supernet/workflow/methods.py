"""The three ways to an architecture: over a supernet, by scoring single ones on data, on a benchmark table."""

from __future__ import annotations

import sys
from copy import deepcopy
from dataclasses import replace
from functools import partial
from random import Random

from supernet.costs.limits import Limits
from supernet.costs.objective import Objective
from supernet.decided import Verdict, by_difference
from supernet.executor import Estimate
from supernet.randomness import seed_everything
from supernet.run import Run
from supernet.search import Costs, Found, among, default_objective, search, try_architectures
from supernet.settings import Settings
from supernet.space import Architecture, SearchSpace
from supernet.task import Task
from supernet.tasks.kind import Kind
from supernet.workflow.baseline import random_baseline
from supernet.workflow.building import build_supernet, make_strategy, network_settings, supernet_settings
from supernet.workflow.estimating import estimator_of, estimator_on_data, goal_of, open_table, searcher_of
from supernet.workflow.limits import bounds_of
from supernet.workflow.pace import steps_for
from supernet.workflow.watching import watcher


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
            lambda steps: estimator_on_data("scratch", settings, task, epochs=1, steps=steps),
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


def on_data(settings: Settings, run: Run, task: Kind, limits: Limits | None, feasible: Architecture | None) -> tuple[Found, Settings]:
    """The best of single architectures, each scored on its own; the arguments as of ``over_a_supernet``."""
    space, steps = build_supernet(settings, task).space, settings["steps"]
    make = partial(estimator_on_data, estimator_of(settings), settings, task, epochs=settings["estimator"]["epochs"])
    if settings["seconds"]:
        one, drawn = make(), space.sample(Random(settings["seed"]))
        steps = steps_for(settings["seconds"], lambda: one.begin(drawn), task, run)
    if steps is not None:
        steps = max(steps // settings["trials"], 1)
    objective = replace(goal_of(settings, task), limits=limits.aims if limits else {})
    found = tried(settings, run, space, make(steps=steps), objective, limits.costs if limits else None, feasible, task)
    found.data = {"preprocessing": task.preprocessing, **task.about}
    return found, network_settings(settings, task)


def on_a_table(settings: Settings, run: Run, limits: Limits | None, feasible: Architecture | None) -> tuple[Found, Settings]:
    space, table = open_table(settings)
    if table.note:
        print(f"note: {table.note}", file=sys.stderr)
    bounds = bounds_of(settings)

    def costs(architecture: Architecture) -> dict[str, float]:
        return {**(limits.costs(architecture) if limits else {}), **table.costs(architecture)}

    objective = replace(goal_of(settings), limits=limits.aims if limits else bounds)
    return tried(settings, run, space, table.estimate, objective, costs, feasible), dict(settings["network"])


def tried(
    settings: Settings,
    run: Run,
    space: SearchSpace,
    estimate: Estimate,
    objective: Objective,
    costs: Costs | None,
    feasible: Architecture | None,
    task: Task | None = None,
) -> Found:
    """The best architecture that the searcher of the settings comes upon."""
    searcher = searcher_of(settings, settings["method"], space, feasible)
    trials = try_architectures(space, searcher, estimate, settings["trials"], objective, run, costs=costs)
    found = Found(space.matters(trials[0].architecture), dict(trials[0].scores or {}), None, [], trials)
    found.decided = among(trials, objective, task)
    return found
