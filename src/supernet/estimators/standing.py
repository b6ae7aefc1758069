"""Score an untrained network by how far several scores put it above others: synflow and naswot, or whichever are named.

A vote (Abdelfattah et al. 2021, https://arxiv.org/abs/2101.08134) says which of two is better; it does not tell apart the best, which beat
all others. Here each score counts by its distance from what is usual, so that a searcher can climb. Supernet's own.
"""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

import numpy as np

from supernet.estimators.beside import Beside
from supernet.estimators.naswot import Naswot
from supernet.estimators.synflow import Synflow
from supernet.estimators.untrained import Untrained
from supernet.space import Architecture

LOWEST = -5.0  # so that a network which one score cannot tell anything of is last, and still one of many


class Standing(Beside):
    """(architecture, fidelity) -> {"standing": the mean of its scores}, each in interquartile ranges above the median of the references."""

    of: ClassVar[tuple[type[Untrained], ...]] = (Synflow, Naswot)

    def __call__(self, architecture: Architecture, fidelity: float = 1.0) -> dict[str, float]:
        own = zip(self.scores(architecture), self.usual, strict=True)
        return {"standing": float(np.mean([max((score - median) / spread, LOWEST) for score, (median, spread) in own]))}

    @cached_property
    def usual(self) -> list[tuple[float, float]]:
        """Of each score the median of the references, and between which of their quartiles half of them lie: 1 where that is nothing."""
        found = []
        for scores in zip(*self.references, strict=True):
            able = [score for score in scores if np.isfinite(score)] or [0.0]
            low, median, high = np.percentile(able, (25, 50, 75))
            found.append((float(median), float(high - low) or 1.0))
        return found
