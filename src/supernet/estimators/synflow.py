"""Score an untrained network by how much of what enters it reaches its end, without data: synaptic flow.

Tanaka et al. 2020, section 5, https://arxiv.org/abs/2006.05467; as a score of architectures: Abdelfattah et al. 2021, section 3.2,
https://arxiv.org/abs/2101.08134
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from supernet.errors import InputError
from supernet.modules.modes import evaluating
from supernet.randomness import drawing_apart
from supernet.space import Architecture
from supernet.task import Task
from supernet.tree import tensors

WEIGHTED = (nn.modules.conv._ConvNd, nn.Linear)


class Synflow:
    """(architecture, fidelity) -> {"synflow": log10 of 1 + the synaptic flow of ``build(architecture)``}: more is taken for better.

    All weights are made positive, every input is one, and each weight of a convolution or linear layer counts by its product with
    its gradient of the sum of the outputs. Fresh batch norms, in evaluation mode, let through what they get. It takes one pass on the CPU
    in double precision, of weights drawn by ``seed``; so there is no cheaper answer, and every fidelity has the same.
    Raises ``InputError`` where the networks read no numbers but, such as a language model, tokens.
    """

    def __init__(self, build: Callable[[Architecture], nn.Module], task: Task, *, seed: int = 0):
        self.build, self.seed = build, seed
        self.inputs = [torch.ones_like(x, device="cpu") for x in tensors(task.sample(1))]
        if not all(x.is_floating_point() for x in self.inputs):
            raise InputError("synflow follows numbers from the input to the output, and these networks read tokens: score them by training")
        self.inputs = [x.double() for x in self.inputs]

    def __call__(self, architecture: Architecture, fidelity: float = 1.0) -> dict[str, float]:
        with drawing_apart():
            torch.manual_seed(self.seed)
            model = self.build(architecture).cpu().double()
            return {"synflow": math.log10(1 + flow(model, self.inputs))}


def flow(model: nn.Module, inputs: list[Tensor]) -> float:
    """The synaptic flow of a model, whose weights become positive: the sum of weight x gradient over its convolutions and linear layers."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.abs_()
    weights = [module.weight for module in model.modules() if isinstance(module, WEIGHTED)]
    with evaluating(model), torch.enable_grad():
        reached = torch.stack([out.sum() for out in tensors(model(*inputs))]).sum()
        gradients = torch.autograd.grad(reached, weights, allow_unused=True)
    return float(sum((weight * g).detach().abs().sum() for weight, g in zip(weights, gradients, strict=True) if g is not None))
