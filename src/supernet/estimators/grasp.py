"""Score an untrained network by what its weights do for the flow of gradients: gradient signal preservation.

Wang et al. 2020 (GraSP), section 4.1, https://arxiv.org/abs/2002.07376; added up over a network: Abdelfattah et al. 2021, section 3.2,
https://arxiv.org/abs/2101.08134
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from supernet.estimators.untrained import OfLoss, slopes, weights_of


class Grasp(OfLoss):
    """(architecture, fidelity) -> {"grasp": minus the sum of weight x (H g)} over convolutions and linear layers.

    g is the gradient of the loss by these weights and H its Hessian, so that H g is the gradient of half the squared norm of g. The sign is
    that of the authors of the score, for whom more is better, and so is the temperature of the outputs, 1 and not the 200 of pruning.
    """

    name: ClassVar = "grasp"

    def score(self, model: nn.Module) -> float:
        weights = weights_of(model)
        first = [slope for _, slope in slopes(self.loss(model), weights, create_graph=True)]
        if not first:
            return 0.0
        flow = torch.stack([(slope * slope.detach()).sum() for slope in first]).sum()  # whose gradient is H g
        return -sum(float((weight * slope).detach().sum()) for weight, slope in slopes(flow, weights))
