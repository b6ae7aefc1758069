"""FairDARTS: Chu, Zhou, Zhang, Li, ECCV 2020, https://arxiv.org/abs/1911.12126; https://github.com/xiaomi-automl/FairDARTS"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from supernet import relaxations
from supernet.errors import without_effect
from supernet.layers.base import Supernet
from supernet.settings.quantities import Betas, RateOrNone, Share
from supernet.strategies.gradient import Gradient
from supernet.strategies.regularisers import Named, Regulariser
from supernet.strategies.rules import confident
from supernet.task import Task


class FairDARTS(Gradient):
    """A gate per option, so that skip-connections win at nobody's cost, and a loss that drives every gate to be off or on.

    All gates begin half open. ``threshold``: a node keeps the inputs whose gate is wider, as few as its choice allows. The
    alphas' rate and betas, and the weights' rate, are those of the code.
    """

    needs: ClassVar[Mapping[str, Any]] = {"without_none": True, "least_inputs": 1}
    recipe: ClassVar[Mapping[str, Any]] = {"lr": 0.005}

    def __init__(
        self,
        supernet: Supernet,
        task: Task,
        *,
        threshold: Share = 0.85,
        alpha_lr: RateOrNone = 3e-3,
        alpha_betas: Betas = (0.9, 0.999),
        regularise: Sequence[Regulariser | Named] = ("zero-one",),
        **settings: Any,
    ):
        if "rule" in settings and threshold != 0.85:
            raise without_effect("threshold", "the rule is another one")
        if threshold != 0.85 and not any(choice.pick for choice in supernet.space.values()):
            raise without_effect("threshold", "it is for the inputs of a node, and no choice keeps several of its options")
        settings = {"rule": partial(confident, threshold=threshold), "regularise": regularise, **settings}
        super().__init__(supernet, task, relaxations.sigmoid, alpha_lr=alpha_lr, alpha_betas=alpha_betas, **settings)

    def begin(self, supernet: Supernet) -> None:
        super().begin(supernet)
        for alpha in self.alphas.values():
            alpha.data.zero_()

    def belief(self) -> dict[str, list[float]]:
        """How far the gate of every option is open."""
        return {name: alpha.detach().sigmoid().tolist() for name, alpha in self.alphas.items()}
