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
from supernet.errors import InputError, without_effect
from supernet.layers.base import Supernet
from supernet.modules.graph import uncompiled
from supernet.modules.modes import kept_buffers
from supernet.settings.quantities import Count, Positive
from supernet.strategies.gradient import Gradient
from supernet.task import Task


class DARTS(Gradient):
    """Softmax blends. ``order`` 2 looks one weight step ahead.

    ``hessian``: the second-order term by central differences of size ``epsilon / |v|`` ("finite-difference", the paper and
    its code) or by autograd ("exact"). On networks with kinks (ReLU, max pooling) the two really differ.
    Looking ahead leaves the batch statistics of the supernet alone: in the official code those one step ahead stay in a copy of
    the model (it does keep those of the finite differences, a hair's breadth from the weights).
    """

    def __init__(
        self,
        supernet: Supernet,
        task: Task,
        *,
        order: Count = 1,
        hessian: str = "finite-difference",
        epsilon: Positive = 0.01,
        **settings: Any,
    ):
        if order not in (1, 2):
            raise InputError(f"order must be 1 or 2; got {order}")
        if hessian not in ("finite-difference", "exact"):
            raise InputError(f"hessian must be 'finite-difference' or 'exact'; got {hessian!r}")
        if hessian != "finite-difference" and order == 1:
            raise without_effect("hessian", "the first order has none")
        if epsilon != 0.01 and (order == 1 or hessian == "exact"):
            raise without_effect("epsilon", "there are no finite differences")
        if not epsilon > 0:
            raise InputError(f"epsilon must be above 0; got {epsilon}")
        super().__init__(supernet, task, relaxations.softmax, **settings)
        if order == 2 and self.learning.single_level:
            raise InputError("second order looks ahead of a separate weight step: it excludes single_level")
        if order == 2 and not isinstance(self.weights.optimiser, torch.optim.SGD):
            raise InputError("second order looks ahead by the rule of SGD: it excludes another optimiser of the weights")
        self.order, self.hessian, self.epsilon = order, hessian, epsilon

    def alpha_step(self, train: Any, validation: Any) -> None:
        if self.order == 1:
            super().alpha_step(train, validation)
            return
        with kept_buffers(self.supernet), uncompiled():
            grads = self._exact(train, validation) if self.hessian == "exact" else self._finite_difference(train, validation)
        self.alphas.apply(grads, self.task.ranks)

    def _exact(self, train: Any, validation: Any) -> Sequence[Tensor]:
        """d L_val(w - lr dL_train(w, alpha)/dw, alpha) / d alpha, by autograd through the step."""
        loss = self.objective(train, self.mixture(self.relax))
        ranks = self.task.ranks
        grads = [ranks.sum(g) / ranks.count for g in self._gradients(loss, list(self._named().values()), create_graph=True)]
        return self._gradients(self._loss_at(self._ahead(grads), validation), list(self.alphas.values()))

    def _finite_difference(self, train: Any, validation: Any) -> Sequence[Tensor]:
        """The slope at the weights one step ahead, less the step's own dependence on the alphas (eq. 7 and 8)."""
        direct, dw = self._slopes_at(self._ahead(self._training_gradient(train)), validation)
        return [d - self.weights.lr * h for d, h in zip(direct, self._product(train, dw), strict=True)]

    def _training_gradient(self, train: Any) -> list[Tensor]:
        """dL_train/dw at the present weights."""
        with torch.no_grad():
            mixture = self.mixture(self.relax)
        grads = list(self._gradients(self.objective(train, mixture), list(self._named().values())))
        self.task.ranks.mean(grads)
        return grads

    def _ahead(self, grads: Sequence[Tensor]) -> dict[str, Tensor]:
        """name -> w - lr (momentum + gradient + decay w): the weights after one plain step by ``grads``."""
        group = self.weights.optimiser.param_groups[0]
        ahead = {}
        with torch.set_grad_enabled(any(g.requires_grad for g in grads)):
            for (name, w), g in zip(self._named().items(), grads, strict=True):
                step = g + group["weight_decay"] * w
                momentum = self.weights.optimiser.state[w].get("momentum_buffer")
                if momentum is not None:
                    step = step + group["momentum"] * momentum
                ahead[name] = w - group["lr"] * step
        return ahead

    def _slopes_at(self, weights: dict[str, Tensor], validation: Any) -> tuple[Sequence[Tensor], list[Tensor]]:
        """The gradient of the validation loss at ``weights``, by the alphas and by the weights."""
        free = {n: w.detach().requires_grad_() for n, w in weights.items()}
        grads = self._gradients(self._loss_at(free, validation), [*self.alphas.values(), *free.values()])
        dw = list(grads[len(self.alphas) :])
        self.task.ranks.mean(dw)  # the product is linear in dw, the size of its difference is not
        return grads[: len(self.alphas)], dw

    def _product(self, train: Any, dw: list[Tensor]) -> list[Tensor]:
        """(d2 L_train / d alpha d w) dw, by central differences of size ``epsilon / |dw|`` (eq. 8)."""
        weights = list[Tensor](self.weights.parameters)
        size = self.epsilon / norm(dw)
        before = [w.detach().clone() for w in weights]  # adding and taking away again would leave rounding behind
        slopes = []
        for sign in (1.0, -1.0):
            with torch.no_grad():
                torch._foreach_copy_(weights, before)
                torch._foreach_add_(weights, list(torch._foreach_mul(dw, sign * size)))
            slopes.append(self._gradients(self.objective(train, self.mixture(self.relax)), list(self.alphas.values())))
        with torch.no_grad():
            torch._foreach_copy_(weights, before)
        width = 2 * size.cpu()
        return [(plus - minus) / width for plus, minus in zip(*slopes, strict=True)]

    def _gradients(self, loss: Tensor, of: Sequence[Tensor], create_graph: bool = False) -> Sequence[Tensor]:
        """The gradient of a loss by each tensor; zeros by those that take no part in it."""
        return self.weights.scaling.gradients(loss, of, create_graph=create_graph, allow_unused=True, materialize_grads=True)

    def _loss_at(self, weights: dict[str, Tensor], batch: Any) -> Tensor:
        mixture = self.blended(self.relax)
        loss = self.objective(batch, self.moved(mixture), lambda *inputs: functional_call(self.supernet, weights, inputs))
        return self.descended(loss, mixture)

    def _named(self) -> dict[str, Tensor]:
        """The weights that are trained, by name."""
        return {n: p for n, p in self.supernet.named_parameters() if p.requires_grad}


def norm(tensors: Sequence[Tensor]) -> Tensor:
    """The norm of all tensors together: ()."""
    total: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(list(tensors))))
    return total
