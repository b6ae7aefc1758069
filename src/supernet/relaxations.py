"""Ways to turn one choice's logits into the blend of one forward pass.

A relaxation is a pure function of one choice's logits (options,), on the CPU, and a generator: no state, no loss, no data.
Draws come from the generator, never from the global one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Generator, Tensor
from torch.distributions import Dirichlet
from torch.nn import functional as F

from supernet.mixture import Mix

Relaxation = Callable[[Tensor, Generator], Mix]


def all_options(logits: Tensor) -> tuple[int, ...]:
    """The indices of every option."""
    return tuple(range(len(logits)))


def softmax(logits: Tensor, rng: Generator) -> Mix:
    """Every option, by its probability. Liu et al. 2019 (DARTS), eq. 2, https://arxiv.org/abs/1806.09055"""
    return Mix(logits.softmax(-1), all_options(logits))


def everything(logits: Tensor, rng: Generator) -> Mix:
    """Every option at weight one: the inputs of a node in DARTS."""
    return Mix(None, all_options(logits))


def sigmoid(logits: Tensor, rng: Generator) -> Mix:
    """Every option by a gate of its own: options do not compete. Chu et al. 2020 (FairDARTS), https://arxiv.org/abs/1911.12126"""
    return Mix(logits.sigmoid(), all_options(logits))


def dirichlet(logits: Tensor, rng: Generator) -> Mix:
    """Every option, by a draw from the Dirichlet distribution of concentration elu(logits) + 1, with its gradient.

    Chen et al. 2021 (DrNAS), section 3.1, https://arxiv.org/abs/2006.10355
    """
    outer = torch.get_rng_state()  # distributions draw from the global generator only
    torch.set_rng_state(rng.get_state())
    try:
        weights = Dirichlet(F.elu(logits) + 1, validate_args=False).rsample()
        rng.set_state(torch.get_rng_state())
    finally:
        torch.set_rng_state(outer)
    return Mix(weights, all_options(logits))


def perturbed(logits: Tensor, rng: Generator, size: float) -> Mix:
    """Every option, by its probability moved by up to ``size``. Chen, Hsieh 2020 (SDARTS), eq. 6, https://arxiv.org/abs/2002.05283"""
    noise = size * (2 * torch.rand(logits.shape, generator=rng, dtype=logits.dtype) - 1)
    return Mix(simplex(logits.softmax(-1) + noise), all_options(logits))


def simplex(weights: Tensor) -> Tensor:
    """Weights (options,) clipped to [0, 1] and scaled to the sum 1; all to the largest where nothing is left."""
    kept = weights.clamp(0, 1)
    largest = torch.arange(len(weights), device=weights.device) == weights.argmax()
    kept = torch.where(kept.sum() == 0, largest.to(kept), kept)  # decided where the weights are: nobody waits for a device
    return kept / kept.sum()


def gumbel_noise(logits: Tensor, rng: Generator) -> Tensor:
    """Standard Gumbel noise of the shape of ``logits``."""
    return -torch.empty(logits.shape, dtype=logits.dtype).exponential_(generator=rng).log()


def gumbel(logits: Tensor, rng: Generator, temperature: float) -> Mix:
    """Every option, by a Gumbel softmax draw. Jang et al. 2017, https://arxiv.org/abs/1611.01144"""
    noisy = (logits.log_softmax(-1) + gumbel_noise(logits, rng)) / temperature
    return Mix(noisy.softmax(-1), all_options(logits))


def hard_gumbel(logits: Tensor, rng: Generator, temperature: float) -> Mix:
    """The one drawn option, with the gradient of its soft weight. Dong, Yang 2019 (GDAS), eq. 7, https://arxiv.org/abs/1910.04465"""
    soft = gumbel(logits, rng, temperature).weights
    assert soft is not None
    i = int(soft.argmax())
    return Mix(hard(i, soft), (i,))


def draw(logits: Tensor, rng: Generator) -> Mix:
    """The one drawn option, without a gradient: what trains the weights in ProxylessNAS."""
    return Mix(None, (drawn(logits, rng, 1)[0],))


def soft_pair(logits: Tensor, rng: Generator) -> Mix:
    """Two drawn options, by the softmax over the two. Fang et al. 2020 (DenseNAS), https://arxiv.org/abs/1906.09607"""
    runs = drawn(logits, rng, 2)
    return Mix(among(logits, runs), runs)


def two_paths(logits: Tensor, rng: Generator) -> Mix:
    """Two drawn options, one of which is on, with the gradient of the softmax over the two.

    Cai, Zhu, Han 2019 (ProxylessNAS), section 3.2, https://arxiv.org/abs/1812.00332
    """
    return _gated(logits, drawn(logits, rng, 2), rng)


def all_paths(logits: Tensor, rng: Generator) -> Mix:
    """The one drawn option, with the gradient of the softmax over all (ProxylessNAS, section 3.2). The others run too, at weight 0."""
    return _gated(logits, all_options(logits), rng)


def drawn(logits: Tensor, rng: Generator, count: int) -> tuple[int, ...]:
    """The indices, ascending, of ``count`` different options drawn by their probability, of all where there are no more."""
    noisy = logits.detach() + gumbel_noise(logits, rng)  # the order of noisy logits is that of draws without replacement
    return tuple(sorted(noisy.topk(min(count, len(logits))).indices.tolist()))


def among(logits: Tensor, runs: tuple[int, ...]) -> Tensor:
    """The softmax over the options that run, 0 for the others: (options,)."""
    places = torch.tensor(runs)
    return torch.zeros_like(logits).scatter(0, places, logits[places].softmax(-1))


@contextmanager
def kept_shares(alphas: Mapping[str, Tensor], runs: Mapping[str, tuple[int, ...]]) -> Iterator[None]:
    """Around a step on ``alphas``: the options that ran keep the probability that they have together.

    Cai et al. 2019 (ProxylessNAS), section 3.2, https://arxiv.org/abs/1812.00332
    """
    before = {name: alphas[name].detach()[list(at)].logsumexp(-1) for name, at in runs.items()}
    yield
    with torch.no_grad():
        for name, at in runs.items():
            alphas[name][list(at)] -= alphas[name][list(at)].logsumexp(-1) - before[name]


def _gated(logits: Tensor, runs: tuple[int, ...], rng: Generator) -> Mix:
    soft = among(logits, runs)
    on = runs[drawn(logits[list(runs)], rng, 1)[0]]
    return Mix(hard(on, soft), runs, tuple(i for i in runs if i != on))


def hard(on: int, soft: Tensor) -> Tensor:
    """Exactly 1 at ``on`` and exactly 0 elsewhere, with the gradient of ``soft`` (options,)."""
    return F.one_hot(torch.tensor(on), len(soft)).to(soft) + (soft - soft.detach())  # the difference first: it is exactly 0
