"""Successive halving: many architectures at little cost, the better part of them at more, the best at the whole.

Jamieson, Talwalkar 2016, section 3 and figure 3, https://arxiv.org/abs/1502.07943
"""

from __future__ import annotations

from collections.abc import Callable
from math import log10
from random import Random
from typing import Any

from supernet.errors import InputError
from supernet.searchers import Exhausted, Outcome
from supernet.searchers.state import from_plain, plain, random_state, restore_random
from supernet.settings.quantities import Count
from supernet.space import Architecture, SearchSpace

SMALLEST = 6  # decimals of the share of an estimate that the first rung may ask for
DRAWS = 200  # of known architectures in a row, after which no new one is looked for


class SuccessiveHalving:
    """Draw ``arms`` architectures and ask for a small share of an estimate of each, then for ``factor`` times as much of the best.

    budget: how many whole estimates there will be, if that is known; only sets the default of ``arms``.
    factor: one of so many goes on to the next rung; the paper's 2. rungs: how many there are, the last of whole estimates; no more than the
    budget. arms: how many enter; default: as many as use the budget up, each rung as much of it as any other. The paper goes on until
    one is left; here the last rung has those left whose estimates are whole. An estimate that is asked for at more starts anew.
    sample: draws an architecture; default: the space's.
    What is beyond the bounds makes room for another on the first rung. After the last rung it begins again with others. A rung waits
    until all that it asked for is told, so that the order of the tells changes nothing.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        budget: Count | None = None,
        factor: Count = 2,
        rungs: Count = 4,
        arms: Count | None = None,
        sample: Callable[[Random], Architecture] | None = None,
    ) -> None:
        if factor < 2 or rungs < 1:
            raise InputError(f"successive halving needs a factor of at least 2 and 1 rung or more, not {factor} and {rungs}")
        self.rungs = rungs if budget is None else min(rungs, budget)
        if (self.rungs - 1) * log10(factor) > SMALLEST:
            raise InputError(f"with a factor of {factor}, {self.rungs} rungs begin at less than a millionth of an estimate: use fewer")
        whole = factor ** (self.rungs - 1)  # what a whole estimate costs in those of the first rung
        if arms is None:
            arms = 2 * whole if budget is None else budget * whole // self.rungs
        self.space, self.rng, self.factor, self.arms = space, Random(seed), factor, arms
        self.sample = sample or space.sample
        self.asked = 0
        self._begin()

    def _begin(self) -> None:
        """At the first rung, with no architecture."""
        self.rung, self.failed, self.full = 0, 0, False
        self.queue: list[Architecture] = []  # of a later rung, to be asked for
        self.pending: dict[int, Architecture] = {}  # by the number of the ask
        self.told: list[tuple[float, int, Architecture]] = []  # of this rung: score, number of the ask
        self.drawn: dict[str, None] = {}

    def ask(self) -> tuple[int, Architecture, float]:
        """The next architecture of the rung, with the share of an estimate; raises ``Exhausted`` while all of the rung is pending."""
        if not self.queue and not self._wanting() and not self.pending:
            self._rise()
        architecture = self._draw() if self._wanting() else None
        if architecture is None and self.queue:
            architecture = self.queue.pop(0)
        if architecture is None:
            raise Exhausted("the rest of the rung is not told yet")
        self.asked += 1
        self.pending[self.asked] = architecture
        return self.asked, architecture, 1 / self.factor ** (self.rungs - 1 - self.rung)

    def tell(self, number: int, architecture: Architecture, outcome: Outcome) -> None:
        """Keep the score of what this rung asked for; ``outcome`` is a tuple of scores, "infeasible" or "failed"."""
        if self.pending.pop(number, None) is None:
            return
        self.failed += outcome == "failed"
        if not isinstance(outcome, str):
            self.told.append((outcome[0], number, architecture))

    def _wanting(self) -> bool:
        """Whether the first rung takes more architectures."""
        return self.rung == 0 and not self.full and len(self.pending) + len(self.told) + self.failed < self.arms

    def _draw(self) -> Architecture | None:
        """One that was not drawn before; None, and the rung is full, where none is found."""
        for _ in range(DRAWS):
            architecture = self.sample(self.rng)
            if (key := self.space.key(architecture)) not in self.drawn:
                self.drawn[key] = None
                return architecture
        self.full = True
        return None

    def _rise(self) -> None:
        """To the next rung with one of ``factor``, the best, those asked for first where equal; after the last, to the first with none."""
        best = sorted(self.told, key=lambda told: (-told[0], told[1]))
        kept = best[: max((len(self.told) + self.failed) // self.factor, 1)]
        if self.rung == self.rungs - 1 or not kept:
            self._begin()
        else:
            self.rung, self.failed, self.told = self.rung + 1, 0, []
            self.queue = [architecture for _, _, architecture in kept]

    def state_dict(self) -> dict[str, Any]:
        """The generator, the count of asks, the rung and all that is on it."""
        return {
            **{"rng": random_state(self.rng), "asked": self.asked, "rung": self.rung, "failed": self.failed, "full": self.full},
            "queue": [plain(architecture) for architecture in self.queue],
            "pending": [[number, plain(architecture)] for number, architecture in self.pending.items()],
            "told": [[score, number, plain(architecture)] for score, number, architecture in self.told],
            "drawn": list(self.drawn),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the searcher that gave ``state``."""
        restore_random(self.rng, state["rng"])
        self.asked, self.rung, self.failed, self.full = state["asked"], state["rung"], state["failed"], state["full"]
        self.queue = [from_plain(architecture) for architecture in state["queue"]]
        self.pending = {number: from_plain(architecture) for number, architecture in state["pending"]}
        self.told = [(score, number, from_plain(architecture)) for score, number, architecture in state["told"]]
        self.drawn = dict.fromkeys(state["drawn"])
