"""Score an untrained network by how much of what enters it reaches its end, without data: synaptic flow.

Tanaka et al. 2020, section 5, https://arxiv.org/abs/2006.05467; as a score of architectures: Abdelfattah et al. 2021, section 3.2,
https://arxiv.org/abs/2101.08134
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from supernet.estimators.untrained import Untrained, numbers, slopes, weights_of
from supernet.modules.modes import evaluating
from supernet.space import Architecture
from supernet.task import Task
from supernet.tree import tensors


class Synflow(Untrained):
    """(architecture, fidelity) -> {"synflow": log10 of 1 + the synaptic flow of ``build(architecture)``}: more is taken for better.

    All weights are made positive, every input is one, and each weight of a convolution or linear layer counts by its product with
    its gradient of the sum of the outputs. Fresh batch norms, in evaluation mode, let through what they get. It takes one pass on the CPU
    in double precision, since the flow of a deep network is beyond what single precision holds.
    Raises ``InputError`` where the networks read no numbers but, such as a language model, tokens.
    """

    name: ClassVar = "synflow"

    def __init__(self, build: Callable[[Architecture], nn.Module], task: Task, *, seed: int = 0):
        super().__init__(build, task, seed=seed)
        self.inputs = [torch.ones_like(x, device="cpu").double() for x in numbers(self.name, task, 1)]

    def placed(self, model: nn.Module) -> nn.Module:
        return model.cpu().double()

    def score(self, model: nn.Module) -> float:
        return math.log10(1 + flow(model, self.inputs))


def flow(model: nn.Module, inputs: list[Tensor]) -> float:
    """The synaptic flow of a model, whose weights become positive: the sum of weight x gradient over its convolutions and linear layers."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.abs_()
    with evaluating(model), torch.enable_grad():
        reached = torch.stack([out.sum() for out in tensors(model(*inputs))]).sum()
        return float(sum((weight * slope).detach().abs().sum() for weight, slope in slopes(reached, weights_of(model))))
