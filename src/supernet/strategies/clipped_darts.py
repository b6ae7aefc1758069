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
from supernet.settings.quantities import Count
from supernet.strategies.darts import DARTS, norm
from supernet.task import Task


class ClippedDARTS(DARTS):
    """DARTS of order 2; gradients of the look-ahead and of the loss there are clipped to the norm ``weights.clip``.

    The step ahead by a clipped gradient c g depends on the alphas by c times the plain second-order term, ``c = clip / |g|``.
    ``official``: two accidents of the official code: c multiplies the term also where it is above 1 and nothing was clipped, and
    a tied matrix takes no step ahead (its second name loads the old value again). False: neither.
    Raises ``InputError`` for another order, where the weights are not clipped, or the Hessian is to be exact.
    """

    def __init__(self, supernet: Supernet, task: Task, *, order: Count = 2, official: bool = True, **settings: Any):
        if order != 2:
            raise InputError(f"what is clipped is the look-ahead, which order 2 alone has: order must be 2; got {order}")
        super().__init__(supernet, task, order=order, **settings)
        if self.weights.clip is None:
            raise InputError("clipped second order needs weights that are clipped: set weights.clip, or use darts-2nd")
        if self.hessian == "exact":
            raise InputError("clipped second order is made of finite differences: leave out hessian, or use darts-2nd")
        self.official = official

    def _finite_difference(self, train: Any, validation: Any) -> Sequence[Tensor]:
        assert self.weights.clip is not None
        gradient = self._training_gradient(train)
        coefficient = clip_(gradient, self.weights.clip)
        ahead = self._ahead(gradient)
        if self.official:
            ahead |= {name: w.detach().clone() for name, w in self._named().items() if name in self._tied()}
        direct, dw = self._slopes_at(ahead, validation)
        clip_(dw, self.weights.clip)
        scale = (self.weights.lr * (coefficient if self.official else coefficient.clamp(max=1))).cpu()
        return [d - scale * h for d, h in zip(direct, self._product(train, dw), strict=True)]

    def _tied(self) -> set[str]:
        """The (first) names of parameters that have several."""
        names: dict[int, list[str]] = {}
        for name, p in self.supernet.named_parameters(remove_duplicate=False):
            names.setdefault(id(p), []).append(name)
        return {found[0] for found in names.values() if len(found) > 1}


def clip_(tensors: Sequence[Tensor], largest: float) -> Tensor:
    """Scale tensors down, in place, to the norm ``largest`` together; returns what it took, above 1 where nothing was done."""
    coefficient = largest / (norm(tensors) + 1e-6)
    torch._foreach_mul_(list(tensors), coefficient.clamp(max=1))
    return coefficient
