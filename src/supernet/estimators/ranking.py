"""How well one score ranks architectures that another one knows the truth of.

Kendall's tau and what is lost by trusting the score: Yu et al. 2020, https://arxiv.org/abs/1902.08142; Zela et al. 2020 (regret),
https://arxiv.org/abs/2001.10422
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import numpy

from supernet.space import Architecture, SearchSpace


def kendall(own: Sequence[float], known: Sequence[float]) -> float | None:
    """Kendall's tau (b), which counts ties, from -1 to 1; None where either ranks nothing."""
    from scipy.stats import kendalltau  # slow to import

    return _finite(kendalltau(own, known).statistic) if len(own) > 1 else None


def spearman(own: Sequence[float], known: Sequence[float]) -> float | None:
    """Spearman's rank correlation, from -1 to 1; None where either ranks nothing."""
    from scipy.stats import rankdata  # slow to import

    able = len(own) > 1 and len(set(own)) > 1 and len(set(known)) > 1  # else there is none, and a warning
    return _finite(numpy.corrcoef(rankdata(own), rankdata(known))[0, 1]) if able else None


def interval(
    own: Sequence[float],
    known: Sequence[float],
    share: float = 0.95,
    *,
    of: Callable[[Sequence[float], Sequence[float]], float | None] = kendall,
    seed: int = 0,
    resamples: int = 1000,
) -> tuple[float, float] | None:
    """Between which two values a correlation is with a probability of ``share``, by the percentiles of a bootstrap over architectures.

    ``of``: Kendall's tau, or another. None where fewer than three are known, or a resample ranks nothing.
    """
    draw, count = Random(seed), len(own)
    if count < 3:
        return None
    values = []
    for _ in range(resamples):
        drawn = draw.choices(range(count), k=count)
        values.append(of([own[i] for i in drawn], [known[i] for i in drawn]))
    found = sorted(value for value in values if value is not None)
    if len(found) < resamples:
        return None
    aside = round(resamples * (1 - share) / 2)
    return found[aside], found[-1 - aside]


def regret(own: Sequence[float], known: Sequence[float], k: int) -> float:
    """What is lost by looking at the ``k`` best of a score alone: the best that is known of all, less the best of these; at least 0.

    Of equal scores the first count. In the unit of ``known``, of which larger is better, as of ``own``.
    """
    trusted = sorted(range(len(own)), key=lambda i: -own[i])[:k]
    return max(known) - max(known[i] for i in trusted)


def drawn(space: SearchSpace, count: int, seed: int) -> list[Architecture]:
    """``count`` different architectures; all of them where there are no more."""
    if count >= space.size():
        return list(space.enumerate())
    found: dict[str, Architecture] = {}
    rng = Random(seed)
    while len(found) < count:
        architecture = space.sample(rng)
        found.setdefault(space.key(architecture), architecture)
    return list(found.values())


def _finite(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
