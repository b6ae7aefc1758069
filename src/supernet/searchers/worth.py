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
    columns = by_goal(scores)
    if len(columns) == 1:
        return quantiles(columns[0])
    return quantiles(chebyshev(np.array([shares(column) for column in columns]), rng))


def by_goal(scores: Sequence[Score]) -> Array:
    """The scores of each goal: (goals, scores)."""
    return np.asarray(np.array([score[: len(scores[0])] for score in scores], dtype=float).T)


def chebyshev(parts: Array, rng: Random) -> Array:
    """The augmented Chebyshev norm of what each lacks of 1 in every goal, negative, by weights drawn anew: (goals, n) -> (n,)."""
    drawn = np.array([rng.expovariate(1) for _ in parts])
    lacking = (1 - parts) * (drawn / drawn.sum())[:, None]
    return np.asarray(-lacking.max(0) - AUGMENTED * lacking.sum(0))


def diverse(parts: Array, rng: Random) -> list[int]:
    """The places of n, each the best of those left by weights of its own, so that the first lie along the front: (goals, n) -> n places."""
    left, found = list(range(parts.shape[1])), list[int]()
    while left:
        best = left[int(chebyshev(parts[:, left], rng).argmax())]
        left.remove(best)
        found.append(best)
    return found


def shares(column: Array) -> Array:
    """The share of others below each, half of those that are equal: (n,), between 0 and 1."""
    return (ranks(column) - 0.5) / len(column)


def quantiles(column: Array) -> Array:
    """The standard normal quantiles of ``shares``."""
    from scipy.special import ndtri

    return np.asarray(ndtri(shares(column)))
