"""Single-Path NAS: Stamoulis et al. 2019, https://arxiv.org/abs/1904.02877; https://github.com/dstamoulis/single-path-nas

A layer's options are slices of one kernel. The larger is taken where the norm of what only it has reaches a threshold; thresholds
and weights descend one loss of one training batch, to which the logarithm of the expected runtime is added.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from supernet.errors import InputError, without_effect
from supernet.layers.base import Supernet
from supernet.layers.superkernel import SuperKernelBlock
from supernet.mixture import Mix, Mixture
from supernet.relaxations import Relaxation
from supernet.settings.quantities import Amount, RateOrNone, Share
from supernet.space import Choice
from supernet.strategies.gradient import Gradient
from supernet.strategies.rms_prop import rms, rms_prop
from supernet.strategies.weights import Weights
from supernet.task import Task


class SinglePath(Gradient):
    """Indicators, 1 where a norm reaches its threshold (with the sigmoid's gradient), decide kernel and expansion of each block.

    A block has a threshold for the ring of its 5x5 kernel, one for the first half of its channels where it can be skipped, and one
    for the other half; ``alphas`` holds them by choice, one fewer than options. In the first epochs, ``warmup`` of them (below 1 a
    fraction of all), nothing is paid, and an indicator is divided by ``keep``, or 0 with probability 1 - ``keep``.
    ``weights``: how the weights are trained, made from the supernet; or settings of ``rms_prop`` that differ. ``alpha_lr``: of the
    thresholds, which learn by RMSProp too; that of the weights, in every epoch, unless given.
    Raises ``InputError`` where a choice is not the kernel or the expansion of one ``SuperKernelBlock``.
    """

    trainer: ClassVar[Callable[..., Weights]] = staticmethod(rms_prop)
    recipe: ClassVar[Mapping[str, Any]] = {"lr": 0.016, "momentum": 0.9, "decay": 1e-5, "clip": None}
    pricing: ClassVar[Mapping[str, Any]] = {"form": "log", "weight": 20.0, "reference": math.e}

    def __init__(
        self,
        supernet: Supernet,
        task: Task,
        *,
        warmup: Amount = 0.625,
        keep: Share = 0.6,
        alpha_lr: RateOrNone | None = None,
        alpha_decay: Amount = 1e-5,
        **settings: Any,
    ):
        if not 0 < keep <= 1:
            raise InputError(f"keep is the probability that an indicator counts: above 0 and at most 1; got {keep}")
        if not alpha_decay >= 0 or not (alpha_lr is None or alpha_lr > 0):
            raise InputError(f"alpha_lr must be above 0, or none, and alpha_decay at least 0; got {alpha_lr} and {alpha_decay}")
        for name in ("alpha_betas", "alpha_optimiser", "relax_weights"):
            if name in settings:
                raise without_effect(name, "thresholds learn by RMSProp, and indicators are the only blend")
        if settings.pop("single_level", True) is not True:
            raise InputError("thresholds and weights descend one loss: single_level must be true")
        self.keep, self.alpha_lr, self.alpha_decay = keep, alpha_lr, alpha_decay
        super().__init__(
            supernet,
            task,
            self._dropped,
            relax_weights=indicated,
            alpha_optimiser=self._optimiser,
            warmup=warmup,
            single_level=True,
            **settings,
        )

    @classmethod
    def logits(cls, choice: Choice) -> int:
        """A threshold between each two sizes of a choice that takes one."""
        return len(choice.options) - 1 if choice.pick is None else 0

    def begin(self, supernet: Supernet) -> None:
        self.blocks = blocks_of(supernet)
        super().begin(supernet)
        with torch.no_grad():
            for threshold in self.alphas.values():
                threshold.zero_()

    def _optimiser(self, alphas: Iterable[Tensor]) -> torch.optim.Optimizer:
        return rms([{"params": list(alphas), "weight_decay": self.alpha_decay}], self._alpha_rate)

    @property
    def _alpha_rate(self) -> float:
        """The thresholds' learning rate at this moment."""
        return self.weights.lr if self.alpha_lr is None else self.alpha_lr

    def blended(self, relax: Relaxation) -> Mixture:
        rings = [relax(margin, self.rng) for margin in self._ring_margins()]
        mixture: Mixture = {}
        for block, ring, margins in zip(self.blocks, rings, self._half_margins(rings), strict=True):
            kernel, expansion = _names(block)
            left, weights = torch.ones_like(margins[0]), []
            for margin in margins:
                bigger = relax(margin, self.rng).weights
                assert bigger is not None
                weights.append(left * bigger[0])
                left = left * bigger[1]
            mixture |= {kernel: ring, expansion: Mix(torch.stack([*weights, left]), tuple(range(len(weights) + 1)))}
        return {name: mixture[name] for name in self.supernet.space}

    @property
    def joint_alphas(self) -> list[Tensor]:
        """The thresholds, which learn from the first epoch on; what the blend costs is added to the loss after the warm-up."""
        return list(self.alphas.values())

    def move(self, done: float, of: int) -> None:
        super().move(done, of)
        for group in self.alphas.optimiser.param_groups:
            group["lr"] = self._alpha_rate

    @torch.no_grad()
    def belief(self) -> dict[str, list[float]]:
        """How far each norm is from its threshold, so that the option that the indicators say has the most."""
        margins = self._ring_margins()
        halves = self._half_margins([indicated(margin, self.rng) for margin in margins])
        found: dict[str, list[float]] = {}
        for block, ring, half in zip(self.blocks, margins, halves, strict=True):
            kernel, expansion = _names(block)
            found |= {kernel: believed(ring.reshape(1)), expansion: believed(half)}
        return {name: found[name] for name in self.supernet.space}

    def _ring_margins(self) -> Tensor:
        """By how much the norm of each block's ring exceeds its threshold, on the CPU: (blocks,)."""
        norms = torch.stack([block.kernel.ring_norm() for block in self.blocks]).cpu()
        return norms - torch.cat([self.alphas[_names(block)[0]] for block in self.blocks])

    def _half_margins(self, rings: Sequence[Mix]) -> list[Tensor]:
        """By how much the norms of the halves exceed the thresholds that there are, given the kernels, on the CPU: (1 or 2,) a block."""
        shares = torch.stack([torch.as_tensor(ring.weight(1)) for ring in rings]).to(self.device, non_blocking=True)
        pairs = zip(self.blocks, shares, strict=True)
        norms = torch.stack([torch.stack(block.kernel.half_norms(share)) for block, share in pairs]).cpu()
        thresholds = [self.alphas[_names(block)[1]] for block in self.blocks]
        return [norm[-len(t) :] - t for norm, t in zip(norms, thresholds, strict=True)]

    def _dropped(self, margin: Tensor, rng: Generator) -> Mix:
        if self.alphas_learn:
            return indicated(margin, rng)
        kept = torch.rand((), generator=rng) < self.keep
        on = indicator(margin) * kept.to(margin) / self.keep
        return Mix(torch.stack([1 - on, on]), (0, 1))


def indicator(margin: Tensor) -> Tensor:
    """1 where ``margin`` is at least 0, else 0, with the gradient of the sigmoid."""
    soft = margin.sigmoid()
    return (margin >= 0).to(margin) + (soft - soft.detach())


def indicated(margin: Tensor, rng: Generator) -> Mix:
    """The smaller or, where ``margin`` () is at least 0, the larger of two options."""
    on = indicator(margin)
    return Mix(torch.stack([1 - on, on]), (0, 1))


def believed(margins: Tensor) -> list[float]:
    """Shares of n + 1 options, of which the next is taken where its margin is at least 0, if the one before is: (n,) margins.

    The option that is taken has the largest share.
    """
    shares = [1.0]
    for margin in reversed(margins.double()):
        p = float(margin.sigmoid())
        p = max(p, 0.500001) if margin >= 0 else p  # at the threshold itself it is taken
        shares = [1 - p, *(p * share / max(shares) for share in shares)]
    return [share / sum(shares) for share in shares]


def blocks_of(supernet: Supernet) -> list[SuperKernelBlock]:
    """The blocks whose kernels and expansions are all that ``supernet`` chooses; raises ``InputError`` where they are not."""
    blocks = [layer for layer in supernet.layers if isinstance(layer, SuperKernelBlock)]
    owned = [name for block in blocks for name in _names(block)]
    if sorted(owned) != sorted(supernet.space):
        other = next((n for n in supernet.space if owned.count(n) != 1), "")
        raise InputError(
            f"SinglePath needs supernets whose every choice is the kernel or the expansion of one SuperKernelBlock, as in the space "
            f"single-path; {other!r} is not"
        )
    return blocks


def _names(block: SuperKernelBlock) -> tuple[str, str]:
    """The choices of kernel and expansion."""
    assert block.choice and block.kernel.choice
    return block.kernel.choice.name, block.choice.name
