"""DenseNAS: Fang et al. 2020, https://arxiv.org/abs/1906.09607; https://github.com/JaminFong/DenseNAS

Where forks lead is always blended by the softmax of all routes; of the operations two are blended while the alphas learn and one
runs while the weights do. The cost is the one expected over all routes, block after block, which is what
``supernet.mixture.expected`` gives of any blend.

Two things in the official code are not followed, so that a blend with all its weight on one route computes what the network derived
from it does. Its last block takes the softmax of the weights of the routes that lead to it, which are probabilities already; so it
blends its inputs almost evenly whatever the betas say. The published networks were found in this way; the paper has no second softmax.
And its alphas all learn for an epoch before the weights do; here steps alternate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from supernet import relaxations
from supernet.errors import InputError, without_effect
from supernet.layers.base import Supernet
from supernet.layers.routes import Fork
from supernet.mixture import Mix
from supernet.relaxations import Relaxation
from supernet.settings.quantities import Amount, Positive
from supernet.space import Architecture, Choice, SearchSpace
from supernet.strategies.gradient import Gradient
from supernet.strategies.rules import Belief, best_route
from supernet.task import Task


class DenseNAS(Gradient):
    """Soft routes; pairs of operations for the alphas, drawn ones for the weights; the best route by Viterbi.

    ``temperature``: of the softmax over routes, in training alone; operations have none. 1 in the official search with inverted
    residual blocks, 0.9 with basic blocks. The alphas learn after a third of the epochs (50 of 150; with basic blocks 10 of 70). The
    paper's data are 4 training images for one validation image, and a step on the alphas for each batch of these: ``inner_steps`` 4.
    """

    alike: ClassVar[bool] = False
    recipe: ClassVar[Mapping[str, Any]] = {"lr": 0.2, "lr_min": 1e-4, "decay": 4e-5, "clip": None}
    pricing: ClassVar[Mapping[str, Any]] = {"form": "log", "weight": 0.15, "reference": 15.0}

    def __init__(self, supernet: Supernet, task: Task, *, temperature: Positive = 1.0, warmup: Amount = 1 / 3, **settings: Any):
        if temperature <= 0:
            raise InputError(f"the temperature must be above 0; got {temperature}")
        if settings.get("single_level"):
            raise InputError("DenseNAS runs other operations for the alphas than for the weights: it excludes single_level")
        self.temperature = temperature
        how: dict[str, Any] = {"relax_weights": relaxations.draw, "rule": self._best_route, **settings}
        super().__init__(supernet, task, relaxations.soft_pair, warmup=warmup, **how)

    def begin(self, supernet: Supernet) -> None:
        self.routes = frozenset(layer.choice.name for layer in supernet.layers if isinstance(layer, Fork) and layer.choice)
        if not self.routes and self.temperature != 1:
            raise without_effect("temperature", "it is of the softmax over routes, and no layer is a Fork")
        super().begin(supernet)

    def blend(self, choice: Choice, relax: Relaxation) -> Mix:
        if choice.name in self.routes:
            return relaxations.softmax(self.alphas[choice.name] / self.temperature, self.rng)
        return super().blend(choice, relax)

    def alpha_step(self, train: Any, validation: Any) -> None:
        mixture = self.blended(self.relax)
        grads = self.slopes(mixture, validation)
        pairs = {n: mixture[n].runs for n, c in self.supernet.space.items() if n not in self.routes and c.pick is None}
        with relaxations.kept_shares(self.alphas, pairs):
            self.alphas.apply(grads, self.task.ranks)

    def _best_route(self, space: SearchSpace, belief: Belief) -> Architecture:
        return best_route(space, belief, self.routes)
