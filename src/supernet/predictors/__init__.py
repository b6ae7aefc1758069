"""Predictors: what architectures that were not tried are worth, learnt from those that were."""

from __future__ import annotations

from typing import Any, Protocol

from supernet.places import at, named
from supernet.predictors.encoding import Array, Encoding

TRUSTED = 0.2  # the rank correlation on scores that it has not seen below which a predictor is not to be followed


class Predictor(Protocol):
    """A model of one number.

    ``agreement``: Spearman's correlation, from -1 to 1, of the scores that it was fitted to and what it said of each before it had seen
    it: by cross-validation, or leaving out one at a time.
    """

    agreement: float

    def fit(self, rows: Array, scores: Array) -> None:
        """Learn ``scores`` (n,), of mean 0 and variance 1 or about so, of encoded architectures ``rows`` (n, width); n is 2 or more."""

    def predict(self, rows: Array) -> tuple[Array, Array]:
        """Means (m,) and standard deviations (m,) of the scores of ``rows`` (m, width)."""


PREDICTORS = {
    "gaussian": "supernet.predictors.gaussian:GaussianProcess",
    "ridge": "supernet.predictors.ridge:Ridge",
    "boosting": "supernet.predictors.boosting:Boosting",
    "perceptrons": "supernet.predictors.perceptrons:Perceptrons",
    "graph": "supernet.predictors.graph:GraphNetworks",
}


def predictor_class(name: str) -> type[Any]:
    """The class behind a name of ``PREDICTORS``, made from (encoding, seed); raises ``InputError`` for another name."""
    found: type[Any] = at(named(PREDICTORS, name, "predictor"))
    return found


def make_predictor(name: str, encoding: Encoding, seed: int = 0) -> Predictor:
    """A predictor by name; raises ``InputError`` for another name."""
    made: Predictor = predictor_class(name)(encoding, seed)
    return made
