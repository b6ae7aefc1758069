"""How sharply the validation loss bends in the alphas: the largest eigenvalue of its Hessian, without the Hessian.

Zela et al. 2020 (RobustDARTS), section 4, https://arxiv.org/abs/1909.09656: it grows before the search collapses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor

from supernet.modules.graph import uncompiled
from supernet.modules.modes import kept_buffers
from supernet.randomness import drawing_apart


def largest_eigenvalue(strategy: Any, batch: Any = None, iterations: int = 20) -> float:
    """The largest eigenvalue of the Hessian in the alphas of a gradient strategy's loss on ``batch``.

    ``batch``: by default the first of the stream that the alphas learn on, in order. The batch norms use its statistics and keep
    their own; streams and random states are left as they are.
    """
    task, supernet, alphas = strategy.task, strategy.supernet, list(strategy.alphas.values())
    if batch is None:
        batch = next(iter(task.data.each(strategy.learning.turns.stream)))
    state = strategy.rng.get_state()
    try:
        with kept_buffers(supernet), drawing_apart(strategy.device), task.single_precision(), uncompiled(), torch.enable_grad():
            loss = strategy.objective(batch, strategy.mixture(strategy.relax))
            slopes = flat(torch.autograd.grad(loss, alphas, create_graph=True, allow_unused=True), alphas)

            def product(vector: Tensor) -> Tensor:
                return flat(torch.autograd.grad(slopes @ vector, alphas, retain_graph=True, allow_unused=True), alphas).detach()

            return float(lanczos(product, slopes.detach(), iterations)[-1])
    finally:
        strategy.rng.set_state(state)


def flat(grads: Any, like: list[Tensor]) -> Tensor:
    """Gradients as one vector, zeros where there are none."""
    return torch.cat([torch.zeros_like(p) if g is None else g for g, p in zip(grads, like, strict=True)])


def lanczos(product: Callable[[Tensor], Tensor], like: Tensor, iterations: int) -> Tensor:
    """Ritz values, ascending, of the symmetric matrix that ``product`` multiplies vectors of the shape of ``like`` (n,) by.

    Every new direction is made orthogonal to all before it, so that with ``iterations`` >= n the values are the eigenvalues.
    """
    start = torch.randn(like.shape, generator=Generator().manual_seed(0), dtype=torch.float64)
    basis = [(start / start.norm()).to(like)]
    diagonal, beside = [], []
    for _ in range(min(iterations, len(like))):
        vector = product(basis[-1])
        diagonal.append(float(vector @ basis[-1]))
        for _ in range(2):  # once leaves rounding behind
            for direction in basis:
                vector = vector - (vector @ direction) * direction
        length = float(vector.norm())
        if length <= 1e-9 * (abs(diagonal[0]) + 1e-30):
            break
        beside.append(length)
        basis.append(vector / length)
    small = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
    off = torch.tensor(beside[: len(diagonal) - 1], dtype=torch.float64)
    values: Tensor = torch.linalg.eigvalsh(small + torch.diag(off, 1) + torch.diag(off, -1))
    return values
