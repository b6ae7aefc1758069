"""What settings ask architectures of, and what scores them."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import nn

from supernet.costs.objective import Objective
from supernet.estimators import ESTIMATORS
from supernet.estimators.tabular import Table
from supernet.search import default_objective
from supernet.searchers import Searcher, make_searcher
from supernet.searchers.assured import Assured
from supernet.settings import Settings, taken
from supernet.space import Architecture, SearchSpace
from supernet.spaces import space as space_named
from supernet.strategies import STRATEGIES
from supernet.strategies.retrain import Retrain
from supernet.strategies.weights import Weights
from supernet.task import Task
from supernet.tasks.kind import Kind
from supernet.workflow.building import sketch, supernet_settings


def searcher_of(settings: Settings, name: str, space: SearchSpace, feasible: Architecture | None = None) -> Searcher:
    """The searcher by name, with the settings of the section ``searcher``; ``feasible``: an architecture that keeps all bounds."""
    own = {k: v for k, v in settings["searcher"].items() if k != "name"}
    searcher = make_searcher(name, space, settings["seed"], budget=settings["trials"], **own)
    return searcher if feasible is None else Assured(searcher, feasible)


def needs_of(settings: Settings) -> str:
    """What architectures are scored by, by the method and what it is given: see ``supernet.estimators.Known``."""
    return "supernet" if settings["method"] in STRATEGIES else "table" if settings["table"]["file"] else "data"


def estimator_of(settings: Settings) -> str:
    """The name of what scores architectures: the one that was asked for, else the first that can."""
    needs: str = needs_of(settings)
    given: str | None = settings["estimator"]["name"]
    return given or next(name for name, known in ESTIMATORS.items() if known.needs == needs)


def goal_of(settings: Settings, task: Kind | None = None) -> Objective:
    """What a searcher is after: the score that the estimator raises, else what the task is judged by."""
    if raised := ESTIMATORS[estimator_of(settings)].raised:
        return Objective(maximise=(raised,))
    assert task is not None, "a table raises a score of its own"
    return default_objective(task)


def estimator_on_data(name: str, settings: Settings, task: Kind, **length: Any) -> Any:
    """Scores the network of an architecture at the supernet's size; ``length``: of a training, where it trains."""
    build = space_named(settings["space"]).network
    able = build.taken(supernet_settings(settings, task))
    weights = partial(Weights, **{"lr_min": 0.0, **settings["weights"]})

    def train(model: nn.Module, of: Task) -> Any:
        return task.paced(Retrain(model, of, drop_path=0.0, weights=weights))

    made, given = ESTIMATORS[name].load(), {"seed": settings["seed"], "strategy": train, **length}
    return made(lambda arch: build(arch, **able), task, **taken(made, given))


def open_table(settings: Settings) -> tuple[SearchSpace, Table]:
    """The search space and the benchmark table of a command's settings."""
    space = sketch(settings).space
    given = {k: v for k, v in settings["table"].items() if k != "file" and v is not None}
    return space, Table.read(settings["table"]["file"], space=space, **given)
