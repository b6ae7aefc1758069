"""How ENAS trains shared weights: Pham et al. 2018, https://arxiv.org/abs/1802.03268; https://github.com/melodyguan/enas

Learning rates begin again (Loshchilov, Hutter 2017, SGDR, section 3, https://arxiv.org/abs/1608.03983), and every step moves all
weights: what an option learns takes its full effect by momentum before the option is drawn again, which may be many steps later.
"""

from __future__ import annotations

import math

import torch

from supernet.ranks import ALONE, Ranks
from supernet.strategies.weights import Weights

FIRST, FEWEST = 10, 4  # epochs of the first cycle, cycles of a shorter search


class Restarted(Weights):
    """The rate falls in cycles, each twice as long as the one before: of 10, 20, 40, ... epochs; see ``Weights``.

    A search that is not as long as four of them has four that are shorter, as far as the first of these has an epoch.
    Weights that a step does not run, and that have run before, go on by their momentum and decay.
    """

    def epoch(self, done: float, of: float) -> None:
        cycles = max(1, min(max(FEWEST, int(math.log2(of / FIRST + 1))), int(math.log2(of + 1))))
        first = of / (2**cycles - 1)
        passed = min(int(math.log2(done / first + 1) + 1e-9), cycles - 1)  # cycles that are over
        super().epoch(done - first * (2**passed - 1), first * 2**passed)

    def update(self, ranks: Ranks = ALONE) -> None:
        for p in self.parameters:
            if p.grad is None and p in self.optimiser.state:  # it has run before
                p.grad = torch.zeros_like(p)
        super().update(ranks)
