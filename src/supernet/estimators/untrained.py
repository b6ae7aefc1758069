"""What scores of networks at initialisation share: weights drawn by a seed, one batch, gradients by weights.

Abdelfattah et al. 2021 (Zero-Cost Proxies), section 3.2, https://arxiv.org/abs/2101.08134: a score of one weight, added up over a network.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from supernet.errors import InputError
from supernet.randomness import drawing_apart
from supernet.space import Architecture
from supernet.task import Task
from supernet.tree import tensors

EXAMPLES = 64  # the paper's batch
WEIGHTED = (nn.modules.conv._ConvNd, nn.Linear)


class Untrained(ABC):
    """(architecture, fidelity) -> {``name``: the score of ``build(architecture)``}: more is taken for better.

    Weights are drawn by ``seed``, the same at every call. There is no cheaper answer: every fidelity has the same.
    """

    name: ClassVar[str]

    def __init__(self, build: Callable[[Architecture], nn.Module], task: Task, *, seed: int = 0):
        self.build, self.task, self.seed = build, task, seed

    def __call__(self, architecture: Architecture, fidelity: float = 1.0) -> dict[str, float]:
        with drawing_apart(self.task.device), torch.enable_grad():
            torch.manual_seed(self.seed)
            return {self.name: self.score(self.placed(self.build(architecture)))}

    def placed(self, model: nn.Module) -> nn.Module:
        """A fresh network where it is scored: on the device, in training mode, so that batch norms take the statistics of the batch."""
        return self.task.place(model).train()

    @abstractmethod
    def score(self, model: nn.Module) -> float:
        """The score of a fresh network, which may be changed; minus infinity of one that computes nothing."""


class OfLoss(Untrained):
    """A score by the loss on one batch of the validation data, no more than its first 64 examples, with their labels."""

    def __init__(self, build: Callable[[Architecture], nn.Module], task: Task, *, seed: int = 0):
        super().__init__(build, task, seed=seed)
        self.batch = task.few(EXAMPLES)

    def loss(self, model: nn.Module) -> Tensor:
        """The loss on the batch: ()."""
        return self.task.loss(self.task.predict(model, self.batch), self.batch)


def weights_of(model: nn.Module) -> list[Tensor]:
    """The weights, not the biases, of the convolutions and linear layers of a model."""
    return [module.weight for module in model.modules() if isinstance(module, WEIGHTED)]


def slopes(of: Tensor, at: list[Tensor], create_graph: bool = False) -> list[tuple[Tensor, Tensor]]:
    """The gradients of a number by each of those tensors that it depends on, in pairs: (tensor, gradient)."""
    at = [x for x in at if x.requires_grad]
    if not at or not of.requires_grad:
        return []
    found = torch.autograd.grad(of, at, allow_unused=True, create_graph=create_graph)
    return [(x, gradient) for x, gradient in zip(at, found, strict=True) if gradient is not None]


def numbers(name: str, task: Task, examples: int, least: int = 1) -> list[Tensor]:
    """What networks are given for so many examples; raises ``InputError`` for tokens, and for fewer examples than the ``least``."""
    inputs = tensors(task.sample(examples))
    if not all(x.is_floating_point() for x in inputs):
        raise InputError(f"{name} is a score by inputs that are numbers, and these networks read tokens: score them by training")
    if len(inputs[0]) < least:
        raise InputError(f"{name} tells the examples of a batch apart: it needs batches of at least {least}")
    return inputs
