"""Local search: look at every neighbour, move to the best, start anew where none is better.

White et al. 2021, "Exploring the loss landscape in neural architecture search", algorithm 1, https://arxiv.org/abs/2005.02960: noise in
what is estimated makes local optima of places that are none, or keeps the search climbing on chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from supernet.errors import InputError
from supernet.searchers import Ask, Outcome
from supernet.searchers.state import from_plain, plain, random_state, restore_random
from supernet.settings.quantities import Amount
from supernet.space import Architecture, SearchSpace


class LocalSearch:
    """Ask for all neighbours of the current architecture, in random order, then move to the best one told if it is better.

    noise: by how much a neighbour has to be better than the architecture that it is a neighbour of, in units of the score, such as the
    standard deviation between two trainings. Less is taken for chance: the search does not move there.
    sample: where to start; neighbours: where one can go from an architecture. Default: the space's.
    Where the last neighbours are asked for and not told yet, it moves to the best so far, or asks for a random start meanwhile; a neighbour
    that is told late counts where it beats the architecture that it is a neighbour of, and where the search is by now. So the order of
    the tells decides what it asks for.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        noise: Amount = 0.0,
        sample: Callable[[Random], Architecture] | None = None,
        neighbours: Callable[[Architecture], Iterable[Architecture]] | None = None,
    ) -> None:
        if noise < 0:
            raise InputError(f"noise is how much scores vary by chance, at least 0, not {noise}")
        self.rng, self.noise = Random(seed), noise
        self.sample, self.neighbours = sample or space.sample, neighbours or space.neighbours
        self.current: float | None = None  # the score to beat; None: at a start
        self.centre: Architecture | None = None  # whose neighbours are asked for; None: at a start
        self.better: tuple[float, Architecture] | None = None  # the best told that beats it
        self.queue: list[Architecture] = []
        self.to_beat: dict[int, float | None] = {}  # by the number of an ask not told yet: ``current`` then
        self.asked = 0

    def ask(self) -> Ask:
        """The next neighbour, with that whose neighbour it is.

        After the last, a neighbour of the better one; at a local optimum, a random architecture.
        """
        if not self.queue and self.better is not None:
            self.current, self.centre = self.better
            self.better = None
            self.queue = list(self.neighbours(self.centre))
            self.rng.shuffle(self.queue)
        if not self.queue:
            self.current, self.centre = None, None
            self.queue = [self.sample(self.rng)]
        self.asked += 1
        self.to_beat[self.asked] = self.current
        return self.asked, self.queue.pop(), 1.0, self.centre

    def tell(self, number: int, architecture: Architecture, outcome: Outcome) -> None:
        """Whatever beats the current architecture by more than the noise, asked for here or not, is where to move next."""
        bars = (self.to_beat.pop(number, None), self.current)
        if isinstance(outcome, str) or any(bar is not None and outcome[0] <= bar + self.noise for bar in bars):
            return
        if self.better is None or outcome[0] > self.better[0]:
            self.better = (outcome[0], architecture)

    def state_dict(self) -> dict[str, Any]:
        """The score to beat and whose it is, what beats it, the neighbours left and the generator."""
        return {
            "rng": random_state(self.rng),
            "asked": self.asked,
            "current": self.current,
            "centre": self.centre and plain(self.centre),
            "better": [self.better[0], plain(self.better[1])] if self.better else None,
            "queue": [plain(architecture) for architecture in self.queue],
            "to_beat": [list(pair) for pair in self.to_beat.items()],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the searcher that gave ``state``."""
        restore_random(self.rng, state["rng"])
        self.asked, self.current = state["asked"], state["current"]
        self.centre = state["centre"] and from_plain(state["centre"])
        self.better = (state["better"][0], from_plain(state["better"][1])) if state["better"] else None
        self.queue = [from_plain(architecture) for architecture in state["queue"]]
        self.to_beat = dict(state["to_beat"])
