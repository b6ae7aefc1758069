"""The last selection after a search over shared weights: the best few are trained a little from these, and the best of them is taken.

Shared weights tell good architectures from bad ones better than good ones from each other. Architectures that are trained further from the
weights that they were scored by are compared by what they learn (as the children of Real et al. 2017, https://arxiv.org/abs/1703.01041).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from supernet.costs.objective import Objective
from supernet.costs.passes import Passes
from supernet.estimators.scratch import FromScratch
from supernet.estimators.shared import SharedWeights
from supernet.explore.workers import ALONE, Crew
from supernet.progress import within
from supernet.run import Run
from supernet.searchers import Exhausted, Outcome
from supernet.space import Architecture
from supernet.strategies.retrain import Retrain
from supernet.task import Task
from supernet.trying import Costs, Found, try_architectures

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
    """``number``: how many are trained further. ``train(build)``: what trains the networks that ``build`` gives, and scores them."""

    number: int
    train: Callable[[Build], FromScratch]

    def held(
        self,
        found: Found,
        estimate: SharedWeights,
        objective: Objective,
        run: Run | None,
        *,
        costs: Costs | None,
        passes: Passes,
        crew: Crew = ALONE,
    ) -> Found:
        """``found``, with the architecture, scores and trained network of the winner; in the folder ``finals`` of ``run``."""
        space = estimate.supernet.space
        able = [trial.architecture for trial in found.trials[: self.number]]
        training = self.train(estimate.network)
        with run.sub("finals", {"finalists": len(able)}) if run else nullcontext() as sub:
            how: dict[str, Any] = {"costs": costs, "what": "finals", "passes": passes, "crew": crew}
            best = try_architectures(space, Listed(able), training, len(able), objective, sub, **how)[0]
        place = [space.key(architecture) for architecture in able].index(space.key(best.architecture))
        found.architecture, found.scores = space.matters(best.architecture), dict(best.scores or {})
        found.finals = {"trained": len(able), "place": 1 + place}
        with within("the winner of the finals, trained again"), training.apart():
            found.network = training.trained(best.architecture).model
        return found


def finals_of(number: int, task: Task, epochs: int, seed: int) -> Finals:
    """Finals of so many architectures, trained for ``epochs`` by the usual settings of ``Retrain``, without drop path."""
    strategy = partial(Retrain, auxiliary=None, drop_path=0.0)
    return Finals(number, lambda build: FromScratch(build, task, epochs=epochs, seed=seed, strategy=strategy))
