"""What scores of several kinds say of an untrained network together, beside what they say of others that are always the same."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import ClassVar

from torch import nn

from supernet.estimators.ranking import drawn
from supernet.estimators.untrained import Untrained
from supernet.space import Architecture, SearchSpace
from supernet.task import Task

REFERENCES = 50


class Beside(ABC):
    """(architecture, fidelity) -> one number, by the scores ``of`` it and of reference architectures.

    References are 50 architectures of ``space``, drawn by ``seed``, or all of a smaller space, and scored when the first is asked for. So
    an answer depends on nothing that was asked before. It costs what its scores cost.
    Raises ``InputError`` where the networks read no numbers but, such as a language model, tokens, or only one example is there.
    """

    of: ClassVar[tuple[type[Untrained], ...]]

    def __init__(self, build: Callable[[Architecture], nn.Module], task: Task, *, space: SearchSpace, seed: int = 0):
        self.space, self.seed = space, seed
        self.scorers = [scorer(build, task, seed=seed) for scorer in self.of]

    @abstractmethod
    def __call__(self, architecture: Architecture, fidelity: float = 1.0) -> dict[str, float]:
        """The number, by its name."""

    @cached_property
    def references(self) -> list[tuple[float, ...]]:
        """What each score says of each reference."""
        return [self.scores(architecture) for architecture in drawn(self.space, REFERENCES, self.seed)]

    def scores(self, architecture: Architecture) -> tuple[float, ...]:
        """What each score says of an architecture."""
        return tuple(score for scorer in self.scorers for score in scorer(architecture).values())
