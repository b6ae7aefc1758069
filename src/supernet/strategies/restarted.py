"""Learning rates that begin again: Loshchilov, Hutter 2017 (SGDR), section 3, https://arxiv.org/abs/1608.03983"""

from __future__ import annotations

import math
from typing import Any

from torch import nn

from supernet.strategies.weights import Weights


class Restarted(Weights):
    """The rate falls in ``cycles``, each twice as long as the one before, as far as the first of them has an epoch; see ``Weights``."""

    def __init__(self, model: nn.Module, *, cycles: int = 4, **settings: Any):
        super().__init__(model, **settings)
        self.cycles = cycles

    def epoch(self, done: float, of: float) -> None:
        cycles = max(1, min(self.cycles, int(math.log2(of + 1))))
        first = of / (2**cycles - 1)
        passed = min(int(math.log2(done / first + 1) + 1e-9), cycles - 1)  # cycles that are over
        super().epoch(done - first * (2**passed - 1), first * 2**passed)
