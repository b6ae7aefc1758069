"""What every method that trains a supernet says of itself, and does unless it does otherwise."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from supernet.data.streams import Data
from supernet.layers.base import Supernet
from supernet.modules.modes import training
from supernet.settings.sections import SEARCHER
from supernet.space import Choice
from supernet.strategies.weights import Weights
from supernet.task import Task


class SupernetStrategy(ABC):
    """Trains ``supernet`` on ``task``. One that ``decides`` has ``architecture()``, ``belief()`` and ``evaluate()`` too.

    ``needs``: what the method asks of a space that can give it: the name of the need -> a value, see ``supernet.spaces.record.Space``.
    ``recipe``: the paper's settings of ``trainer``, by which the weights are trained; ``pricing``: its settings of ``Price``.
    ``searched_by``: the searcher that picks an architecture by the shared weights where nobody names one.
    """

    needs: ClassVar[Mapping[str, Any]] = {}
    trainer: ClassVar[Callable[..., Weights]] = Weights
    recipe: ClassVar[Mapping[str, Any]] = {}
    pricing: ClassVar[Mapping[str, Any]] = {"form": "hinge", "weight": 1.0}
    decides: ClassVar[bool] = False  # whether the architecture is its own; else a searcher picks one by the shared weights
    searched_by: ClassVar[str] = SEARCHER
    narrows: ClassVar[bool] = False  # whether it leaves out options while it trains, so that no searcher can choose among all afterwards
    by_alphas: ClassVar[bool] = False  # whether it is read off the alphas
    alike: ClassVar[bool] = False  # whether all of its steps run the same options, all of them, so that a compiler makes one graph of them

    supernet: Supernet
    task: Task
    weights: Weights

    @abstractmethod
    def __init__(self, supernet: Supernet, task: Task, **settings: Any):
        """Every method is made so; settings that it does not have are refused."""

    @classmethod
    def on(cls, space: str | None) -> type[SupernetStrategy]:
        """The class that is the method in a space, by the name of that."""
        return cls

    @classmethod
    def logits(cls, choice: Choice) -> int:
        """How many alphas a choice has."""
        return 0

    @property
    def resolved(self) -> dict[str, Any]:
        """The values of settings that may be left open, by name."""
        return {}

    @property
    def built(self) -> dict[str, Any]:
        """The settings by which the present supernet differs from the one that was given."""
        return {}

    def training(self) -> AbstractContextManager[None]:
        """What is trained is in training mode meanwhile."""
        return training(self.supernet)

    def schedule(self, done: float, of: int) -> None:  # noqa: B027  # some have none
        """Within the epochs of a short training (``train.moves``): set the schedules for ``done`` epochs and a part of one."""

    def finish(self, data: Data) -> None:  # noqa: B027  # most have nothing left
        """What is left to do after the last epoch."""
