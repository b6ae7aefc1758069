"""How the alphas of a gradient search learn: by which optimiser, from which epoch on, and by turns with the weights or together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor

from supernet.errors import InputError, without_effect
from supernet.settings.quantities import Amount, Betas, Count, Positive, RateOrNone
from supernet.strategies.turns import Alternating, Together, Turns

MakeOptimiser = Callable[[Iterable[Tensor]], torch.optim.Optimizer]


class Learning:
    """What a gradient strategy's settings say of its alphas, by the names that they have there.

    ``alpha_optimiser``: from the alphas; else Adam with ``alpha_lr``, ``alpha_betas``, ``alpha_decay``.
    ``alpha_clip``: the largest norm of all the alphas' gradients together; None: no clipping.
    ``warmup``: first epochs without alpha steps, below 1 a fraction of all. ``inner_steps``: weight steps per alpha step.
    ``alphas_on``: the stream of the alpha step, "validation" (unless given) or "train". ``single_level``: one loss of one training
    batch steps both; it excludes ``inner_steps`` and "validation".
    Raises ``InputError`` for settings out of range and for those that exclude each other.
    """

    def __init__(
        self,
        *,
        alpha_lr: RateOrNone = 3e-4,
        alpha_betas: Betas = (0.5, 0.999),
        alpha_decay: Amount = 1e-3,
        alpha_optimiser: MakeOptimiser | None = None,
        alpha_clip: Positive | None = None,
        warmup: Amount = 0,
        inner_steps: Count = 1,
        alphas_on: str | None = None,
        single_level: bool = False,
    ):
        if inner_steps < 1:
            raise InputError(f"inner_steps must be at least 1; got {inner_steps}")
        if alphas_on not in (None, "validation", "train"):
            raise InputError(f"alphas_on must be 'validation' or 'train'; got {alphas_on!r}")
        if single_level and (inner_steps > 1 or alphas_on == "validation"):
            idle = "inner_steps" if inner_steps > 1 else "alphas_on"
            raise without_effect(idle, "with single_level one loss of training data steps alphas and weights")
        if not warmup >= 0 or not (alpha_clip is None or alpha_clip > 0):
            raise InputError(f"warmup must be at least 0 and alpha_clip above 0, or none; got {warmup} and {alpha_clip}")
        self.optimiser = alpha_optimiser or adam(alpha_lr, alpha_betas, alpha_decay)
        self.clip, self.warmup, self.single_level = alpha_clip, warmup, single_level
        self.turns: Turns = Together() if single_level else Alternating(alphas_on or "validation", inner_steps)

    def waits(self, of: int) -> float:
        """How many of the ``of`` epochs of a search pass before the alphas learn."""
        return self.warmup * of if self.warmup < 1 else self.warmup


def adam(lr: float, betas: tuple[float, float], decay: float) -> MakeOptimiser:
    """Adam of the alphas; raises ``InputError`` for settings out of range."""
    if not 0 < lr < float("inf") or not 0 <= decay < float("inf") or not all(0 <= beta < 1 for beta in betas):
        raise InputError(f"alpha_lr must be above 0, alpha_betas in [0, 1), alpha_decay at least 0; got {lr}, {tuple(betas)} and {decay}")
    return partial(torch.optim.Adam, lr=lr, betas=betas, weight_decay=decay)
