"""Single-Path NAS: Stamoulis et al. 2019, https://arxiv.org/abs/1904.02877; https://github.com/dstamoulis/single-path-nas

A layer's options are slices of one kernel. The larger is taken where the norm of what only it has reaches a threshold; thresholds
and weights descend one loss of one training batch, to which the logarithm of the expected runtime is added.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn

from supernet.errors import InputError
from supernet.layers.base import Supernet
from supernet.layers.superkernel import SuperKernelBlock
from supernet.mixture import Mix, Mixture
from supernet.relaxations import Relaxation
from supernet.space import Choice
from supernet.strategies.gradient import Gradient
from supernet.strategies.weights import Schedule, Weights
from supernet.task import Task


class SinglePath(Gradient):
    """Indicators, 1 where a norm reaches its threshold (with the sigmoid's gradient), decide kernel and expansion of each block.

    A block has a threshold for the ring of its 5x5 kernel, one for the first half of its channels where it can be skipped, and one
    for the other half; ``alphas`` holds them by choice, one fewer than options. In the first epochs, ``warmup`` of them (below 1 a
    fraction of all), nothing is paid, and an indicator is divided by ``keep``, or 0 with probability 1 - ``keep``.
    ``weights``: how the weights are trained, made from the supernet; or settings of ``rms_prop`` that differ. ``alpha_lr``: of the
    thresholds; that of the weights, in every epoch, unless given.
    Raises ``InputError`` where a choice is not the kernel or the expansion of one ``SuperKernelBlock``.
    """

    pricing: ClassVar[Mapping[str, Any]] = {"form": "log", "weight": 20.0, "reference": math.e}

    def __init__(
        self,
        supernet: Supernet,
        task: Task,
        *,
        warmup: float = 0.625,
        keep: float = 0.6,
        weights: Callable[[nn.Module], Weights] | Mapping[str, Any] | None = None,
        alpha_lr: float | None = None,
        alpha_decay: float = 1e-5,
        **settings: Any,
    ):
        if not 0 < keep <= 1:
            raise InputError(f"keep is the probability that an indicator counts: above 0 and at most 1; got {keep}")
        self.keep, self.alpha_lr, self.alpha_decay = keep, alpha_lr, alpha_decay
        make = weights if callable(weights) else partial(rms_prop, **(weights or {}))
        super().__init__(
            supernet,
            task,
            self._dropped,
            relax_weights=indicated,
            weights=make,
            alpha_optimiser=self._optimiser,
            warmup=warmup,
            single_level=True,
            **settings,
        )

    @staticmethod
    def logits(choice: Choice) -> int:
        """A threshold between each two sizes."""
        return len(choice.options) - 1

    def begin(self, supernet: Supernet) -> None:
        self.blocks = blocks_of(supernet)
        super().begin(supernet)
        with torch.no_grad():
            for threshold in self.alphas.values():
                threshold.zero_()

    def _optimiser(self, alphas: Iterable[Tensor]) -> torch.optim.Optimizer:
        return optimiser([{"params": list(alphas), "weight_decay": self.alpha_decay}], self.alpha_lr or self.weights.lr)

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

    def joint_step(self, batch: Any) -> dict[str, Tensor]:
        """Step thresholds and weights by one loss of one batch; what the blend costs is added to it after the warm-up."""
        mixture = self.blended(self.relax)
        outputs = self.task.predict(partial(self.supernet, self.moved(mixture)), batch)
        loss = self.task.loss(outputs, batch)
        total, thresholds = self.penalty(loss, mixture, self.supernet.space) if self.warm else loss, list(self.alphas.values())
        grads = torch.autograd.grad(total, thresholds + self.weights.parameters, allow_unused=True)
        self.apply_alphas(grads[: len(thresholds)])
        self.weights.apply(grads[len(thresholds) :], self.reduce)
        return {"loss": loss.detach(), **self.task.measure(outputs, batch)}

    def epoch(self, done: int, of: int, metrics: dict[str, Any]) -> bool:
        stop = super().epoch(done, of, metrics)
        for group in self.alpha_optimiser.param_groups:
            group["lr"] = self.alpha_lr or self.weights.lr
        return stop

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
        shares = torch.stack([torch.as_tensor(ring.weight(1)) for ring in rings]).to(self.device)
        pairs = zip(self.blocks, shares, strict=True)
        norms = torch.stack([torch.stack(block.kernel.half_norms(share)) for block, share in pairs]).cpu()
        thresholds = [self.alphas[_names(block)[1]] for block in self.blocks]
        return [norm[-len(t) :] - t for norm, t in zip(norms, thresholds, strict=True)]

    def _dropped(self, margin: Tensor, rng: Generator) -> Mix:
        if self.warm:
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


def staircase(done: float) -> float:
    """0.97 for every 2.4 epochs of a search of 8: share of the search -> factor of the learning rate."""
    return float(0.97 ** math.floor(done * 8 / 2.4))


def rms_prop(
    model: nn.Module, *, lr: float = 0.016, momentum: float = 0.9, decay: float = 1e-5, schedule: Schedule = staircase, **settings: Any
) -> Weights:
    """The paper's training of the weights. ``lr``: for batches of 256; it is proportional to the batch size (0.064 at 1,024 images).

    Vectors, such as those of batch norm, do not decay. Not clipped, unless ``clip`` is set; ``settings``: of ``Weights``.
    """

    def make(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        held = list(parameters)
        kernels = {"params": [p for p in held if p.dim() > 1], "weight_decay": decay}
        return optimiser([kernels, {"params": [p for p in held if p.dim() <= 1]}], lr, momentum)

    return Weights(model, optimiser=make, schedule=schedule, **{"clip": None, **settings})


def optimiser(groups: list[dict[str, Any]], lr: float, momentum: float = 0.9) -> torch.optim.Optimizer:
    """RMSProp that forgets by 0.9. The paper's TensorFlow adds 0.001 below the root, torch the root of that beside it."""
    return torch.optim.RMSprop(groups, lr, alpha=0.9, eps=0.001**0.5, momentum=momentum)
