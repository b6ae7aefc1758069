"""One-shot training: one supernet shares its weights among the architectures that are drawn; a searcher picks one afterwards.

Guo et al. 2020 (SPOS), section 3, https://arxiv.org/abs/1904.00420; Li, Talwalkar 2019 (random search with weight
sharing), https://arxiv.org/abs/1902.07638
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from random import Random
from typing import Any, ClassVar

from torch import Tensor, nn

from supernet.data.streams import Data
from supernet.layers.base import Supernet
from supernet.mixture import one_hot
from supernet.modes import training
from supernet.searchers.state import random_state, restore_random
from supernet.space import Architecture, SearchSpace
from supernet.strategies.weights import Reduce, Weights, alone, over
from supernet.task import Task

Draws = Callable[[SearchSpace, Random], Iterable[Architecture]]


def uniform(space: SearchSpace, rng: Random) -> Iterable[Architecture]:
    """One architecture, every option equally likely: the uniform paths of SPOS."""
    yield space.sample(rng)


class OneShot:
    """Each step trains the architectures that ``draws`` names on one batch, then updates the weights once.

    ``weights``: how the weights are trained, made from the supernet; or settings of ``Weights`` that differ from ``recipe``.
    """

    recipe: ClassVar[Mapping[str, Any]] = {"lr": 0.05, "lr_min": 0.0, "decay": 4e-5}

    def __init__(
        self,
        supernet: Supernet,
        task: Task,
        *,
        draws: Draws = uniform,
        weights: Callable[[nn.Module], Weights] | Mapping[str, Any] | None = None,
        seed: int = 0,
        reduce: Reduce = alone,
    ):
        self.supernet, self.task, self.draws, self.reduce, self.rng = supernet, task, draws, reduce, Random(seed)
        self.weights = weights(supernet) if callable(weights) else Weights(supernet, **over(self.recipe, weights))

    def step(self, data: Data) -> dict[str, Tensor]:
        """One update; the measured are those of the last architecture drawn."""
        measured: dict[str, Tensor] = {}

        def losses() -> Iterator[Tensor]:
            for _ in range(self.weights.accumulate):
                batch = data.next("train")
                for arch in self.draws(self.supernet.space, self.rng):
                    outputs = self.task.predict(partial(self.supernet, one_hot(self.supernet.space, arch)), batch)
                    loss = self.task.loss(outputs, batch)
                    measured.update(loss=loss.detach(), **self.task.measure(outputs, batch))
                    yield loss

        self.weights.step(losses(), self.reduce)
        return measured

    def training(self) -> AbstractContextManager[None]:
        """What is trained is in training mode meanwhile."""
        return training(self.supernet)

    def steps(self, data: Data) -> int:
        """How many steps make one pass of the training data."""
        return max(data.steps("train") // self.weights.accumulate, 1)

    def epoch(self, done: int, of: int, metrics: dict[str, Any]) -> bool:
        """Before the first epoch and after each: set the schedule. Never asks to stop."""
        self.weights.epoch(done, of)
        return False

    def facts(self) -> dict[str, Any]:
        """What a history line records of this strategy."""
        return {"learning_rate": self.weights.lr}

    def state_dict(self) -> dict[str, Any]:
        return {"supernet": self.supernet.state_dict(), "weights": self.weights.state_dict(), "rng": random_state(self.rng)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.supernet.load_state_dict(state["supernet"])
        self.weights.load_state_dict(state["weights"])
        restore_random(self.rng, state["rng"])
