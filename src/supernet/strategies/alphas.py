"""The architecture parameters of a gradient search, and the optimiser that steps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from supernet.ranks import ALONE, Ranks
from supernet.strategies.learning import Learning
from supernet.strategies.scaling import Scaling


class Alphas(dict[str, nn.Parameter]):
    """Choice name -> its alphas: (options,), on the CPU.

    ``learning`` makes their optimiser and says how they are clipped; ``scaling``: of their loss.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], learning: Learning, scaling: Scaling):
        super().__init__(parameters)
        self.optimiser = learning.optimiser(list(self.values()))
        self.clip, self.scaling = learning.clip, scaling

    def apply(self, grads: Sequence[Tensor | None], ranks: Ranks = ALONE) -> None:
        """One step by given gradients, averaged over the ranks and clipped; alphas that took no part in the loss (None) stay.

        All of them stay where a gradient overflowed, as can be in float16.
        """
        for p, g in zip(self.values(), grads, strict=True):
            p.grad = g
        ranks.mean([p.grad for p in self.values() if p.grad is not None])
        if not self.scaling.whole([p.grad for p in self.values()]):
            return
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self.values(), self.clip)
        self.optimiser.step()

    def state_dict(self) -> dict[str, Any]:
        return {"values": {name: p.detach().clone() for name, p in self.items()}, "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            for name, p in self.items():
                p.copy_(state["values"][name])
        self.optimiser.load_state_dict(state["optimiser"])
