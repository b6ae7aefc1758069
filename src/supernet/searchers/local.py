"""Local search: look at every neighbour, move to the best, start anew where none is better.

White et al. 2021, "Exploring the loss landscape in neural architecture search", algorithm 1, https://arxiv.org/abs/2005.02960
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from supernet.searchers import Outcome
from supernet.searchers.state import from_plain, plain, random_state, restore_random
from supernet.space import Architecture, SearchSpace


class LocalSearch:
    """Ask for all neighbours of the current architecture, in random order, then move to the best one told if it is better.

    sample: where to start; neighbours: where one can go from an architecture. Default: the space's.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        sample: Callable[[Random], Architecture] | None = None,
        neighbours: Callable[[Architecture], Iterable[Architecture]] | None = None,
    ) -> None:
        self.rng = Random(seed)
        self.sample, self.neighbours = sample or space.sample, neighbours or space.neighbours
        self.current: float | None = None  # the score to beat; None: at a start
        self.better: tuple[float, Architecture] | None = None  # the best told that beats it
        self.queue: list[Architecture] = []
        self.asked = 0

    def ask(self) -> tuple[int, Architecture]:
        """The next neighbour; after the last, a neighbour of the better one; at a local optimum, a random architecture."""
        if not self.queue and self.better is not None:
            self.current, architecture = self.better
            self.better = None
            self.queue = list(self.neighbours(architecture))
            self.rng.shuffle(self.queue)
        if not self.queue:
            self.current = None
            self.queue = [self.sample(self.rng)]
        self.asked += 1
        return self.asked, self.queue.pop()

    def tell(self, number: int, architecture: Architecture, outcome: Outcome) -> None:
        """Whatever beats the current architecture, asked for here or not, is where to move next."""
        if isinstance(outcome, str):
            return
        beaten = self.better[0] if self.better else self.current
        if beaten is None or outcome[0] > beaten:
            self.better = (outcome[0], architecture)

    def state_dict(self) -> dict[str, Any]:
        """The score to beat, what beats it, the neighbours left and the generator."""
        return {
            "rng": random_state(self.rng),
            "asked": self.asked,
            "current": self.current,
            "better": [self.better[0], plain(self.better[1])] if self.better else None,
            "queue": [plain(architecture) for architecture in self.queue],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the searcher that gave ``state``."""
        restore_random(self.rng, state["rng"])
        self.asked, self.current = state["asked"], state["current"]
        self.better = (state["better"][0], from_plain(state["better"][1])) if state["better"] else None
        self.queue = [from_plain(architecture) for architecture in state["queue"]]
