"""Ensembles of small networks that are trained together, each without another part of what is known, by which they are judged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from supernet.predictors.encoding import Array, Encoding, rank_correlation

MEMBERS = 5
STEPS, BATCH, RATE = 120, 32, 0.01  # of Adam, which lowers the absolute error; the rate falls to 0
BETAS, EPS = (0.9, 0.999), 1e-8


class Ensemble(ABC):
    """Mean and deviation of ``MEMBERS`` networks of the same shape; ``seed`` draws weights and batches.

    Each member is trained without another fifth of the architectures: what it says of these is how the ensemble is judged.
    """

    def __init__(self, encoding: Encoding, seed: int = 0) -> None:
        self.encoding, self.seed, self.agreement = encoding, seed, 0.0

    @abstractmethod
    def weights(self, generator: torch.Generator) -> list[Tensor]:
        """First weights of all members, each of shape (members, ...)."""

    @abstractmethod
    def outputs(self, weights: Sequence[Tensor], rows: Tensor) -> Tensor:
        """What every member says: (members, n) of ``rows`` (members or 1, n, width)."""

    def gradients(self, weights: Sequence[Tensor], rows: Tensor, targets: Tensor) -> Sequence[Tensor]:
        """Of the absolute error, its mean over each member's ``rows`` (members, n, width) and ``targets`` (members, n), by ``weights``."""
        leaves = [weight.detach().requires_grad_() for weight in weights]
        return torch.autograd.grad((self.outputs(leaves, rows) - targets).abs().mean(1).sum(), leaves)

    def fit(self, rows: Array, scores: Array) -> None:
        """Learn ``scores`` (n,) of ``rows`` (n, width)."""
        generator = torch.Generator().manual_seed(self.seed)
        inputs, targets = torch.from_numpy(rows).float(), torch.from_numpy(scores).float()
        parts = torch.randperm(len(rows), generator=generator) % MEMBERS
        others = [torch.nonzero(parts != member)[:, 0] for member in range(MEMBERS)]
        drawn = torch.stack([other[torch.randint(len(other), (STEPS, BATCH), generator=generator)] for other in others], 1)
        first = self.weights(generator)
        sizes = [weight.numel() for weight in first]
        flat = torch.cat([weight.flatten() for weight in first])  # moved as one; the weights are views of it
        self._trained = [part.view_as(weight) for part, weight in zip(torch.split(flat, sizes), first, strict=True)]
        mean, square = torch.zeros_like(flat), torch.zeros_like(flat)
        for step in range(STEPS):
            batch = drawn[step]  # (members, batch)
            found = torch.cat([part.flatten() for part in self.gradients(self._trained, inputs[batch], targets[batch])])
            mean.lerp_(found, 1 - BETAS[0])
            square.mul_(BETAS[1]).addcmul_(found, found, value=1 - BETAS[1])
            fading = [1 - beta ** (step + 1) for beta in BETAS]
            flat.addcdiv_(mean, (square.sqrt() / fading[1] ** 0.5).add_(EPS), value=-RATE * (1 - step / STEPS) / fading[0])
        unseen = self._said(rows)[parts.numpy(), np.arange(len(rows))]
        self.agreement = rank_correlation(unseen, scores)

    def predict(self, rows: Array) -> tuple[Array, Array]:
        """Means (m,) and standard deviations (m,) over the members, of ``rows`` (m, width)."""
        said = self._said(rows)
        return said.mean(0), said.std(0, ddof=1)

    def _said(self, rows: Array) -> Array:
        with torch.no_grad():
            said: Array = self.outputs(self._trained, torch.from_numpy(rows).float()[None]).double().numpy()
        return said


def drawn(generator: torch.Generator, *shape: int) -> Tensor:
    """Weights (members, inputs, outputs), or of any shape that ends so, as He et al. 2015 draw them."""
    weights: Tensor = torch.randn(shape, generator=generator) * (2 / shape[-2]) ** 0.5
    return weights
