"""FairNAS: Chu, Zhang, Xu 2021, section 3, https://arxiv.org/abs/1907.01845

Strict fairness: a step trains as many paths as a choice has options, each on a batch of its own, so that every option is trained once, and
updates the weights once, by the sum of the gradients. A searcher picks an architecture afterwards. No code of the search was released.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, ClassVar

from torch import nn

from supernet.layers.base import Supernet
from supernet.mixture import one_hot
from supernet.space import Choice, Option, SearchSpace, Taken
from supernet.strategies.lessons import Taught
from supernet.strategies.one_shot import Objective, OneShot, taught
from supernet.strategies.weights import Weights
from supernet.task import Task


class FairNAS(OneShot):
    """After every T steps each option of each choice was trained exactly T times, where all choices have as many options.

    Choices take their options in random orders, all once before any again, so that of a choice with fewer options none is ever ahead of
    another by more than one. What stands below an option that was not taken is passed over; subsets are drawn.
    ``objective``, ``weights``, ``seed``: as of ``OneShot``.
    """

    recipe: ClassVar[Mapping[str, Any]] = {"lr": 0.045, "lr_min": 0.0, "decay": 4e-5}

    def __init__(
        self,
        supernet: Supernet,
        task: Task,
        *,
        objective: Objective = taught,
        weights: Callable[[nn.Module], Weights] | Mapping[str, Any] | None = None,
        seed: int = 0,
    ):
        self.waiting: dict[str, list[Option]] = {}  # of each choice the options that it has still to take before it begins again
        super().__init__(supernet, task, lessons=self._next, objective=objective, weights=weights, seed=seed)
        self.waiting = {}  # the lessons were tried
        self.paths = max((len(choice.able) for choice in supernet.space.values() if choice.pick is None), default=1)

    @property
    def batches(self) -> int:
        return self.paths * super().batches

    def _next(self, space: SearchSpace, rng: Random, progress: float) -> Taught:
        """One path, of the options whose turn it is."""
        yield one_hot(space, {name: self._turn(choice, rng) for name, choice in space.items()}), None

    def _turn(self, choice: Choice, rng: Random) -> Taken:
        if choice.pick is not None:
            return choice.draw(rng)
        left = self.waiting.setdefault(choice.name, [])
        if not left:
            left += rng.sample(choice.able, len(choice.able))
        return left.pop()

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "waiting": {name: list(left) for name, left in self.waiting.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.waiting = {name: list(left) for name, left in state["waiting"].items()}
