"""What searchers that learn by rewards have in common: they draw a batch, wait until it is told, and learn from what it is worth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from random import Random
from typing import Any

from supernet.errors import InputError
from supernet.searchers import Exhausted, Outcome
from supernet.searchers.state import from_plain, plain, random_state, restore_random
from supernet.space import Architecture, SearchSpace

MEMORY = 100  # scores among which a new one has its rank
WORST = -1.0  # what is without a score is worth; any score is worth more


class Ranks:
    """What scores are worth as rewards: ranks among the last 100 that were told, from -1 to 1; what has no score is worth -1.

    The papers reward by the accuracy itself. Here a score may be of any unit and scale.
    """

    def __init__(self) -> None:
        self.scores: list[float] = []  # the last, the oldest first

    def worths(self, scores: list[float | None]) -> list[float]:
        """What each of ``scores`` is worth among those before and all of these, of equals the middle; None: beyond the bounds or failed."""
        self.scores = [*self.scores, *(score for score in scores if score is not None)][-MEMORY:]
        ranks = sorted(self.scores)
        places = [None if score is None else bisect_left(ranks, score) + bisect_right(ranks, score) for score in scores]
        return [WORST if place is None else place / len(ranks) - 1 for place in places]


class Rewarded(ABC):
    """Has ``draw`` draw ``samples`` architectures, and ``learn`` learn from them when the last is told.

    What an architecture is worth: ``Ranks``. A repeated architecture counts again, as in the papers. A batch waits until all of it is
    told, so that the order of the tells changes nothing.
    """

    def __init__(self, space: SearchSpace, seed: int, samples: int) -> None:
        if samples < 1:
            raise InputError(f"samples, which are drawn before anything is learnt, must be at least 1, not {samples}")
        self.space, self.rng, self.samples = space, Random(seed), samples
        self.asked = 0
        self.drawn: list[Architecture] = []  # of this batch, what is not asked for yet
        self.pending: dict[int, Architecture] = {}  # by the number of the ask
        self.told: list[tuple[int, float | None, Architecture]] = []  # of this batch: number of the ask, score if any
        self.ranks = Ranks()

    @abstractmethod
    def draw(self, number: int) -> list[Architecture]:
        """So many architectures, by what was learnt."""

    @abstractmethod
    def learn(self, batch: list[tuple[Architecture, float]]) -> None:
        """Learn from architectures and what they are worth, from -1 to 1, in the order in which they were asked for."""

    def ask(self) -> tuple[int, Architecture]:
        """The next of the batch; raises ``Exhausted`` where the rest of it is not told yet."""
        if len(self.pending) + len(self.told) == self.samples:
            raise Exhausted("the rest of the batch is not told yet")
        self.drawn = self.drawn or self.draw(self.samples)
        self.asked += 1
        self.pending[self.asked] = self.drawn.pop(0)
        return self.asked, self.pending[self.asked]

    def tell(self, number: int, architecture: Architecture, outcome: Outcome) -> None:
        """Keep the score of what was asked for; after the last of the batch, learn."""
        if self.pending.pop(number, None) is None:
            return
        self.told.append((number, None if isinstance(outcome, str) else outcome[0], architecture))
        if len(self.told) == self.samples:
            batch = sorted(self.told, key=lambda told: told[0])
            self.told = []
            worths = self.ranks.worths([score for _, score, _ in batch])
            self.learn([(architecture, worth) for (*_, architecture), worth in zip(batch, worths, strict=True)])

    def state_dict(self) -> dict[str, Any]:
        """The generator, the batch and the last scores."""
        return {
            **{"rng": random_state(self.rng), "asked": self.asked, "scores": list(self.ranks.scores)},
            "drawn": [plain(architecture) for architecture in self.drawn],
            "pending": [[number, plain(architecture)] for number, architecture in self.pending.items()],
            "told": [[number, score, plain(architecture)] for number, score, architecture in self.told],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the searcher that gave ``state``."""
        restore_random(self.rng, state["rng"])
        self.asked, self.ranks.scores = state["asked"], list(state["scores"])
        self.drawn = [from_plain(architecture) for architecture in state["drawn"]]
        self.pending = {number: from_plain(architecture) for number, architecture in state["pending"]}
        self.told = [(number, score, from_plain(architecture)) for number, score, architecture in state["told"]]
