"""Terms that depend on the alphas alone and are added to their loss; any gradient strategy takes them, made or by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Dirichlet, kl_divergence
from torch.nn import functional as F

from supernet.errors import unknown

Regulariser = Callable[[Any], Tensor]  # of the gradient strategy
Named = str | tuple[str, float]  # a name in ``REGULARISERS``, or that with a weight


def operations(strategy: Any) -> list[Tensor]:
    """The alphas of the choices that take one option."""
    return [p for name, p in strategy.alphas.items() if strategy.supernet.space[name].pick is None]


def beta_decay(strategy: Any, weight: float = 50.0) -> Tensor:
    """The mean log-sum-exp of an operation choice's alphas: (); its weight grows over the search from 0 to ``weight``.

    Ye et al. 2022 (beta-DARTS), eq. 11 and section 3.3, https://arxiv.org/abs/2203.01665
    """
    terms = torch.stack([p.logsumexp(-1) for p in operations(strategy)])
    now: float = weight * strategy.done / strategy.of
    return now * terms.mean()


def zero_one(strategy: Any, weight: float = 10.0) -> Tensor:
    """Minus the mean squared distance of sigmoid(alpha) from a half: (); drives every option to be off or on.

    Chu et al. 2020 (FairDARTS), eq. 5, https://arxiv.org/abs/1911.12126
    """
    gates = torch.cat(operations(strategy)).sigmoid()
    return -weight * (gates - 0.5).square().mean()


def dirichlet_kl(strategy: Any, weight: float = 1e-3) -> Tensor:
    """The divergence of each choice's Dirichlet distribution, of concentration elu(alpha) + 1, from the flat one, added up: ().

    Chen et al. 2021 (DrNAS), eq. 5, https://arxiv.org/abs/2006.10355
    """
    terms = []
    for p in operations(strategy):
        concentration = F.elu(p) + 1
        flat = Dirichlet(torch.ones_like(concentration), validate_args=False)
        terms.append(kl_divergence(Dirichlet(concentration, validate_args=False), flat))
    return weight * torch.stack(terms).sum()


REGULARISERS: dict[str, Regulariser] = {"beta": beta_decay, "zero-one": zero_one, "dirichlet": dirichlet_kl}


def regulariser(given: Regulariser | Named) -> Regulariser:
    """The regulariser itself; raises ``InputError`` for a name that does not exist."""
    if isinstance(given, str):
        if given not in REGULARISERS:
            raise unknown("regulariser", given, REGULARISERS)
        return REGULARISERS[given]
    if isinstance(given, tuple):
        return partial(regulariser(given[0]), weight=given[1])  # type: ignore[call-arg]
    return given
