"""Score an architecture by models that were fitted to measurements, such as a predictor of latency.

Cai et al. 2020 (Once-for-All), section 3.4, https://arxiv.org/abs/1908.09791
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from supernet.space import Architecture, SearchSpace


class Predictor(Protocol):
    """A model of one metric, such as ``supernet.costs.latency.predictor.Predictor`` and ``AccuracyPredictor``."""

    def predict(self, space: SearchSpace, architecture: Architecture) -> float:
        """The metric of an architecture; raises ``InputError`` for another space."""


class Predicted:
    """(architecture, fidelity) -> what each of ``predictors`` says, by its name.

    A prediction costs nothing: every fidelity has the same answer.
    """

    def __init__(self, space: SearchSpace, predictors: Mapping[str, Predictor]):
        self.space, self.predictors = space, dict(predictors)

    def __call__(self, architecture: Architecture, fidelity: float = 1.0) -> dict[str, float]:
        return {name: predictor.predict(self.space, architecture) for name, predictor in self.predictors.items()}
