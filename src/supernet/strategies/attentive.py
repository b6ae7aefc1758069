"""AttentiveNAS: Wang et al. 2021, section 4, https://arxiv.org/abs/2011.09011; https://github.com/facebookresearch/AttentiveNAS

The sandwich rule, in which the networks between the largest and the smallest are the best, or the worst, of some that cost the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from supernet.costs.table import cost_of, count_tables
from supernet.layers.base import Supernet
from supernet.mixture import one_hot
from supernet.modules.modes import kept_buffers
from supernet.settings.quantities import Count
from supernet.space import Architecture, SearchSpace, Taken
from supernet.strategies.one_shot import Objective, taught
from supernet.strategies.sandwiched import Sandwiched
from supernet.strategies.weights import Weights
from supernet.task import Task

OBSERVED, TRIES = 1000, 100  # architectures that costs are learnt of; draws for one of a cost, after which any is taken


class OfEqualCost:
    """Draws architectures that cost the same: a cost as probable as of a uniform draw, then each choice as often as it is seen there.

    ``bins``: equal parts of the range of costs that are told apart (the code has steps of 25 million multiply-adds).
    """

    def __init__(self, space: SearchSpace, cost: Callable[[Architecture], float], bins: int):
        rng, self.cost, self.bins = Random(0), cost, bins
        seen = [space.sample(rng) for _ in range(OBSERVED)]
        costs = [cost(architecture) for architecture in seen]
        self.low, self.step = min(costs), (max(costs) - min(costs)) / bins or 1.0
        self.frequency = Counter(map(self.bin, costs))
        self.taken: dict[int, dict[str, Counter[Taken]]] = {b: {name: Counter() for name in space} for b in self.frequency}
        for architecture, spent in zip(seen, costs, strict=True):
            for name, taken in architecture.items():
                self.taken[self.bin(spent)][name][taken] += 1

    def bin(self, cost: float) -> int:
        """The part of the range in which a cost lies."""
        return min(max(int((cost - self.low) / self.step), 0), self.bins - 1)

    def draw(self, count: int, rng: Random) -> list[Architecture]:
        """``count`` architectures of one cost."""
        target = drawn(self.frequency, rng)
        return [self._of(target, rng) for _ in range(count)]

    def _of(self, target: int, rng: Random) -> Architecture:
        for _ in range(TRIES):
            architecture = {name: drawn(counts, rng) for name, counts in self.taken[target].items()}
            if self.bin(self.cost(architecture)) == target:
                break
        return architecture


def drawn(counts: Counter[Any], rng: Random) -> Any:
    """One of what was counted, as probable as it was frequent."""
    return rng.choices(list(counts), list(counts.values()))[0]


class AttentiveNAS(Sandwiched):
    """``between`` networks a step, each the ``best`` (BestUp) or the ``worst`` (WorstUp) of ``candidates`` by the loss on the batch.

    The candidates cost the same multiply-adds, to one of ``bins`` parts of their range. The rate of 0.1 is for batches of 256. The code
    clips each entry of the gradient at 1, and vectors do not decay; here the norm is clipped, and all decay.
    ``objective``, ``weights``, ``seed``: as of ``OneShot``. Raises ``InputError`` for a space without sizes.
    """

    recipe: ClassVar[Mapping[str, Any]] = {"lr": 0.1, "lr_min": 0.0, "nesterov": True, "decay": 1e-5}

    def __init__(
        self,
        supernet: Supernet,
        task: Task,
        *,
        between: Count = 2,
        candidates: Count = 3,
        take: Literal["best", "worst"] = "best",
        bins: Count = 20,
        objective: Objective = taught,
        weights: Callable[[nn.Module], Weights] | Mapping[str, Any] | None = None,
        seed: int = 0,
    ):
        super().__init__(supernet, task, between=between, objective=objective, weights=weights, seed=seed)
        self.candidates, self.take = candidates, take
        cost = cost_of(supernet.space, count_tables(supernet, *task.sample(1))["macs"])
        self.equal = OfEqualCost(supernet.space, cost, bins)

    def draw(self, batch: Any) -> Architecture:
        """The best or the worst of some of equal cost, by the labels."""
        drawn = self.equal.draw(self.candidates, self.rng)
        with torch.no_grad(), kept_buffers(self.supernet):
            mixtures = [one_hot(self.supernet.space, architecture) for architecture in drawn]
            losses = torch.stack([self.task.loss(self.outputs(mixture, batch, batch), batch) for mixture in mixtures]).tolist()
        return drawn[losses.index(min(losses) if self.take == "best" else max(losses))]
