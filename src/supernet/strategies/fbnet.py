"""FBNet: Wu et al., CVPR 2019, https://arxiv.org/abs/1812.03443

Gumbel softmax blends of all operations; the loss times a power of the logarithm of the expected latency. There is no official code
of the search, so this follows the paper. Of the programs that are copied as FBNet, github.com/AnnaAraslanova/FBNet multiplies
the loss by the logarithm and the exponent instead, and github.com/JunrQ/NAS adds a power of the latency to it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Generator, Tensor

from supernet import relaxations
from supernet.errors import InputError
from supernet.layers.base import Supernet
from supernet.mixture import Mix
from supernet.settings.quantities import Amount, Betas, Count, Positive, RateOrNone
from supernet.strategies.gradient import Gradient
from supernet.task import Task


class FBNet(Gradient):
    """Soft Gumbel draws, whose temperature falls from ``temperature`` by the factor exp(-``cooling``) over the search.

    That is exp(-0.045) for each of the paper's 90 epochs. The alphas wait for 10 of these, and learn from a fifth of the data: one
    step after four on the weights. The paper gives neither the momentum and decay of the weights nor the betas of the alphas.
    """

    recipe: ClassVar[Mapping[str, Any]] = {"lr": 0.1, "lr_min": 0.0, "decay": 1e-4, "clip": None}
    pricing: ClassVar[Mapping[str, Any]] = {"form": "power", "weight": 0.2, "exponent": 0.6, "reference": math.e}

    def __init__(
        self,
        supernet: Supernet,
        task: Task,
        *,
        temperature: Positive = 5.0,
        cooling: Amount = 4.05,
        warmup: Amount = 1 / 9,
        inner_steps: Count = 4,
        alpha_lr: RateOrNone = 0.01,
        alpha_betas: Betas = (0.9, 0.999),
        alpha_decay: Amount = 5e-4,
        **settings: Any,
    ):
        if temperature <= 0 or cooling < 0:
            raise InputError(f"the temperature must be above 0 and its cooling at least 0; got {temperature} and {cooling}")
        self.first, self.cooling = temperature, cooling
        super().__init__(
            supernet,
            task,
            self._drawn,
            warmup=warmup,
            inner_steps=inner_steps,
            alpha_lr=alpha_lr,
            alpha_betas=alpha_betas,
            alpha_decay=alpha_decay,
            **settings,
        )

    @property
    def temperature(self) -> float:
        """At this moment of the search."""
        return self.first * math.exp(-self.cooling * self.done / self.of)

    def _drawn(self, logits: Tensor, rng: Generator) -> Mix:
        return relaxations.gumbel(logits, rng, self.temperature)
