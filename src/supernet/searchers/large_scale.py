"""Large-scale evolution: of two members drawn at random the worse dies and the better has a child.

Real et al. 2017, section 3, https://arxiv.org/abs/1703.01041. A mutation changes one choice of a finite space; numbers grow from the
smallest, as the paper's networks do from trivial ones (``growth``). Whether children inherit weights is a matter of what scores them
(``--estimator inherited``). The paper's mutations that train a copy longer, or reset its weights, are left out, since no architecture is
tried twice.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

from supernet.errors import InputError
from supernet.searchers import Ask, Exhausted, Outcome
from supernet.searchers.growth import smallest, step
from supernet.searchers.state import from_plain, plain, random_state, restore_random
from supernet.settings.quantities import Count
from supernet.space import Architecture, SearchSpace

WALK = 200  # steps from the smallest, after which one may be asked for again
Member = tuple[float, Architecture]  # score and architecture


class LargeScale:
    """Pairwise tournaments: the loser is killed, the winner is copied, and the copy is mutated and enters.

    budget: how many evaluations there will be, if that is known; only sets the default of ``population``.
    population: how many are alive, and how many random ones come first; default: the paper's 1,000, but no more than a tenth of the budget.
    grow: numbers among the choices begin with the smallest, and a mutation takes one a step up or down; False: the first are random, and
    a mutation draws any other option.
    sample, mutate: the operators in the place of those.
    A loser leaves when the child is asked for, as with the paper's workers; it comes back where the child is beyond the bounds, failed, or
    was told before with the same score (copies of the best would crowd out all others). So the population keeps its size. While fewer
    than two are alive it waits for answers. What it asks for depends on the order of the tells.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        budget: Count | None = None,
        population: Count | None = None,
        grow: bool = True,
        sample: Callable[[Random], Architecture] | None = None,
        mutate: Callable[[Architecture, Random], Architecture] | None = None,
    ) -> None:
        if population is None:
            population = 1000 if budget is None else max(4, min(1000, budget // 10))
        if population < 2:
            raise InputError(f"large-scale evolution needs a population of at least 2, not {population}")
        self.space, self.rng, self.population = space, Random(seed), population
        self.sample = sample or (self._small if grow else space.sample)
        self.mutate = mutate or (partial(step, space) if grow else space.mutate)
        self.alive: list[Member] = []
        self.pending: dict[int, Member | None] = {}  # by the number of the ask, whom a child replaces
        self.told: dict[str, None] = {}  # every architecture with its score, in order
        self.first: dict[str, None] = {}  # keys of what was asked for before there were children
        self.asked = 0

    def ask(self) -> Ask:
        """A first architecture until the population is full, then the child of a winner; raises ``Exhausted`` while too few are alive."""
        if len(self.alive) + len(self.pending) < self.population:
            architecture = self.sample(self.rng)
            self.first[self.space.key(architecture)] = None
            return self._number(None), architecture
        if len(self.alive) < 2:
            raise Exhausted("of the population fewer than two are alive, the others are not told yet")
        one, other = self.rng.sample(range(len(self.alive)), 2)
        worse, better = sorted((one, other), key=lambda i: self.alive[i][0])
        parent = self.alive[better][1]
        child = self.mutate(parent, self.rng)
        return self._number(self.alive.pop(worse)), child, 1.0, parent

    def _number(self, loser: Member | None) -> int:
        """The number of a new ask, of an architecture that is to replace ``loser``."""
        self.asked += 1
        self.pending[self.asked] = loser
        return self.asked

    def _small(self, rng: Random) -> Architecture:
        """The smallest architecture, or, where it was asked for, one that a few steps lead to."""
        architecture = smallest(self.space, rng)
        for _ in range(WALK):
            if self.space.key(architecture) not in self.first:
                break
            architecture = step(self.space, architecture, rng)
        return architecture

    def tell(self, number: int, architecture: Architecture, outcome: Outcome) -> None:
        """What has a new score enters the population; for anything else, whom it was to replace comes back."""
        if number not in self.pending:
            return
        loser = self.pending.pop(number)
        if not isinstance(outcome, str) and (told := f"{outcome[0]!r} {self.space.key(architecture)}") not in self.told:
            self.told[told] = None
            self.alive.append((outcome[0], architecture))
        elif loser is not None:
            self.alive.append(loser)

    def state_dict(self) -> dict[str, Any]:
        """The generator, the population, whom pending children replace, and what was told."""
        pending = [[number, loser and [loser[0], plain(loser[1])]] for number, loser in self.pending.items()]
        alive = [[score, plain(architecture)] for score, architecture in self.alive]
        known = {"first": list(self.first), "told": list(self.told)}
        return {"rng": random_state(self.rng), "asked": self.asked, "alive": alive, "pending": pending, **known}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the searcher that gave ``state``."""
        restore_random(self.rng, state["rng"])
        self.asked, self.told = state["asked"], dict.fromkeys(state["told"])
        self.first = dict.fromkeys(state["first"])
        self.alive = [(score, from_plain(architecture)) for score, architecture in state["alive"]]
        self.pending = {number: loser and (loser[0], from_plain(loser[1])) for number, loser in state["pending"]}
