"""Score an untrained network by how large the gradients of its loss are.

Abdelfattah et al. 2021, section 3.2 ("grad_norm"), https://arxiv.org/abs/2101.08134
"""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from supernet.estimators.untrained import OfLoss, slopes, weights_of


class GradNorm(OfLoss):
    """(architecture, fidelity) -> {"grad-norm": the sum of the Euclidean norms of the gradients of each convolution and linear layer}.

    As in the authors' code (https://github.com/SamsungLabs/zero-cost-nas), norms are taken layer by layer and added up.
    """

    name: ClassVar = "grad-norm"

    def score(self, model: nn.Module) -> float:
        return sum(float(slope.norm()) for _, slope in slopes(self.loss(model), weights_of(model)))
