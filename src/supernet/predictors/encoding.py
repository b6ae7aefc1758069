"""Architectures as rows of numbers: what predictors learn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from supernet.space import Architecture, SearchSpace

Array = NDArray[np.float64]


class Encoding(Protocol):
    """Architectures of ``space`` as rows; ``groups``: columns that belong together, in order; ``width``: how many columns there are."""

    space: SearchSpace
    groups: list[slice]
    width: int

    def rows(self, architectures: Sequence[Architecture]) -> Array:
        """The rows of architectures: (architectures, width). Equal for those that differ only in what does not matter."""


def ranks(column: Array) -> Array:
    """The rank of each, from 1, of equals the mean: (n,)."""
    _, places, counts = np.unique(column, return_inverse=True, return_counts=True)
    found: Array = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return found


def rank_correlation(one: Array, other: Array) -> float:
    """Spearman's, from -1 to 1; 0 where either ranks nothing."""
    first, second = ranks(one), ranks(other)
    deviations = first.std() * second.std()
    return float(((first - first.mean()) * (second - second.mean())).mean() / deviations) if deviations else 0.0
