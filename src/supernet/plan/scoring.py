"""What asks for architectures and what scores them, of a search's settings."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import nn

from supernet.costs.objective import Objective
from supernet.errors import InputError
from supernet.estimators import ESTIMATORS, estimator_named
from supernet.estimators.tabular import Table
from supernet.search import default_objective
from supernet.searchers import Searcher, make_searcher
from supernet.searchers.assured import Assured
from supernet.settings.given import Settings, keywords, taken
from supernet.space import Architecture, SearchSpace
from supernet.spaces import space as space_named
from supernet.strategies import STRATEGIES
from supernet.strategies.retrain import Retrain
from supernet.strategies.weights import Weights
from supernet.task import Task
from supernet.tasks.kind import Kind


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


def check_estimator(settings: Settings) -> None:
    """Refuse an estimator that has not what it scores by here, and settings of a training where it trains nothing."""
    name, method = estimator_of(settings), settings["method"]
    known, needs = estimator_named(name), needs_of(settings)
    if known.needs != needs:
        own = " or ".join(n for n, other in ESTIMATORS.items() if other.needs == needs)
        able = {"supernet": f"search one-shot --searcher {method}", "data": "a searcher on --data", "table": "a searcher with --table"}
        able |= {"predictor": "a program (supernet.estimators.predicted)"}
        raise InputError(f"here {method} scores architectures by {own}, not by {name}; for {name} use {able[known.needs]}")
    if needs == "data" and "steps" not in keywords(known.load()):
        given = {**{n: settings[n] for n in ("steps", "seconds", "weights")}, "estimator.epochs": settings["estimator"]["epochs"] != 1}
        for idle in (n for n, value in given.items() if value):
            raise InputError(f"{idle} would have no effect: {name} trains nothing; set trials instead")


def estimator_on_data(settings: Settings, task: Kind, sizes: Settings, name: str, **length: Any) -> Any:
    """Scores the network of an architecture at the supernet's ``sizes``, the proxy of the papers; ``length``: of a training."""
    build = space_named(settings["space"]).network
    able, weights = build.taken(sizes), partial(Weights, **{"lr_min": 0.0, **settings["weights"]})

    def train(model: nn.Module, of: Task) -> Any:
        return task.paced(Retrain(model, of, drop_path=0.0, weights=weights))

    made, given = ESTIMATORS[name].load(), {"seed": settings["seed"], "strategy": train, **length}
    return made(lambda arch: build(arch, **able), task, **taken(made, given))


def searcher_of(settings: Settings, name: str, space: SearchSpace, feasible: Architecture | None = None) -> Searcher:
    """The searcher by name, with the settings of the section ``searcher``; ``feasible``: an architecture that keeps all bounds."""
    own = {k: v for k, v in settings["searcher"].items() if k != "name"}
    searcher = make_searcher(name, space, settings["seed"], budget=settings["trials"], **own)
    return searcher if feasible is None else Assured(searcher, feasible)


def check_parts(settings: Settings, searcher: str, space: SearchSpace) -> None:
    """Refuse a searcher that asks for parts of what has no cheaper answer."""
    _, _, *share = searcher_of(settings, searcher, space).ask()
    name = estimator_of(settings)
    if share and share[0] < 1 and ESTIMATORS[name].cheaper is None:
        raise InputError(f"{searcher} asks for parts of estimates, and {name} has no cheaper answer: use another searcher or estimator")


def open_table(settings: Settings, space: SearchSpace) -> Table:
    """The benchmark table of a command's settings, over a space."""
    given = {k: v for k, v in settings["table"].items() if k != "file" and v is not None}
    return Table.read(settings["table"]["file"], space=space, **given)
