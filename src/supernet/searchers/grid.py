"""Grid search: every architecture of the space once, in the order of its choices and options."""

from __future__ import annotations

from itertools import islice
from typing import Any

from supernet.searchers import Exhausted, Outcome
from supernet.space import Architecture, SearchSpace


class Grid:
    """Ask for ``space.enumerate()`` from first to last; ``seed`` and tells change nothing."""

    def __init__(self, space: SearchSpace, seed: int = 0) -> None:
        self.space = space
        self.left = space.enumerate()
        self.asked = 0

    def ask(self) -> tuple[int, Architecture]:
        """The next architecture; raises ``Exhausted`` after the last."""
        architecture = next(self.left, None)
        if architecture is None:
            raise Exhausted(f"all {self.asked} architectures of the space were asked for")
        self.asked += 1
        return self.asked, architecture

    def tell(self, number: int, architecture: Architecture, outcome: Outcome) -> None:
        """Nothing is learnt."""

    def state_dict(self) -> dict[str, Any]:
        """The place in the order."""
        return {"asked": self.asked}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the searcher that gave ``state``."""
        self.asked = state["asked"]
        self.left = islice(self.space.enumerate(), self.asked, None)
