"""SNAS: Xie, Zheng, Liu, Lin, ICLR 2019, https://arxiv.org/abs/1812.09926

Weights and alphas descend one loss of one training batch, under Gumbel softmax draws. The paper gives no temperatures.
"""

from __future__ import annotations

from typing import Any

from torch import Generator, Tensor

from supernet import relaxations
from supernet.errors import InputError
from supernet.layers.base import Supernet
from supernet.mixture import Mix
from supernet.settings.quantities import Positive
from supernet.strategies.gradient import Gradient
from supernet.task import Task


class SNAS(Gradient):
    """Soft Gumbel draws of all options; the temperature falls linearly from the first to the second of ``temperature``."""

    def __init__(
        self,
        supernet: Supernet,
        task: Task,
        *,
        temperature: tuple[Positive, Positive] = (1.0, 0.33),
        single_level: bool = True,
        **settings: Any,
    ):
        if min(temperature) <= 0:
            raise InputError(f"temperatures must be above 0; got {temperature}")
        self.temperatures = temperature
        super().__init__(supernet, task, self._drawn, single_level=single_level, **settings)

    @property
    def temperature(self) -> float:
        """At this moment of the search."""
        first, last = self.temperatures
        return first + (last - first) * self.risen

    def _drawn(self, logits: Tensor, rng: Generator) -> Mix:
        return relaxations.gumbel(logits, rng, self.temperature)
