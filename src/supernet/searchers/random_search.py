"""Random search: every architecture drawn anew.

The baseline that any search has to beat: Li, Talwalkar 2019, section 3, https://arxiv.org/abs/1902.07638
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from supernet.searchers import Outcome
from supernet.searchers.state import random_state, restore_random
from supernet.space import Architecture, SearchSpace


class RandomSearch:
    """Draw each architecture by ``sample`` (default: each choice of the space uniformly), whatever was told."""

    def __init__(self, space: SearchSpace, seed: int = 0, *, sample: Callable[[Random], Architecture] | None = None) -> None:
        self.rng = Random(seed)
        self.sample = sample or space.sample
        self.asked = 0

    def ask(self) -> tuple[int, Architecture]:
        """A random architecture."""
        self.asked += 1
        return self.asked, self.sample(self.rng)

    def tell(self, number: int, architecture: Architecture, outcome: Outcome) -> None:
        """Nothing is learnt."""

    def state_dict(self) -> dict[str, Any]:
        """The generator and the count of asks."""
        return {"rng": random_state(self.rng), "asked": self.asked}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the searcher that gave ``state``."""
        restore_random(self.rng, state["rng"])
        self.asked = state["asked"]
