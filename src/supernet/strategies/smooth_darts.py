"""SDARTS: Chen, Hsieh, ICML 2020, https://arxiv.org/abs/2002.05283; https://github.com/xiangning-chen/SmoothDARTS

The weights learn under blends near the present one, so that discretising costs less: moved at random (RS) or to where the
loss is worst (ADV). Steps on the alphas see the blend itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from supernet import relaxations
from supernet.errors import InputError, without_effect
from supernet.layers.base import Supernet
from supernet.mixture import Mix, Mixture
from supernet.modules.modes import evaluating
from supernet.settings.quantities import Amount, Count
from supernet.strategies.gradient import Gradient
from supernet.task import Task


class SDARTS(Gradient):
    """Softmax blends; for the weights, moved within a distance that grows linearly from the first to the second of ``radius``.

    ``attack``: "random", or "adversarial" by ``ascents`` steps of projected gradient ascent from a random point (``random_start``).
    """

    needs: ClassVar[Mapping[str, Any]] = {"without_none": True}

    def __init__(
        self,
        supernet: Supernet,
        task: Task,
        *,
        attack: str = "random",
        radius: tuple[Amount, Amount] = (0.03, 0.3),
        ascents: Count = 7,
        random_start: bool = True,
        **settings: Any,
    ):
        if attack not in ("random", "adversarial"):
            raise InputError(f"attack must be 'random' or 'adversarial'; got {attack!r}")
        if ascents < 1 or min(radius) < 0:
            raise InputError(f"ascents must be at least 1 and the radius at least 0; got {ascents} and {tuple(radius)}")
        if attack == "random" and (ascents, random_start) != (7, True):
            raise without_effect("ascents" if ascents != 7 else "random_start", "it is of the adversarial attack")
        if settings.get("single_level"):
            raise InputError("SDARTS moves the blend of a separate weight step: it excludes single_level")
        self.attack, self.radii, self.ascents, self.random_start = attack, radius, ascents, random_start
        super().__init__(supernet, task, relaxations.softmax, **settings)

    @property
    def radius(self) -> float:
        """At this moment of the search."""
        first, last = self.radii
        return first + (last - first) * self.done / self.of

    def weight_mixture(self, batch: Any) -> Mixture:
        if self.attack == "adversarial":
            return self.worst(batch, self.radius)
        with torch.no_grad():
            return self.mixture(partial(relaxations.perturbed, size=self.radius))

    def worst(self, batch: Any, radius: float) -> Mixture:
        """The blend within ``radius`` of the present one (largest difference) that ascends the loss of ``batch``; itself where it fails.

        The supernet is in evaluation mode meanwhile.
        """
        with evaluating(self.supernet):
            with torch.no_grad():
                present = self.blended(self.relax)
                mixture = self.moved(present)
                start = self.moved({n: self._random(present[n], radius) for n in self.alphas}) if self.random_start else mixture
                before = self.objective(batch, mixture)
            centre, moved = ({n: w for n in self.alphas if (w := mix[n].weights) is not None} for mix in (mixture, start))
            for _ in range(self.ascents):
                moved = {n: w.detach().requires_grad_() for n, w in moved.items()}
                with torch.enable_grad():
                    loss = self.objective(batch, self._with(mixture, moved))
                slopes = self.weights.scaling.gradients(loss, list(moved.values()), allow_unused=True)
                for (n, w), slope in zip(list(moved.items()), slopes, strict=True):
                    if slope is not None:
                        step = w.detach() + 2 * radius / self.ascents * slope.sign() - centre[n]
                        moved[n] = relaxations.simplex(centre[n] + step.clamp(-radius, radius))
            found = {n: w.detach() for n, w in moved.items()}
            with torch.no_grad():
                worse = self.objective(batch, self._with(mixture, found)) >= before  # stays on the device, which nobody waits for
            return self._with(mixture, {n: torch.where(worse, w, centre[n]) for n, w in found.items()})

    def _random(self, mix: Mix, radius: float) -> Mix:
        """A point within ``radius`` of a blend on the CPU."""
        if mix.weights is None:
            return mix
        noise = 2 * torch.rand(mix.weights.shape, generator=self.rng, dtype=mix.weights.dtype) - 1
        return mix._replace(weights=relaxations.simplex(mix.weights + radius * noise))

    def _with(self, mixture: Mixture, weights: dict[str, Tensor]) -> Mixture:
        return mixture | {n: Mix(w, mixture[n].runs) for n, w in weights.items()}


class AdversarialSDARTS(SDARTS):
    """SDARTS-ADV: to where the loss is worst."""

    def __init__(self, supernet: Supernet, task: Task, *, attack: str = "adversarial", **settings: Any):
        super().__init__(supernet, task, attack=attack, **settings)
