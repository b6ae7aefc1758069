"""An ensemble of perceptrons over encoded architectures.

White et al. 2021 (BANANAS), section 4, https://arxiv.org/abs/1910.11858; theirs have ten layers of 20 and learn longer
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from supernet.predictors.ensemble import MEMBERS, Ensemble, drawn

HIDDEN = (20, 20, 20)


class Perceptrons(Ensemble):
    """Three hidden layers of 20 with ReLU, five times."""

    def weights(self, generator: torch.Generator) -> list[Tensor]:
        """Matrix and bias of every layer."""
        found = []
        for inputs, outputs in pairwise((self.encoding.width, *HIDDEN, 1)):
            found += [drawn(generator, MEMBERS, inputs, outputs), torch.zeros(MEMBERS, 1, outputs)]
        return found

    def outputs(self, weights: Sequence[Tensor], rows: Tensor) -> Tensor:
        """What every member says: (members, n)."""
        states = rows
        for i in range(0, len(weights), 2):
            states = (states if i == 0 else states.relu()) @ weights[i] + weights[i + 1]  # (members, n, outputs)
        return states[..., 0]

    def gradients(self, weights: Sequence[Tensor], rows: Tensor, targets: Tensor) -> Sequence[Tensor]:
        """As autograd gives them, without its graph, which takes longer than these sums."""
        states = [rows]
        for i in range(0, len(weights) - 2, 2):
            states.append(torch.baddbmm(weights[i + 1], states[-1], weights[i]).relu_())  # (members, n, outputs)
        slope = (torch.baddbmm(weights[-1], states[-1], weights[-2]) - targets[..., None]).sign_().div_(targets.shape[1])
        found: list[Tensor] = []
        for i in range(len(weights) - 2, -1, -2):
            state = states[i // 2]
            found = [state.mT.bmm(slope), slope.sum(1, keepdim=True), *found]
            if i:
                slope = slope.bmm(weights[i].mT).mul_(state > 0)
        return found
