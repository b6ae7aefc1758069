"""Progressive dynamic hurdles: evolution in which only children that beat the mean so far are estimated at more cost.

So et al. 2019, "The Evolved Transformer", section 4, https://arxiv.org/abs/1901.11117
"""

from __future__ import annotations

from collections.abc import Callable
from math import log10
from random import Random
from statistics import fmean
from typing import Any

from supernet.errors import InputError
from supernet.searchers import Ask, Exhausted, Outcome
from supernet.searchers.halving import SMALLEST
from supernet.searchers.state import from_plain, plain, random_state, restore_random
from supernet.settings.quantities import Count
from supernet.space import Architecture, SearchSpace

FEW = 10  # whole estimates, below which there is no hurdle; below three times as many there is one
DRAWS = 200  # of known architectures in a row, after which no new one is looked for

Member = tuple[float, int, Architecture]  # score; over how many hurdles; architecture


class Hurdles:
    """Every child begins at a small share of an estimate; one that beats a hurdle is estimated at more, up to the next hurdle.

    A hurdle is the mean score of those of the population that were estimated at most, and is set whenever ``between`` more children have
    their final score, until the last share is the whole. As in the paper, the best of a sample of the population is the parent, the
    worst of another leaves when a child enters, and scores of different shares are compared as they are: what was estimated at more
    was better than the hurdle where the other was not.
    budget: how many whole estimates there will be, if that is known; only sets the defaults of ``population``, ``between`` and ``rungs``.
    population: how many are alive, and how many random ones come first; default: 100, at most a third of the budget. tournament: how
    many are drawn, with replacement; default: a third of the population, at least 2. between: default: as many as the population.
    factor, rungs: there are ``rungs`` shares, each ``factor`` times the one before, the last a whole estimate (the paper adds training
    steps instead); default: 3 and 3, or 2 rungs of a budget below 30 and 1 of one below 10. An estimate that is asked for at more starts
    anew; where no child beats the hurdles, none is whole.
    sample, mutate: the operators; default: the space's. The paper redraws each choice at 0.025; a mutation here changes one.
    A child that is known is mutated on. What is beyond the bounds or failed does not enter. What it asks for depends on the order of the
    tells.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        budget: Count | None = None,
        population: Count | None = None,
        tournament: Count | None = None,
        between: Count | None = None,
        factor: Count = 3,
        rungs: Count | None = None,
        sample: Callable[[Random], Architecture] | None = None,
        mutate: Callable[[Architecture, Random], Architecture] | None = None,
    ) -> None:
        self.population = population or (100 if budget is None else max(2, min(100, budget // 3)))
        self.tournament = tournament or max(2, self.population // 3)
        self.between, self.factor = between or self.population, factor
        self.rungs = rungs or (3 if budget is None else 1 + (budget >= FEW) + (budget >= 3 * FEW))
        if factor < 2 or (self.rungs - 1) * log10(factor) > SMALLEST:
            raise InputError(f"hurdles need a factor of at least 2, and begin at a millionth or more: not {self.rungs} rungs of {factor}")
        self.space, self.rng = space, Random(seed)
        self.sample, self.mutate = sample or space.sample, mutate or space.mutate
        self.alive: list[Member] = []
        self.hurdles: list[float] = []
        self.born = 0  # children with their final score since the last hurdle
        self.asked = 0
        self.rising: list[tuple[int, Architecture]] = []  # over how many hurdles, of what is to be estimated at more
        self.pending: dict[int, tuple[int, Architecture]] = {}  # the same, by the number of the ask
        self.known: dict[str, None] = {}  # the keys of all that was asked for

    def ask(self) -> Ask:
        """What beat a hurdle, at its next share, else a child at the first, with its parent.

        Raises ``Exhausted`` where no new one is found.
        """
        over, architecture, parent = (*self.rising.pop(0), None) if self.rising else (0, *self._child())
        self.known[self.space.key(architecture)] = None
        self.asked += 1
        self.pending[self.asked] = (over, architecture)
        return self.asked, architecture, 1 / self.factor ** (self.rungs - 1 - over), parent

    def tell(self, number: int, architecture: Architecture, outcome: Outcome) -> None:
        """What beats its next hurdle rises; other scores are final, and enter the population."""
        if number not in self.pending:
            return
        over, _ = self.pending.pop(number)
        if isinstance(outcome, str):
            return
        if over < len(self.hurdles) and outcome[0] > self.hurdles[over]:
            self.rising.append((over + 1, architecture))
            return
        self.alive.append((outcome[0], over, architecture))
        if len(self.alive) > self.population:
            self.alive.remove(min(self._drawn(), key=lambda member: member[0]))
            self.born += 1
        most = [score for score, over, _ in self.alive if over == len(self.hurdles)]
        if self.born >= self.between and len(self.hurdles) < self.rungs - 1 and most:
            self.hurdles.append(fmean(most))
            self.born = 0

    def _drawn(self) -> list[Member]:
        return [self.rng.choice(self.alive) for _ in range(self.tournament)]

    def _child(self) -> tuple[Architecture, Architecture | None]:
        """One that is not known: random until the population is full, then a mutant, mutated on while it is known; and its parent."""
        before = random_state(self.rng)
        parent = max(self._drawn(), key=lambda member: member[0])[2] if len(self.alive) == self.population else None
        child = self.mutate(parent, self.rng) if parent else self.sample(self.rng)
        for draw in range(2 * DRAWS):
            if self.space.key(child) not in self.known:
                return child, parent
            parent = parent if draw < DRAWS else None
            child = self.mutate(child, self.rng) if parent else self.sample(self.rng)
        restore_random(self.rng, before)
        raise Exhausted(f"no architecture is found beside the {len(self.known)} that are known")

    def state_dict(self) -> dict[str, Any]:
        """The generator, the population, the hurdles, and what is on its way over them."""
        return {
            **{"rng": random_state(self.rng), "asked": self.asked, "born": self.born, "hurdles": list(self.hurdles)},
            "alive": [[score, over, plain(architecture)] for score, over, architecture in self.alive],
            "rising": [[over, plain(architecture)] for over, architecture in self.rising],
            "pending": [[number, over, plain(architecture)] for number, (over, architecture) in self.pending.items()],
            "known": list(self.known),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the searcher that gave ``state``."""
        restore_random(self.rng, state["rng"])
        self.asked, self.born, self.hurdles = state["asked"], state["born"], list(state["hurdles"])
        self.alive = [(score, over, from_plain(architecture)) for score, over, architecture in state["alive"]]
        self.rising = [(over, from_plain(architecture)) for over, architecture in state["rising"]]
        self.pending = {number: (over, from_plain(architecture)) for number, over, architecture in state["pending"]}
        self.known = dict.fromkeys(state["known"])
