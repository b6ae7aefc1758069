"""The last selection after a search by cheap scores: the best few are trained a little, and the best of them is taken.

Shared weights, and scores of untrained networks, tell good architectures from bad ones better than good ones from each other. Architectures
that are trained further from the shared weights that they were scored by are compared by what they learn (as the children of Real et al.
2017, https://arxiv.org/abs/1703.01041); those of which nothing is trained yet, from nothing (after a warm-up by such scores Abdelfattah et
al. 2021, section 5, https://arxiv.org/abs/2101.08134, train what comes first).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from torch import nn

from supernet.costs.objective import Objective
from supernet.costs.passes import Passes
from supernet.estimators.scratch import FromScratch
from supernet.explore.executor import Estimate
from supernet.explore.workers import ALONE, Along, Crew, nothing
from supernet.progress import within
from supernet.run import Run
from supernet.searchers import Exhausted, Outcome, Searcher
from supernet.settings.given import Settings
from supernet.space import Architecture, SearchSpace
from supernet.strategies.retrain import Retrain
from supernet.strategies.weights import Weights
from supernet.task import Task
from supernet.trying import Costs, Found, among, best_of, try_architectures

Build = Callable[[Architecture], nn.Module]


class Listed:
    """A searcher that asks for given architectures, in order."""

    def __init__(self, architectures: Sequence[Architecture]):
        self.architectures, self.asked = list(architectures), 0

    def ask(self) -> tuple[int, Architecture]:
        """The next of them; raises ``Exhausted`` behind the last."""
        if self.asked == len(self.architectures):
            raise Exhausted("all of them were asked for")
        self.asked += 1
        return self.asked, self.architectures[self.asked - 1]

    def tell(self, number: int, architecture: Architecture, outcome: Outcome) -> None:
        """Nothing is learnt."""

    def state_dict(self) -> dict[str, Any]:
        """How many were asked for."""
        return {"asked": self.asked}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the searcher that gave ``state``."""
        self.asked = state["asked"]


@dataclass(frozen=True)
class Finals:
    """``number``: how many are trained. ``train(build)``: what trains the networks that ``build`` gives, and scores them.

    ``start``: what they are trained from.
    """

    number: int
    train: Callable[[Build], FromScratch]
    start: Literal["shared", "nothing"] = "shared"

    def held(
        self,
        found: Found,
        space: SearchSpace,
        build: Build,
        objective: Objective,
        run: Run | None,
        *,
        costs: Costs | None,
        passes: Passes,
        crew: Crew = ALONE,
    ) -> Found:
        """``found``, with architecture and scores of the winner by ``objective``; in the folder ``finals`` of ``run``."""
        able = [trial.architecture for trial in found.trials[: self.number]]
        with run.sub("finals", {"finalists": len(able)}) if run else nullcontext() as sub:
            how: dict[str, Any] = {"costs": costs, "what": "finals", "passes": passes, "crew": crew}
            training = self.train(build)
            tried = try_architectures(space, Listed(able), training, len(able), objective, sub, **how)
            best = tried[0]
        place = [space.key(architecture) for architecture in able].index(space.key(best.architecture))
        return replace(
            found,
            architecture=space.matters(best.architecture),
            scores=dict(best.scores or {}),
            finals={"trained": len(able), "from": self.start, "place": 1 + place},
            decided=found.decided | among(tried, objective, training.task, "finals"),
        )

    def winner(self, found: Found, build: Build) -> nn.Module:
        """The network of what won, trained again to the weights that it is scored by."""
        training = self.train(build)
        with within("the winner of the finals, trained again"), training.apart():
            network: nn.Module = training.trained(found.architecture).model
        return network


def trainings(finalists: int) -> int:
    """How many trainings finals are: those of the finalists, and that of the winner once more, whose network is handed back."""
    return finalists + 1


def finals_of(
    number: int, task: Task, epochs: int, seed: int, weights: Settings | None = None, start: Literal["shared", "nothing"] = "shared"
) -> Finals:
    """Finals of so many architectures, trained for ``epochs`` by the usual settings of ``Retrain``, without drop path.

    ``weights``: settings of ``Weights`` beside these.
    """
    own: dict[str, Any] = {"weights": partial(Weights, **{"lr_min": 0.0, **weights})} if weights else {}
    strategy = partial(Retrain, auxiliary=None, drop_path=0.0, **own)
    return Finals(number, lambda build: FromScratch(build, task, epochs=epochs, seed=seed, strategy=strategy), start)


def selected(
    space: SearchSpace,
    searcher: Searcher,
    estimate: Estimate,
    trials: int,
    objective: Objective,
    finals: Finals | None,
    build: Build,
    judged: Objective,
    run: Run | None,
    task: Task,
    *,
    costs: Costs | None,
    passes: Passes,
    crew: Crew = ALONE,
    along: Along = nothing,
) -> Found:
    """What a searcher finds by the ``objective`` of an estimate; then, of the best, what ``finals`` take by ``judged``, with its network.

    ``build``: the networks that they train. The others: see ``try_architectures``.
    """
    how: dict[str, Any] = {"costs": costs, "passes": passes, "crew": crew}
    tried = try_architectures(space, searcher, estimate, trials, objective, run, along=along, **how)
    found = best_of(tried, space, objective, searcher, task)
    if finals:
        found = finals.held(found, space, build, judged, run, **how)
        found.network = finals.winner(found, build)
    found.multiply_adds = passes.total
    return found
