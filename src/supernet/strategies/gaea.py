"""GAEA: Li, Khodak, Balcan, Talwalkar, ICLR 2021, section 3, https://arxiv.org/abs/2004.07802; https://github.com/liamcli/gaea_release

What is learnt is the share of every option itself, by the exponentiated gradients that suit the simplex: shares become sparse.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor

from supernet.errors import InputError, without_effect
from supernet.layers.base import Supernet
from supernet.mixture import Mix
from supernet.relaxations import all_options
from supernet.settings.quantities import RateOrNone
from supernet.strategies.gradient import Gradient
from supernet.task import Task

LEAST = 1e-5  # a share, as in the code: one of 0 would never grow again


def shares(alphas: Tensor, rng: Generator) -> Mix:
    """Every option, by its share."""
    return Mix(alphas.clone(), all_options(alphas))  # which asks no gradient of the alphas where a step on the weights draws it


class ExponentiatedGradient(torch.optim.Optimizer):
    """``share * exp(-lr * gradient)``, at least ``LEAST``, over the sum: mirror descent under the relative entropy (algorithm 1)."""

    def __init__(self, shares: Iterable[Tensor], lr: float):
        super().__init__(shares, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move all shares that have a gradient."""
        for group in self.param_groups:
            for share in group["params"]:
                if share.grad is not None:
                    share.mul_((-group["lr"] * share.grad).exp()).clamp_(min=LEAST).div_(share.sum())


class GAEA(Gradient):
    """GAEA DARTS: blends by the shares themselves, which begin equal. ``alpha_lr``: 0.1, in all spaces of the paper."""

    def __init__(self, supernet: Supernet, task: Task, *, alpha_lr: RateOrNone = 0.1, **settings: Any):
        for name in ("alpha_betas", "alpha_decay", "alpha_optimiser"):
            if name in settings:
                raise without_effect(name, "shares learn by exponentiated gradients")
        if settings.get("regularise"):
            raise InputError("regularisers are of logits, and GAEA learns shares: it excludes regularise")
        if not 0 < alpha_lr < math.inf:
            raise InputError(f"alpha_lr must be above 0; got {alpha_lr}")
        super().__init__(supernet, task, shares, alpha_optimiser=partial(ExponentiatedGradient, lr=alpha_lr), **settings)

    def begin(self, supernet: Supernet) -> None:
        super().begin(supernet)
        for alpha in self.alphas.values():
            alpha.data.fill_(1 / len(alpha))

    def belief(self) -> dict[str, list[float]]:
        """The share of every option."""
        return {name: alpha.detach().tolist() for name, alpha in self.alphas.items()}
