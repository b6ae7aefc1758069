"""Score an untrained network by the votes of several scores: synflow, jacob-cov and snip, or others.

Abdelfattah et al. 2021, section 3.2 ("vote"), https://arxiv.org/abs/2101.08134: of two architectures the better is that which two of the
three scores prefer. A searcher needs a number for one, so here each architecture is compared with the same others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import ClassVar

from torch import nn

from supernet.estimators.jacob_cov import JacobCov
from supernet.estimators.ranking import drawn
from supernet.estimators.snip import Snip
from supernet.estimators.synflow import Synflow
from supernet.estimators.untrained import Untrained
from supernet.space import Architecture, SearchSpace
from supernet.task import Task

REFERENCES = 50


class Vote:
    """(architecture, fidelity) -> {"vote": the share of reference architectures to which most of the scores ``of`` it prefer it}.

    References are 50 architectures of ``space``, drawn by ``seed``, or all of a smaller space, and scored when the first is asked for; one
    that is neither preferred nor not counts as half. So a vote depends on nothing that was asked before. It costs what its scores cost.
    Raises ``InputError`` where the networks read no numbers but, such as a language model, tokens, or only one example is there.
    """

    of: ClassVar[tuple[type[Untrained], ...]] = (Synflow, JacobCov, Snip)

    def __init__(self, build: Callable[[Architecture], nn.Module], task: Task, *, space: SearchSpace, seed: int = 0):
        self.space, self.seed = space, seed
        self.voters = [voter(build, task, seed=seed) for voter in self.of]

    def __call__(self, architecture: Architecture, fidelity: float = 1.0) -> dict[str, float]:
        own = self.scores(architecture)
        return {"vote": sum(preferred(own, other) for other in self.references) / len(self.references)}

    @cached_property
    def references(self) -> list[tuple[float, ...]]:
        """What each score says of each reference."""
        return [self.scores(architecture) for architecture in drawn(self.space, REFERENCES, self.seed)]

    def scores(self, architecture: Architecture) -> tuple[float, ...]:
        """What each score says of an architecture."""
        return tuple(score for voter in self.voters for score in voter(architecture).values())


def preferred(own: Sequence[float], other: Sequence[float]) -> float:
    """1 where most of the scores are larger than those of another, 0 where most are smaller, else a half."""
    larger, smaller = (sum(a > b for a, b in zip(*pair, strict=True)) for pair in ((own, other), (other, own)))
    return 0.5 + 0.5 * ((larger > len(own) / 2) - (smaller > len(own) / 2))
