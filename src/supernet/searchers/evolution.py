"""Regularised (ageing) evolution: the oldest dies, however good it is.

Real et al. 2019, section 3 and algorithm 1, https://arxiv.org/abs/1802.01548
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from supernet.errors import InputError
from supernet.searchers import Ask, Outcome
from supernet.searchers.state import from_plain, plain, random_state, restore_random
from supernet.settings.quantities import Count, Share
from supernet.space import Architecture, SearchSpace


class Evolution:
    """Mutate the best of a few members of the population; the child enters, the oldest leaves.

    budget: how many evaluations there will be, if that is known; only sets the default of ``population``.
    population: how many are alive, and how many random ones come first; default: the paper's 100, but no more than a third of the
    budget, since a smaller search would end before it evolves.
    tournament: how many are drawn, with replacement, to compete for being the parent; default: the paper's quarter of the population,
    at least 5.
    ageing: the oldest leaves; False: the worst does.
    crossover: the probability that a child is crossed from two parents instead of mutated from one; the paper has none.
    sample, mutate, cross: the operators; default: the space's.
    Asked for several before it is told, as the paper's workers do, it breeds from those told so far, and asks for as many random ones
    more at the start. Age counts from the tell: what it asks for depends on the order of the tells.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        budget: Count | None = None,
        population: Count | None = None,
        tournament: Count | None = None,
        ageing: bool = True,
        crossover: Share = 0.0,
        sample: Callable[[Random], Architecture] | None = None,
        mutate: Callable[[Architecture, Random], Architecture] | None = None,
        cross: Callable[[Architecture, Architecture, Random], Architecture] | None = None,
    ) -> None:
        if population is None:
            population = 100 if budget is None else max(2, min(100, budget // 3))
        if tournament is None:
            tournament = max(5, population // 4)
        if population < 1 or tournament < 1:
            raise InputError(f"evolution needs a population and a tournament of at least 1, not {population} and {tournament}")
        if not 0 <= crossover <= 1:
            raise InputError(f"crossover is a probability from 0 to 1, not {crossover}")
        self.space, self.rng = space, Random(seed)
        self.population, self.tournament, self.ageing, self.crossover = population, tournament, ageing, crossover
        self.sample, self.mutate, self.cross = sample or space.sample, mutate or space.mutate, cross or space.cross
        self.alive: list[tuple[float, Architecture]] = []  # oldest first
        self.told: dict[str, None] = {}  # every architecture with its score, in order
        self.asked = 0

    def ask(self) -> Ask:
        """A random architecture until the population is full, then a child, with its parent, of two the first."""
        self.asked += 1
        if len(self.alive) < self.population:
            return self.asked, self.sample(self.rng)
        crossed = self.crossover and self.rng.random() < self.crossover
        parent = self._parent()
        child = self.cross(parent, self._parent(), self.rng) if crossed else self.mutate(parent, self.rng)
        return self.asked, child, 1.0, parent

    def tell(self, number: int, architecture: Architecture, outcome: Outcome) -> None:
        """What has a score enters the population; what is infeasible, failed or told before with the same score does not.

        The paper trains a repeated architecture anew. Where its old score is told again, copies of the best would crowd out all
        others, until every child is a repeat.
        """
        if isinstance(outcome, str):
            return
        told = f"{outcome[0]!r} {self.space.key(architecture)}"
        if told in self.told:
            return
        self.told[told] = None
        self.alive.append((outcome[0], architecture))
        if len(self.alive) > self.population:
            self.alive.pop(0 if self.ageing else min(range(len(self.alive)), key=lambda i: self.alive[i][0]))

    def _parent(self) -> Architecture:
        """The best of a tournament, the first drawn where several are."""
        rivals = [self.rng.choice(self.alive) for _ in range(self.tournament)]
        return max(rivals, key=lambda rival: rival[0])[1]

    def state_dict(self) -> dict[str, Any]:
        """The population, oldest first, what was told and the generator."""
        alive = [[score, plain(architecture)] for score, architecture in self.alive]
        return {"rng": random_state(self.rng), "asked": self.asked, "alive": alive, "told": list(self.told)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the searcher that gave ``state``."""
        restore_random(self.rng, state["rng"])
        self.asked, self.told = state["asked"], dict.fromkeys(state["told"])
        self.alive = [(score, from_plain(architecture)) for score, architecture in state["alive"]]
