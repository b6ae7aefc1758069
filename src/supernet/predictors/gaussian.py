"""A Gaussian process over the choices of architectures, exact, with importances of choices by how much they explain.

Rasmussen, Williams 2006, algorithm 2.1 and equations 5.10 to 5.12, http://gaussianprocess.org/gpml/
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from supernet.predictors.encoding import Array, Encoding, rank_correlation

KERNELS = ((0.2, 1.0), (0.2, 4.0), (0.2, 16.0), (0.9, 4.0))  # the share that adds up choices; how fast the rest falls off as they differ
NOISES = (0.01, 0.1, 0.5)  # of a score, as a share of what the kernel explains
IMPORTANCES = (0.0, 0.6)  # the share of the weights of choices that follows what they explain; the rest is equal
FEW = 100  # points on which these are chosen
MOST = 400  # points that it learns from
RIDGE = 1.0


class GaussianProcess:
    """Learns scores from rows whose groups of columns have length 1 each, such as ``Options`` gives.

    Kernel, noise and importance are those of ``KERNELS``, ``NOISES`` and ``IMPORTANCES`` under which ``FEW`` of the scores are likeliest.
    Of more than ``MOST`` points it learns from the best half of so many, and others at equal distances in rank.
    """

    def __init__(self, encoding: Encoding, seed: int = 0) -> None:
        self.groups, self.agreement = encoding.groups, 0.0

    def fit(self, rows: Array, scores: Array) -> None:
        """Learn ``scores`` (n,), about 0 on average, of ``rows`` (n, width)."""
        from scipy.linalg import solve_triangular

        kept = spread(scores, MOST)
        rows, scores = rows[kept], scores[kept]
        few = spread(scores, FEW)
        explained = self._explained(rows, scores)
        even = np.full(len(self.groups), 1 / len(self.groups))
        likeliest, diagonal = -np.inf, np.eye(len(few))
        chosen: NDArray[np.floating[Any]]
        for importance in IMPORTANCES:
            scale = self._columns(importance * explained + (1 - importance) * even)
            alike = (rows[few] * scale) @ (rows[few] * scale).T
            kernels = [(shape, kernel(alike, *shape)) for shape in KERNELS]
            for (shape, covariance), noise in product(kernels, NOISES):
                lower = np.linalg.cholesky(covariance + noise * diagonal)
                whitened = solve_triangular(lower, scores[few], lower=True, check_finite=False)
                likely = -len(few) / 2 * np.log(whitened @ whitened / len(few) + 1e-12) - np.log(np.diag(lower)).sum()
                if likely > likeliest:
                    likeliest, self.shape, self.noise, self.scale, chosen = likely, shape, noise, scale, lower
        self.agreement = self._agreement(chosen, scores[few])
        self._learn(rows, scores)

    def _learn(self, rows: Array, scores: Array) -> None:
        from scipy.linalg import solve_triangular

        self.rows, self.scores = rows, scores
        known = rows * self.scale
        self.lower = np.linalg.cholesky(kernel(known @ known.T, *self.shape) + self.noise * np.eye(len(rows)))
        self.whitened = solve_triangular(self.lower, scores, lower=True, check_finite=False)
        self.amplitude = float(self.whitened @ self.whitened) / len(rows) + 1e-12  # where all scores are equal, doubts are

    def suppose(self, rows: Array) -> None:
        """Take the scores of ``rows`` for what is predicted of them, so that there is less to learn near them."""
        amplitude = self.amplitude
        self._learn(np.concatenate([self.rows, rows]), np.concatenate([self.scores, self.predict(rows)[0]]))
        self.amplitude = amplitude

    def predict(self, rows: Array) -> tuple[Array, Array]:
        """Means (m,) and standard deviations (m,) of the scores of ``rows`` (m, width), without noise."""
        from scipy.linalg import solve_triangular

        alike = kernel((self.rows * self.scale) @ (rows * self.scale).T, *self.shape)
        solved = solve_triangular(self.lower, alike, lower=True, check_finite=False, overwrite_b=True)
        return solved.T @ self.whitened, np.sqrt(self.amplitude * np.maximum(1 - (solved**2).sum(0), 1e-9))

    def _explained(self, rows: Array, scores: Array) -> Array:
        """The share of each choice in the variance of a ridge regression on the columns: (choices,)."""
        centred = rows - rows.mean(0)
        if len(rows) > centred.shape[1]:  # the smaller of two systems with the same solution
            weights = np.linalg.solve(centred.T @ centred + RIDGE * np.eye(centred.shape[1]), centred.T @ scores)
        else:
            weights = centred.T @ np.linalg.solve(centred @ centred.T + RIDGE * np.eye(len(rows)), scores)
        variances = np.array([(centred[:, columns] @ weights[columns]).var() for columns in self.groups])
        return variances / variances.sum() if variances.any() else np.full(len(self.groups), 1 / len(self.groups))

    def _columns(self, importances: Array) -> Array:
        """What each column is multiplied by, so that the product of two rows is the importance of the choices in which they agree."""
        return np.sqrt(np.repeat(importances, [columns.stop - columns.start for columns in self.groups]))

    @staticmethod
    def _agreement(lower: NDArray[np.floating[Any]], scores: Array) -> float:
        """The rank correlation of scores and what is predicted of each from the others."""
        from scipy.linalg import cho_solve

        inverse = cho_solve((lower, True), np.eye(len(scores)), check_finite=False)
        return rank_correlation(scores - (inverse @ scores) / np.diag(inverse), scores)


def kernel(alike: Array, linear: float, decay: float) -> Array:
    """The covariance of scores of architectures that agree in the share ``alike`` of their choices; 1 where in all."""
    return linear * alike + (1 - linear) * np.exp(decay * (alike - 1))


def spread(scores: Array, most: int) -> NDArray[np.intp]:
    """The places of ``most`` scores at most: the best, as half of them, and others at equal distances in rank."""
    if len(scores) <= most:
        return np.arange(len(scores))
    order = np.argsort(-scores, kind="stable")
    best = most // 2
    rest = best + np.arange(most - best) * (len(scores) - best) // (most - best)
    return np.sort(np.concatenate([order[:best], order[rest]]))
