"""How weights are trained: one optimiser, its schedule, clipping and accumulation. Every strategy has one of these."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from supernet.errors import InputError

Reduce = Callable[[list[Tensor]], None]  # averages tensors over the ranks, in place
Schedule = Callable[[float], float]  # progress in [0, 1) -> factor of the learning rate


def alone(grads: list[Tensor]) -> None:
    """One rank: nothing to average."""


class Weights:
    """SGD with momentum, or ``optimiser(parameters)``; the learning rate falls by a cosine from ``lr`` to ``lr_min``.

    The rate of epoch e of E is ``lr_min + (lr - lr_min) (1 + cos(pi e / E)) / 2``, so that the first epoch has ``lr``
    (Loshchilov, Hutter 2017, https://arxiv.org/abs/1608.03983). ``schedule(e / E)``: another factor of ``lr`` instead.
    ``clip``: the largest norm of all gradients together; None: no clipping. ``accumulate``: batches per step.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        lr: float = 0.025,
        lr_min: float = 0.001,
        momentum: float = 0.9,
        nesterov: bool = False,
        decay: float = 3e-4,
        clip: float | None = 5.0,
        accumulate: int = 1,
        schedule: Schedule | None = None,
        optimiser: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer] | None = None,
    ):
        if accumulate < 1:
            raise InputError(f"accumulate must be at least 1; got {accumulate}")
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        if optimiser is None:
            self.optimiser: torch.optim.Optimizer = torch.optim.SGD(self.parameters, lr, momentum, weight_decay=decay, nesterov=nesterov)
        else:
            self.optimiser = optimiser(self.parameters)
        self.clip, self.accumulate = clip, accumulate
        self.full = [float(g["lr"]) for g in self.optimiser.param_groups]
        self.schedule = schedule or (lambda done: lr_min / lr + (1 - lr_min / lr) * (1 + math.cos(math.pi * done)) / 2)

    @property
    def lr(self) -> float:
        """The present learning rate."""
        return float(self.optimiser.param_groups[0]["lr"])

    def epoch(self, done: int, of: int) -> None:
        """Set the learning rate of epoch ``done``."""
        for group, full in zip(self.optimiser.param_groups, self.full, strict=True):
            group["lr"] = full * self.schedule(min(done / max(of, 1), 1.0))

    def step(self, losses: Iterable[Tensor], reduce: Reduce = alone) -> None:
        """One step by the sum of ``losses`` over ``accumulate``; each is made, and freed, before the next."""
        self.optimiser.zero_grad()
        for loss in losses:
            (loss / self.accumulate).backward()  # type: ignore[no-untyped-call]
        self.update(reduce)

    def apply(self, grads: Sequence[Tensor | None], reduce: Reduce = alone) -> None:
        """One step by given gradients."""
        for p, g in zip(self.parameters, grads, strict=True):
            p.grad = g
        self.update(reduce)

    def update(self, reduce: Reduce = alone) -> None:
        """Average the gradients that exist over the ranks, clip, step."""
        have = [p for p in self.parameters if p.grad is not None]
        reduce([p.grad for p in have if p.grad is not None])
        if self.clip is not None:
            nn.utils.clip_grad_norm_(have, self.clip)
        self.optimiser.step()

    def state_dict(self) -> dict[str, Any]:
        return self.optimiser.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimiser.load_state_dict(state)
