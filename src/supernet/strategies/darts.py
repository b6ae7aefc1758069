"""DARTS: Liu, Simonyan, Yang, ICLR 2019, https://arxiv.org/abs/1806.09055

The alphas' gradient is taken where the weights are (first order) or one step ahead of it (second order, eq. 5 to 8).
Numbers and order of updates follow the official code: alphas first, the look-ahead uses the weights' momentum and decay.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from supernet import relaxations
from supernet.errors import InputError
from supernet.layers.base import Supernet
from supernet.strategies.gradient import Gradient
from supernet.task import Task


class DARTS(Gradient):
    """Softmax blends. ``order`` 2 looks one weight step ahead.

    ``hessian``: the second-order term by central differences of size ``epsilon / |v|`` ("finite-difference", the paper and
    its code) or by autograd ("exact"). On networks with kinks (ReLU, max pooling) the two really differ.
    """

    def __init__(
        self,
        supernet: Supernet,
        task: Task,
        *,
        order: int = 1,
        hessian: str = "finite-difference",
        epsilon: float = 0.01,
        **settings: Any,
    ):
        if order not in (1, 2):
            raise InputError(f"order must be 1 or 2; got {order}")
        if hessian not in ("finite-difference", "exact"):
            raise InputError(f"hessian must be 'finite-difference' or 'exact'; got {hessian!r}")
        super().__init__(supernet, task, relaxations.softmax, **settings)
        if order == 2 and self.single_level:
            raise InputError("second order looks ahead of a separate weight step: it excludes single_level")
        if order == 2 and not isinstance(self.weights.optimiser, torch.optim.SGD):
            raise InputError("second order looks ahead by the rule of SGD: it excludes another optimiser of the weights")
        self.order, self.hessian, self.epsilon = order, hessian, epsilon

    def alpha_step(self, train: Any, validation: Any) -> None:
        if self.order == 1:
            super().alpha_step(train, validation)
        elif self.hessian == "exact":
            self.apply_alphas(self._exact(train, validation))
        else:
            self.apply_alphas(self._finite_difference(train, validation))

    def _exact(self, train: Any, validation: Any) -> Sequence[Tensor]:
        """d L_val(w - lr dL_train(w, alpha)/dw, alpha) / d alpha, by autograd through the step."""
        mixture = self.mixture(self.relax)
        ahead = self._ahead(self.objective(train, mixture), create_graph=True)
        return torch.autograd.grad(self._loss_at(ahead, validation), list(self.alphas.values()))

    def _finite_difference(self, train: Any, validation: Any) -> Sequence[Tensor]:
        logits, weights = list(self.alphas.values()), list[Tensor](self.weights.parameters)
        with torch.no_grad():
            mixture = self.mixture(self.relax)
        ahead = {n: w.detach().requires_grad_() for n, w in self._ahead(self.objective(train, mixture)).items()}
        grads = torch.autograd.grad(self._loss_at(ahead, validation), [*logits, *ahead.values()])
        direct, dw = grads[: len(logits)], list(grads[len(logits) :])
        self.reduce(dw)  # the product is linear in dw, the size of its difference is not
        size = self.epsilon / torch.linalg.vector_norm(torch.stack(torch._foreach_norm(dw)))
        before = [w.detach().clone() for w in weights]  # adding and taking away again would leave rounding behind
        slopes = []
        for sign in (1.0, -1.0):
            with torch.no_grad():
                torch._foreach_copy_(weights, before)
                torch._foreach_add_(weights, list(torch._foreach_mul(dw, sign * size)))
            slopes.append(torch.autograd.grad(self.objective(train, self.mixture(self.relax)), logits))
        with torch.no_grad():
            torch._foreach_copy_(weights, before)
        scale = self.weights.lr / (2 * size.cpu())
        return [d - scale * (plus - minus) for d, plus, minus in zip(direct, *slopes, strict=True)]

    def _ahead(self, loss: Tensor, create_graph: bool = False) -> dict[str, Tensor]:
        """name -> w - lr (momentum + gradient + decay w): the weights after one plain step."""
        group = self.weights.optimiser.param_groups[0]
        named = {n: p for n, p in self.supernet.named_parameters() if p.requires_grad}
        grads = list(torch.autograd.grad(loss, list(named.values()), create_graph=create_graph))
        if not create_graph:
            self.reduce(grads)
        ahead = {}
        with torch.set_grad_enabled(create_graph):
            for (name, w), g in zip(named.items(), grads, strict=True):
                step = g + group["weight_decay"] * w
                momentum = self.weights.optimiser.state[w].get("momentum_buffer")
                if momentum is not None:
                    step = step + group["momentum"] * momentum
                ahead[name] = w - group["lr"] * step
        return ahead

    def _loss_at(self, weights: dict[str, Tensor], batch: Any) -> Tensor:
        mixture = self.mixture(self.relax)
        loss = self.objective(batch, mixture, lambda *inputs: functional_call(self.supernet, weights, inputs))
        return self.penalty(loss, mixture, self.supernet.space)
