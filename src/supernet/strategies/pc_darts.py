"""PC-DARTS: Xu et al., ICLR 2020, https://arxiv.org/abs/1907.05737; https://github.com/yuhuixu1993/PC-DARTS

Operations see a part of the channels, which is a setting of the space (``partial``) or the layer ``Partial`` in a module of
one's own; inputs have alphas too (edge normalisation), and the alphas wait until the weights have learnt something.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from supernet import relaxations
from supernet.layers.base import Supernet
from supernet.settings.quantities import Amount, RateOrNone
from supernet.space import Choice
from supernet.strategies.gradient import Gradient
from supernet.task import Task


class PCDARTS(Gradient):
    """Softmax over operations and over a node's inputs; an edge is worth the product of both. Warm-up: 15 of 50 epochs."""

    needs: ClassVar[Mapping[str, Any]] = {"partial": 4}
    recipe: ClassVar[Mapping[str, Any]] = {"lr": 0.1, "lr_min": 0.0}

    def __init__(self, supernet: Supernet, task: Task, *, warmup: Amount = 0.3, alpha_lr: RateOrNone = 6e-4, **settings: Any):
        super().__init__(supernet, task, relaxations.softmax, warmup=warmup, alpha_lr=alpha_lr, **settings)

    @classmethod
    def logits(cls, choice: Choice) -> int:
        """An alpha for each option of every choice, inputs too."""
        return len(choice.options)
