"""One-shot training by the sandwich rule: the largest network by the labels, smaller ones by its outputs, regularised in the largest alone.

Yu et al. 2020 (BigNAS), section 3.1, https://arxiv.org/abs/2003.11142: the smaller networks hardly overfit, so that dropout is only
for the largest. Weight decay is as well: it is one term of a step, whose gradient the largest network alone has in full.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from supernet.layers.base import Supernet
from supernet.mixture import Mixture
from supernet.modules.modes import evaluating
from supernet.ops import DropPath
from supernet.settings.quantities import Count
from supernet.space import Architecture
from supernet.strategies.lessons import Taught, sandwich, sizes_by_macs
from supernet.strategies.one_shot import Objective, OneShot, taught
from supernet.strategies.weights import Weights
from supernet.task import Task


class Sandwiched(OneShot):
    """Each step runs the largest architecture, ``between`` that ``draw`` gives, and the smallest, on one batch.

    ``objective``, ``weights``, ``seed``: as of ``OneShot``. In a space without sizes options are larger that
    multiply and add more. Raises ``InputError`` for a space in which nothing is larger.
    """

    def __init__(
        self,
        supernet: Supernet,
        task: Task,
        *,
        between: Count = 2,
        objective: Objective = taught,
        weights: Callable[[nn.Module], Weights] | Mapping[str, Any] | None = None,
        seed: int = 0,
    ):
        self.sizes = sizes_by_macs(supernet, task)
        lessons = partial(sandwich, between=between, sizes=self.sizes)
        super().__init__(supernet, task, lessons=lessons, objective=objective, weights=weights, seed=seed)
        self.between = between
        self.dropouts = [m for m in supernet.modules() if isinstance(m, _DropoutNd | DropPath)]

    def draw(self, batch: Any) -> Architecture:
        """An architecture between the largest and the smallest, for a batch."""
        return self.supernet.space.sample(self.rng)

    def lessons_on(self, batch: Any) -> Taught:
        return sandwich(self.supernet.space, self.rng, self.progress, self.between, partial(self.draw, batch), self.sizes)

    def outputs(self, mixture: Mixture, batch: Any, target: Any) -> Any:
        with ExitStack() as whole:
            for dropout in self.dropouts if target is not None else ():
                whole.enter_context(evaluating(dropout))
            return super().outputs(mixture, batch, target)
