"""Score an untrained network by how much its loss would change without each of its weights: connection sensitivity.

Lee et al. 2019 (SNIP), section 4, https://arxiv.org/abs/1810.02340; added up over a network: Abdelfattah et al. 2021, section 3.2,
https://arxiv.org/abs/2101.08134
"""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from supernet.estimators.untrained import OfLoss, slopes, weights_of


class Snip(OfLoss):
    """(architecture, fidelity) -> {"snip": the sum over convolutions and linear layers of abs(weight * its gradient)}."""

    name: ClassVar = "snip"

    def score(self, model: nn.Module) -> float:
        return sum(float((weight * slope).detach().abs().sum()) for weight, slope in slopes(self.loss(model), weights_of(model)))
