"""Score an untrained network by the votes of three scores: synflow, jacob-cov and snip.

Abdelfattah et al. 2021, section 3.2 ("vote"), https://arxiv.org/abs/2101.08134: of two architectures the better is that which two of the
three scores prefer. A searcher needs a number for one, so here each architecture is compared with the same others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from supernet.estimators.beside import Beside
from supernet.estimators.jacob_cov import JacobCov
from supernet.estimators.snip import Snip
from supernet.estimators.synflow import Synflow
from supernet.estimators.untrained import Untrained
from supernet.space import Architecture


class Vote(Beside):
    """(architecture, fidelity) -> {"vote": the share of reference architectures to which most of the scores prefer it}.

    One that is neither preferred nor not counts as half.
    """

    of: ClassVar[tuple[type[Untrained], ...]] = (Synflow, JacobCov, Snip)

    def __call__(self, architecture: Architecture, fidelity: float = 1.0) -> dict[str, float]:
        own = self.scores(architecture)
        return {"vote": sum(preferred(own, other) for other in self.references) / len(self.references)}


def preferred(own: Sequence[float], other: Sequence[float]) -> float:
    """1 where most of the scores are larger than those of another, 0 where most are smaller, else a half."""
    larger, smaller = (sum(a > b for a, b in zip(*pair, strict=True)) for pair in ((own, other), (other, own)))
    return 0.5 + 0.5 * ((larger > len(own) / 2) - (smaller > len(own) / 2))
