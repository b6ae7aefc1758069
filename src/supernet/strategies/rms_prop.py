"""RMSProp of the weights on a falling staircase: what Single-Path NAS trains by. Stamoulis et al. 2019, https://arxiv.org/abs/1904.02877"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from supernet.errors import without_effect
from supernet.settings.quantities import Amount, Part, Positive, Rate
from supernet.strategies.weights import Schedule, Weights, check


def staircase(done: float) -> float:
    """0.97 for every 2.4 epochs of a search of 8: share of the search -> factor of the learning rate."""
    return float(0.97 ** math.floor(done * 8 / 2.4))


def rms_prop(
    model: nn.Module,
    *,
    lr: Rate = 0.016,
    momentum: Part = 0.9,
    decay: Amount = 1e-5,
    clip: Positive | None = None,
    schedule: Schedule = staircase,
    **settings: Any,
) -> Weights:
    """The paper's training of the weights. ``lr``: for batches of 256; it is proportional to the batch size (0.064 at 1,024 images).

    Vectors, such as those of batch norm, do not decay. ``clip``, ``schedule``, ``settings``: of ``Weights``. Raises
    ``InputError`` as that does.
    """
    for name in ("nesterov", "optimiser"):
        if settings.get(name) is not None:
            raise without_effect(name, "the weights learn by RMSProp; for another optimiser let weights be a function of the model")
    check({**Weights.usual, "lr": lr, "momentum": momentum, "decay": decay}, clip, 1)

    def make(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        held = list(parameters)
        kernels = {"params": [p for p in held if p.dim() > 1], "weight_decay": decay}
        return rms([kernels, {"params": [p for p in held if p.dim() <= 1]}], lr, momentum)

    return Weights(model, optimiser=make, schedule=schedule, clip=clip, **settings)


def rms(groups: list[dict[str, Any]], lr: float, momentum: float = 0.9) -> torch.optim.Optimizer:
    """RMSProp that forgets by 0.9. The paper's TensorFlow adds 0.001 below the root, torch the root of that beside it."""
    return torch.optim.RMSprop(groups, lr, alpha=0.9, eps=0.001**0.5, momentum=momentum)
