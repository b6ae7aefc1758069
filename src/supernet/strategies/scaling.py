"""Scaling of losses, without which small gradients vanish in float16: Micikevicius et al. 2018, section 3.2, https://arxiv.org/abs/1710.03740

Numbers and rule are those of ``torch.amp.GradScaler``: the scale halves where a gradient overflows, and doubles after 2000 steps without.
That reads from the device in every step whether to take it; here, so that the host need not wait, what overflowed counts as zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

FIRST, INTERVAL = 2.0**16, 2000


class Scaling:
    """By how much the losses of a network that runs in ``precision`` are scaled; of another than float16, not at all."""

    def __init__(self, precision: torch.dtype | None = None, device: torch.device | str = "cpu"):
        self.on = precision == torch.float16
        self.scale = torch.full((), FIRST if self.on else 1.0, device=device)
        self.passed = torch.zeros((), device=device)  # steps without overflow at this scale

    def scaled(self, loss: Tensor) -> Tensor:
        """The loss whose gradients are computed."""
        return loss * self.scale.to(loss.device, non_blocking=True) if self.on else loss

    def gradients(self, loss: Tensor, of: Sequence[Tensor], **how: Any) -> Sequence[Any]:
        """The gradient of ``loss`` by each tensor, computed of the scaled one; ``how``: of ``torch.autograd.grad``."""
        if not self.on:
            return torch.autograd.grad(loss, of, **how)
        there = {device: self.scale.to(device, non_blocking=True) for device in {x.device for x in of}}  # arrives before the gradients do
        found = torch.autograd.grad(self.scaled(loss), of, **how)
        return [None if g is None else g / there[g.device] for g in found]

    def unscale(self, gradients: Sequence[Tensor]) -> None:
        """Make those of scaled losses the gradients of the losses, in place."""
        if self.on and gradients:
            torch._foreach_div_(list(gradients), self.scale)

    def settle(self, gradients: Sequence[Tensor]) -> None:
        """Before a step: where any of its gradients overflowed, all become zero, in place; the scale adapts."""
        if not self.on or not gradients:
            return
        finite = torch.stack(torch._foreach_norm(list(gradients), float("inf"))).isfinite().all()
        for gradient in gradients:
            gradient.masked_fill_(~finite, 0.0)
        passed = self.passed + 1
        grown = torch.where(passed >= INTERVAL, 2 * self.scale, self.scale)
        self.passed = torch.where(finite & (passed < INTERVAL), passed, torch.zeros_like(passed))
        self.scale = torch.where(finite, grown, self.scale / 2)

    def whole(self, gradients: Sequence[Tensor | None]) -> bool:
        """Whether gradients on the CPU, where nobody waits, are without overflow."""
        return not self.on or all(bool(g.isfinite().all()) for g in gradients if g is not None)

    def state_dict(self) -> dict[str, Any]:
        return {"scale": self.scale, "passed": self.passed} if self.on else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self.on:
            self.scale, self.passed = (state[name].to(self.scale.device) for name in ("scale", "passed"))
