"""What asks for architectures and what scores them in a search."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from supernet.costs.objective import Objective
from supernet.errors import InputError
from supernet.estimators import ESTIMATORS, Known, estimator_named
from supernet.estimators.scratch import FromScratch
from supernet.estimators.tabular import Table
from supernet.searchers import Searcher, make_searcher, searcher_class, share_of
from supernet.searchers.assured import assured
from supernet.settings.given import NOT_FOR_USERS, Settings, accepted, keywords, taken
from supernet.settings.sections import SearcherSettings, TableFile
from supernet.space import Architecture, SearchSpace
from supernet.spaces.record import Space
from supernet.strategies.retrain import Retrain
from supernet.strategies.weights import Weights
from supernet.task import Task
from supernet.tasks.kind import Kind
from supernet.trying import default_objective


@dataclass(frozen=True)
class Asking:
    """A searcher by name, with its ``settings``, for so many ``trials``."""

    name: str
    settings: Settings
    seed: int
    trials: int

    def on(self, space: SearchSpace, feasible: Architecture | None = None) -> Searcher:
        """The searcher on a space; ``feasible``: an architecture that keeps all bounds, where one is known."""
        return assured(make_searcher(self.name, space, self.seed, budget=self.trials, **self.settings), feasible)

    def check_parts(self, space: SearchSpace, of: str, instead: str = "estimator") -> None:
        """Refuse a searcher that asks for parts, where there are none ``of`` what scores; ``instead``: what else could be changed."""
        if share_of(self.on(space).ask()) < 1:
            raise InputError(f"{self.name} asks for parts of estimates, and {of} has no cheaper answer: use another searcher or {instead}")


def asking_of(name: str, settings: SearcherSettings, seed: int, trials: int) -> Asking:
    """A searcher by ``name`` with the settings that are given; raises ``InputError`` for those that it does not take."""
    own = dict(settings.model_extra or {})
    return Asking(name, accepted(name, searcher_class(name), own, fixed=NOT_FOR_USERS["searcher"]), seed, trials)


@dataclass(frozen=True)
class Scored:
    """An estimator by name."""

    name: str
    known: Known

    def goal(self, task: Kind | None) -> Objective:
        """What a searcher is after: the score that the estimator raises, else what the task is judged by."""
        if self.known.raised:
            return Objective(maximise=(self.known.raised,))
        assert task is not None, "a table raises a score of its own"
        return default_objective(task)


def scored_by(name: str | None, needs: str, method: str) -> Scored:
    """The estimator asked for, else the first of those that score by what there is to score by, which a ``method`` ``needs``.

    Raises ``InputError`` where it has not what it scores by.
    """
    able = [other for other, known in ESTIMATORS.items() if known.needs == needs]
    known = estimator_named(name or able[0])
    if known.needs != needs:
        use = {"supernet": f"search one-shot --searcher {method}", "data": "a searcher on --data", "table": "a searcher with --table"}
        use |= {"predictor": "a program (supernet.estimators.predicted)"}
        raise InputError(f"here {method} scores architectures by {' or '.join(able)}, not by {name}; for {name} use {use[known.needs]}")
    return Scored(name or able[0], known)


def check_trains(scored: Scored, given: Mapping[str, Any]) -> None:
    """Refuse settings of a training, those that are ``given``, where an estimator on data trains nothing."""
    if scored.known.needs == "data" and "steps" not in keywords(scored.known.load()):
        for idle in (name for name, value in given.items() if value):
            raise InputError(f"{idle} would have no effect: {scored.name} trains nothing; set trials instead")


@dataclass(frozen=True)
class OnDataOf:
    """Scores networks of a space on the data of a task at the supernet's ``sizes``, the proxy of the papers; ``choices``: its own."""

    space: Space
    choices: SearchSpace
    task: Kind
    sizes: Settings
    weights: Settings
    seed: int

    def by(self, known: Known, **length: Any) -> Any:
        """By an estimator; ``length``: of a training."""
        made = known.load()
        given = {"seed": self.seed, "strategy": self._training, "space": self.choices, **length}
        return made(self.network, self.task, **taken(made, given))

    def network(self, architecture: Architecture) -> nn.Module:
        """A fresh network of an architecture."""
        network: nn.Module = self.space.network(architecture, **self.space.network.taken(self.sizes))
        return network

    def further(self, epochs: int, steps: int | None, build: Callable[[Architecture], nn.Module]) -> FromScratch:
        """By training the networks that ``build`` gives, from the weights that they have."""
        return FromScratch(build, self.task, epochs=epochs, steps=steps, seed=self.seed, strategy=self._training)

    def _training(self, model: nn.Module, of: Task) -> Any:
        weights = partial(Weights, **{"lr_min": 0.0, **self.weights})
        return self.task.paced(Retrain(model, of, drop_path=0.0, weights=weights))


def table_of(given: TableFile, space: SearchSpace | None) -> Table:
    """The benchmark table of a command, over a space; None: over its own choices."""
    return Table.read(str(given.file), space=space, **given.model_dump(exclude={"file"}, exclude_none=True))
