"""Ridge regression over encoded architectures, its strength by leaving out one at a time.

Hoerl, Kennard 1970, https://doi.org/10.1080/00401706.1970.10488634; the error of what is left out in closed form: Golub et al. 1979,
https://doi.org/10.1080/00401706.1979.10489751
"""

from __future__ import annotations

import numpy as np

from supernet.predictors.encoding import Array, Encoding, rank_correlation

STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)


class Ridge:
    """A sum over columns. The deviation is that of what it says of those left out, the same for all."""

    def __init__(self, encoding: Encoding, seed: int = 0) -> None:
        self.agreement = 0.0

    def fit(self, rows: Array, scores: Array) -> None:
        """Learn ``scores`` (n,) of ``rows`` (n, width)."""
        self._means, self._mean = rows.mean(0), scores.mean()
        centred = rows - self._means
        left, sizes, right = np.linalg.svd(centred, full_matrices=False)
        turned, error = left.T @ (scores - self._mean), np.inf
        for strength in STRENGTHS:
            shrunk = sizes**2 / (sizes**2 + strength)
            rest = scores - self._mean - left @ (shrunk * turned)
            without = rest / (1 - 1 / len(rows) - (left**2 * shrunk).sum(1)).clip(1e-9)  # what is missed of each by all others
            if (without**2).mean() < error:
                error = float((without**2).mean())
                self._weights = right.T @ (sizes / (sizes**2 + strength) * turned)
                self.agreement = rank_correlation(scores - without, scores)
        self._deviation = error**0.5

    def predict(self, rows: Array) -> tuple[Array, Array]:
        """Means (m,) and standard deviations (m,) of the scores of ``rows`` (m, width)."""
        return self._mean + (rows - self._means) @ self._weights, np.full(len(rows), self._deviation)
