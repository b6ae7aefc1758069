"""Scores of one goal or several as one number each, for models that learn one.

Ranks, as normal quantiles, in the place of scores, so that no model is misled by the few that are far off: Salinas et al. 2020,
section 4.2, https://arxiv.org/abs/1909.13595. Several goals by the augmented Chebyshev norm with weights drawn anew for each model:
Knowles 2006 (ParEGO), equation 2, https://doi.org/10.1109/TEVC.2005.851274
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np

from supernet.predictors.encoding import Array, ranks
from supernet.searchers import Score

AUGMENTED = 0.05  # how much the sum of the goals counts beside the worst of them


def worth(scores: Sequence[Score], rng: Random) -> Array:
    """One number a score, larger where better, distributed as a standard normal: (scores,). ``rng`` draws weights of several goals."""
    columns = np.array([score[: len(scores[0])] for score in scores], dtype=float).T  # (goals, scores)
    if len(columns) == 1:
        return quantiles(columns[0])
    drawn = np.array([rng.expovariate(1) for _ in columns])
    lacking = (1 - np.array([shares(column) for column in columns])) * (drawn / drawn.sum())[:, None]
    return quantiles(-lacking.max(0) - AUGMENTED * lacking.sum(0))


def shares(column: Array) -> Array:
    """The share of others below each, half of those that are equal: (n,), between 0 and 1."""
    return (ranks(column) - 0.5) / len(column)


def quantiles(column: Array) -> Array:
    """The standard normal quantiles of ``shares``."""
    from scipy.special import ndtri

    return np.asarray(ndtri(shares(column)))
