"""Learning rates in proportion to the length of a chunk of text, so that short ones do not pull harder a token.

Merity et al. 2018, section 4.1, https://arxiv.org/abs/1708.02182; DARTS' recurrent search and evaluation do the same.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from torch import Tensor

from supernet.data.streams import Data
from supernet.data.text_streams import TextStream


class ByLength:
    """Any strategy, whose weights take each step at ``stream.scale`` times their learning rate; second order looks as far ahead.

    ``stream``: the training stream of the strategy's task. Everything else is the strategy's own. Several chunks in one step
    follow the length of the first.
    """

    def __init__(self, strategy: Any, stream: TextStream):
        self.strategy, self.stream = strategy, stream

    def step(self, data: Data) -> dict[str, Tensor]:
        """One step of the strategy at the learning rate of its chunk."""
        groups = self.strategy.weights.optimiser.param_groups
        before = [group["lr"] for group in groups]
        for group in groups:
            group["lr"] *= self.stream.scale
        try:
            measured: dict[str, Tensor] = self.strategy.step(data)
        finally:
            for group, lr in zip(groups, before, strict=True):
                group["lr"] = lr
        return measured

    def training(self) -> AbstractContextManager[None]:
        """The strategy's own."""
        found: AbstractContextManager[None] = self.strategy.training()
        return found

    def steps(self, data: Data) -> int:
        """How many steps make an epoch."""
        return int(self.strategy.steps(data))

    def epoch(self, done: int, of: int, metrics: dict[str, Any]) -> bool:
        """The strategy's own."""
        return bool(self.strategy.epoch(done, of, metrics))

    def schedule(self, done: float, of: int) -> None:
        """The strategy's own."""
        self.strategy.schedule(done, of)

    def facts(self) -> dict[str, Any]:
        """The strategy's own."""
        return dict(self.strategy.facts())

    def state_dict(self) -> dict[str, Any]:
        return dict(self.strategy.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.strategy.load_state_dict(state)

    def __getattr__(self, name: str) -> Any:
        if name == "strategy":  # not there yet
            raise AttributeError(name)
        return getattr(self.strategy, name)
