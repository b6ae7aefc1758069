"""What a searcher was told and has asked for: by architecture, in an order of its own, so that the order of the tells changes nothing."""

from __future__ import annotations

from random import Random
from typing import Any

from supernet.searchers import Exhausted, Outcome, Score
from supernet.searchers.state import from_plain, plain, random_state, restore_random
from supernet.space import Architecture, SearchSpace

DRAWS = 400  # of known architectures in a row, after which no new one is looked for


class Told:
    """Outcomes of the architectures of ``space``; of one that is told twice, the later. What is asked for is pending until it is told."""

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self.outcomes: dict[str, tuple[Outcome, Architecture]] = {}
        self.pending: dict[str, Architecture] = {}

    def ask(self, architecture: Architecture) -> None:
        """``architecture`` is pending."""
        self.pending[self.space.key(architecture)] = architecture

    def tell(self, architecture: Architecture, outcome: Outcome) -> None:
        """What became of ``architecture``, asked for or not."""
        key = self.space.key(architecture)
        self.pending.pop(key, None)
        self.outcomes[key] = outcome, architecture

    def knows(self, architecture: Architecture) -> bool:
        """Whether it was told or is pending."""
        key = self.space.key(architecture)
        return key in self.outcomes or key in self.pending

    def scored(self) -> list[tuple[Score, Architecture]]:
        """Those with scores."""
        told = [self.outcomes[key] for key in sorted(self.outcomes)]
        return [(tuple(outcome), architecture) for outcome, architecture in told if not isinstance(outcome, str)]

    def unscored(self) -> list[Architecture]:
        """Those that were beyond the bounds or failed."""
        told = [self.outcomes[key] for key in sorted(self.outcomes)]
        return [architecture for outcome, architecture in told if isinstance(outcome, str)]

    def waiting(self) -> list[Architecture]:
        """Those that are pending."""
        return [self.pending[key] for key in sorted(self.pending)]

    def new(self, rng: Random) -> Architecture:
        """A random architecture that is not known; raises ``Exhausted``, with the generator as it was, where none is found."""
        before = random_state(rng)
        for _ in range(DRAWS):
            architecture = self.space.sample(rng)
            if not self.knows(architecture):
                return architecture
        restore_random(rng, before)
        raise Exhausted(f"no architecture is found beside the {len(self.outcomes) + len(self.pending)} that are known")

    def state_dict(self) -> dict[str, Any]:
        """All of it."""
        told = [[plain(a), outcome if isinstance(outcome, str) else list(outcome)] for outcome, a in self.outcomes.values()]
        return {"told": told, "pending": [plain(architecture) for architecture in self.pending.values()]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the one that gave ``state``."""
        self.outcomes, self.pending = {}, {}
        for architecture, outcome in state["told"]:
            self.tell(from_plain(architecture), tuple(outcome) if isinstance(outcome, list) else outcome)
        for architecture in state["pending"]:
            self.ask(from_plain(architecture))
