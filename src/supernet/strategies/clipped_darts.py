"""Second-order DARTS whose look-ahead is clipped like the weight step that it foresees, as in DARTS' recurrent search.

Liu et al. 2019, eq. 5 to 8, https://arxiv.org/abs/1806.09055; https://github.com/quark0/darts/blob/master/rnn/architect.py
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from supernet.errors import InputError
from supernet.layers.base import Supernet
from supernet.strategies.darts import DARTS
from supernet.task import Task


class ClippedDARTS(DARTS):
    """DARTS of order 2; gradients of the look-ahead and of the loss there are clipped to the norm ``weights.clip``.

    The step ahead by a clipped gradient c g depends on the alphas by c times the plain second-order term, ``c = clip / |g|``.
    ``official``: two accidents of the official code: c multiplies the term also where it is above 1 and nothing was clipped, and
    a tied matrix takes no step ahead (its second name loads the old value again). False: neither.
    Raises ``InputError`` where the weights are not clipped, or the Hessian is to be exact.
    """

    def __init__(self, supernet: Supernet, task: Task, *, official: bool = True, **settings: Any):
        super().__init__(supernet, task, order=2, **settings)
        if self.weights.clip is None:
            raise InputError("clipped second order needs weights that are clipped: set weights.clip, or use darts-2nd")
        if self.hessian == "exact":
            raise InputError("clipped second order is made of finite differences: leave out hessian, or use darts-2nd")
        self.official = official

    def _finite_difference(self, train: Any, validation: Any) -> Sequence[Tensor]:
        assert self.weights.clip is not None
        logits, weights = list(self.alphas.values()), list[Tensor](self.weights.parameters)
        named = {n: p for n, p in self.supernet.named_parameters() if p.requires_grad}
        with torch.no_grad():
            mixture = self.mixture(self.relax)
        gradient = list(torch.autograd.grad(self.objective(train, mixture), list(named.values())))
        self.reduce(gradient)
        coefficient = clip_(gradient, self.weights.clip)
        group = self.weights.optimiser.param_groups[0]
        ahead, tied = {}, self._tied() if self.official else set[str]()
        with torch.no_grad():
            for (name, w), g in zip(named.items(), gradient, strict=True):
                if name in tied:
                    ahead[name] = w.detach().clone()
                    continue
                step = g + group["weight_decay"] * w
                momentum = self.weights.optimiser.state[w].get("momentum_buffer")
                ahead[name] = w - group["lr"] * (step if momentum is None else step + group["momentum"] * momentum)
        ahead = {n: w.requires_grad_() for n, w in ahead.items()}
        grads = torch.autograd.grad(self._loss_at(ahead, validation), [*logits, *ahead.values()])
        direct, dw = grads[: len(logits)], list(grads[len(logits) :])
        self.reduce(dw)
        clip_(dw, self.weights.clip)
        size = self.epsilon / norm(dw)
        before = [w.detach().clone() for w in weights]
        slopes = []
        for sign in (1.0, -1.0):
            with torch.no_grad():
                torch._foreach_copy_(weights, before)
                torch._foreach_add_(weights, list(torch._foreach_mul(dw, sign * size)))
            slopes.append(torch.autograd.grad(self.objective(train, self.mixture(self.relax)), logits))
        with torch.no_grad():
            torch._foreach_copy_(weights, before)
        factor = coefficient if self.official else coefficient.clamp(max=1)
        scale = (self.weights.lr * factor / (2 * size)).cpu()
        return [d - scale * (plus - minus) for d, plus, minus in zip(direct, *slopes, strict=True)]

    def _tied(self) -> set[str]:
        """The (first) names of parameters that have several."""
        names: dict[int, list[str]] = {}
        for name, p in self.supernet.named_parameters(remove_duplicate=False):
            names.setdefault(id(p), []).append(name)
        return {found[0] for found in names.values() if len(found) > 1}


def norm(tensors: Sequence[Tensor]) -> Tensor:
    """The norm of all tensors together."""
    total: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(list(tensors))))
    return total


def clip_(tensors: Sequence[Tensor], largest: float) -> Tensor:
    """Scale tensors down, in place, to the norm ``largest`` together; returns what it took, above 1 where nothing was done."""
    coefficient = largest / (norm(tensors) + 1e-6)
    if coefficient < 1:
        torch._foreach_mul_(list(tensors), coefficient)
    return coefficient
