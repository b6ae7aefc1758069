"""Boosted trees over encoded architectures.

Friedman 2001, https://doi.org/10.1214/aos/1013203451
"""

from __future__ import annotations

import numpy as np

from supernet.predictors.encoding import Array, Encoding, rank_correlation

PARTS = 5
SETTINGS = {"n_estimators": 60, "max_depth": 4}


class Boosting:
    """The mean of five models of boosted trees, each without another fifth of the architectures, by which they are judged.

    The deviation is that of the five together with that of what they say of those left out.
    """

    def __init__(self, encoding: Encoding, seed: int = 0) -> None:
        self.seed, self.agreement = seed, 0.0

    def fit(self, rows: Array, scores: Array) -> None:
        """Learn ``scores`` (n,) of ``rows`` (n, width)."""
        from sklearn.ensemble import GradientBoostingRegressor

        parts = np.random.default_rng(self.seed).permutation(len(rows)) % PARTS
        self._models = []
        unseen = np.zeros(len(rows))
        for part in range(PARTS):
            model = GradientBoostingRegressor(**SETTINGS, random_state=self.seed % 2**32)
            self._models.append(model.fit(rows[parts != part], scores[parts != part]))
            if (parts == part).any():
                unseen[parts == part] = model.predict(rows[parts == part])
        self.agreement, self._deviation = rank_correlation(unseen, scores), float((unseen - scores).std())

    def predict(self, rows: Array) -> tuple[Array, Array]:
        """Means (m,) and standard deviations (m,) of the scores of ``rows`` (m, width)."""
        said = np.stack([model.predict(rows) for model in self._models])
        return said.mean(0), np.hypot(said.std(0, ddof=1), self._deviation)
