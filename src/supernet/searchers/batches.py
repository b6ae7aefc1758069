"""What searchers share that ask for a batch of architectures, learn from all of it, and ask for the next."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import dropwhile
from random import Random
from typing import Any

from supernet.predictors import Predictor, make_predictor
from supernet.predictors.encoding import Array, Encoding
from supernet.searchers import Exhausted, Outcome, Score
from supernet.searchers.state import from_plain, plain, random_state, restore_random
from supernet.searchers.told import Told
from supernet.searchers.trust import Trust
from supernet.space import Architecture, SearchSpace


class Batches(ABC):
    """Asks for a batch, the next one when all of it is told; what is beyond the bounds makes room for the next in the ranking.

    predictor: what learns from all that was told.
    """

    def __init__(self, space: SearchSpace, seed: int, predictor: str, encoding: Encoding) -> None:
        self.space, self.rng, self.predictor, self.encoding = space, Random(seed), predictor, encoding
        make_predictor(predictor, encoding)  # refuses another name
        self.told = Told(space)
        self.queue: list[Architecture] = []  # the ranking
        self.left = 0  # how many of it belong to the batch
        self.asked = 0
        self.trust = Trust(type(self).__name__.lower())

    @abstractmethod
    def batch(self) -> tuple[list[Architecture], int]:
        """A ranking of new architectures, one at least, and how many of them to ask for; raises ``Exhausted``, and changes nothing."""

    def ask(self) -> tuple[int, Architecture]:
        """The next of the batch; raises ``Exhausted`` while the rest of it is pending, and where there is no other."""
        ranking, left = list(dropwhile(self.told.knows, self.queue)), self.left
        if not ranking or left < 1:
            if self.told.pending:
                raise Exhausted("the rest of the batch is not told yet")
            ranking, left = self.batch()
        architecture, *self.queue = ranking
        self.asked, self.left = self.asked + 1, left - 1
        self.told.ask(architecture)
        return self.asked, architecture

    def tell(self, number: int, architecture: Architecture, outcome: Outcome) -> None:
        """Keep it; ``outcome`` is a tuple of scores, "infeasible" or "failed"."""
        self.left += outcome == "infeasible" and self.space.key(architecture) in self.told.pending
        self.told.tell(architecture, outcome)

    def learnt(self, scored: Sequence[tuple[Score, Architecture]], targets: Sequence[Array]) -> list[Predictor]:
        """Predictors of ``targets``, each a number for each of what has scores; none where these are fewer than two.

        None either where one of them is not to be followed.
        """
        if len(scored) < 2:
            return []
        rows, models = self.encoding.rows([architecture for _, architecture in scored]), []
        for target in targets:
            models.append(make_predictor(self.predictor, self.encoding, self.rng.getrandbits(32)))
            models[-1].fit(rows, target)
        agreement = min(model.agreement for model in models)
        return models if self.trust.follow(agreement, len(scored)) else []

    def state_dict(self) -> dict[str, Any]:
        """The generator, what was told and is pending, the rest of the ranking, and how the predictor did."""
        return {
            **{"rng": random_state(self.rng), "asked": self.asked, "left": self.left, **self.trust.state_dict()},
            "queue": [plain(architecture) for architecture in self.queue],
            **self.told.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the searcher that gave ``state``."""
        restore_random(self.rng, state["rng"])
        self.asked, self.left = state["asked"], state["left"]
        self.trust.load_state_dict(state)
        self.queue = [from_plain(architecture) for architecture in state["queue"]]
        self.told.load_state_dict(state)
