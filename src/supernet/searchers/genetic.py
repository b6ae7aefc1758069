"""Genetic search: generations of mutants and crossings of the best that are known, within hard bounds.

Guo et al. 2020, "Single Path One-Shot Neural Architecture Search with Uniform Sampling", section 3.4 and algorithm 1,
https://arxiv.org/abs/1904.00420
"""

from __future__ import annotations

from itertools import islice
from random import Random
from typing import Any

from supernet.errors import InputError
from supernet.searchers import Ask, Exhausted, Outcome
from supernet.searchers.state import from_plain, plain, random_state, restore_random
from supernet.settings.quantities import Count, CountOrNone, Share
from supernet.space import Architecture, SearchSpace

TRIES = 10  # draws for each place of a generation; the authors' number
GENERATIONS = 21  # of the authors' search: a random one and 20 that are bred
NEIGHBOURS = 10_000  # of the best that are looked at; a choice of a subset has twice as many for each further option
KINDS = ("mutants", "crossings", "close", "random")  # what a generation is filled with, in this order


class Genetic:
    """Breed a generation from the best so far, keep the best of both, go on.

    budget: how many evaluations there will be, if that is known; only sets the default of ``population``.
    population: how many are evaluated in a generation, the first of which is random; default: the paper's 50, but no more than leaves a
    budget its 21 generations, and at least 10.
    parents: how many of the best, of all generations, breed; default: a fifth of the population (the paper's 10 of 50), at least 2.
    mutants: how many of a generation are mutated from one parent; crossings: how many are crossed from two, which may be the same;
    default: half of the population each, as in the paper. rate: the probability that a mutation draws a choice anew.
    What was asked for before is never asked for again, and what is beyond the bounds makes room for another. For each place there are ten
    draws; where these find too few mutants or crossings, the authors fill the generation at random. Here, before that, come the
    untried neighbours of the best, and, where some of its neighbours were beyond the bounds, these with another change of the best that
    keeps much of its score. Random ones have ten draws for each place too.
    A generation waits until all that it asked for is told. The order of the tells changes what is asked for only where something is
    beyond the bounds and others are pending.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        budget: Count | None = None,
        population: Count | None = None,
        parents: Count | None = None,
        mutants: CountOrNone | None = None,
        crossings: CountOrNone | None = None,
        rate: Share = 0.1,
    ) -> None:
        if population is None:
            population = 50 if budget is None else max(10, min(50, budget // GENERATIONS))
        if population < 1 or (parents is not None and parents < 1):
            raise InputError(f"a genetic search needs a population and parents of at least 1, not {population} and {parents}")
        if not 0 <= rate <= 1:
            raise InputError(f"rate is a probability from 0 to 1, not {rate}")
        self.space, self.rng, self.rate = space, Random(seed), rate
        self.parents = max(2, population // 5) if parents is None else parents
        half = population // 2
        wanted = (half if mutants is None else mutants, half if crossings is None else crossings, population, population)
        self.population, self.wanted = population, dict(zip(KINDS, wanted, strict=True))
        self.asked = 0
        self.known: dict[str, float | str] = {}  # key -> score, "infeasible", "failed", "pending"
        self.best: list[tuple[float, Architecture]] = []  # of all generations, best first
        self._begin()

    def _begin(self) -> None:
        """A generation in which nothing was asked for; the parents are known."""
        self.first = self.asked
        self.told: list[tuple[int, float, Architecture]] = []
        self.pending: dict[int, str] = {}  # number of the ask -> kind
        self.held = dict.fromkeys(KINDS, 0)  # places that are taken, by kind
        self.close = self._close() if self.best else []
        bred = TRIES if self.best else 0
        self.tries = {"mutants": bred * self.wanted["mutants"], "crossings": bred * self.wanted["crossings"]}
        self.tries |= {"close": len(self.close), "random": TRIES * self.population}

    def ask(self) -> Ask:
        """The next of the generation, with its parent, of two the first.

        Raises ``Exhausted`` where the rest is not told yet or nothing new is found.
        """
        before, tries = self.rng.getstate(), dict(self.tries)
        drawn = self._draw()
        if drawn is None and not self.pending and self.asked > self.first:
            self._select()
            return self.ask()
        if drawn is None:
            self.rng.setstate(before)
            self.tries = tries
            raise Exhausted("the rest of the generation is not told yet" if self.pending else "no architecture was found that is new")
        kind, architecture, parent = drawn
        self.asked += 1
        self.held[kind] += 1
        self.pending[self.asked] = kind
        self.known[self.space.key(architecture)] = "pending"
        return self.asked, architecture, 1.0, parent

    def tell(self, number: int, architecture: Architecture, outcome: Outcome) -> None:
        """Keep the score for the next generation; what is infeasible frees its place."""
        kind = self.pending.pop(number, None)
        self.known[self.space.key(architecture)] = outcome if isinstance(outcome, str) else outcome[0]
        if not isinstance(outcome, str):
            self.told.append((number, outcome[0], architecture))
        elif outcome == "infeasible" and kind is not None:
            self.held[kind] -= 1

    def _draw(self) -> tuple[str, Architecture, Architecture | None] | None:
        """One that is new, with its kind and its parent; None where the generation is full or the draws are used up."""
        for kind in KINDS:
            while self.held[kind] < self.wanted[kind] and sum(self.held.values()) < self.population and self.tries[kind]:
                architecture, parent = self._make(kind)
                self.tries[kind] -= 1
                if self.space.key(architecture) not in self.known:
                    return kind, architecture, parent
        return None

    def _make(self, kind: str) -> tuple[Architecture, Architecture | None]:
        """An architecture and its parent."""
        if kind == "random":
            return self.space.sample(self.rng), None
        if kind == "close":
            return self.close[-self.tries["close"]], self.best[0][1]
        parent = self._parent()
        if kind == "mutants":
            return self.space.mutate(parent, self.rng, self.rate), parent
        return self.space.cross(parent, self._parent(), self.rng), parent

    def _parent(self) -> Architecture:
        return self.rng.choice(self.best)[1]

    def _select(self) -> None:
        """The best of what is known become parents, the older first where equal; the next generation begins."""
        told = [(score, architecture) for _, score, architecture in sorted(self.told, key=lambda told: told[0])]
        latest = {self.space.key(architecture): (score, architecture) for score, architecture in [*self.best, *told]}
        self.best = sorted(latest.values(), key=lambda member: -member[0])[: self.parents]
        self._begin()

    def _close(self) -> list[Architecture]:
        """What differs from the best in one choice, and is new; then in two, of which one alone leads beyond the bounds."""
        best = self.best[0][1]
        around = [(self.known.get(self.space.key(one)), one) for one in islice(self.space.neighbours(best), NEIGHBOURS)]
        new = [one for known, one in around if known is None]
        self.rng.shuffle(new)
        scored = sorted(((known, one) for known, one in around if isinstance(known, float)), key=lambda pair: -pair[0])
        beyond = [{n: taken for n, taken in one.items() if taken != best[n]} for known, one in around if known == "infeasible"]
        pairs = ({**one, **change} for _, one in scored for change in beyond)
        untried = (pair for pair in pairs if self.space.key(pair) not in self.known)
        return [*new, *islice(untried, TRIES * self.population)]

    def state_dict(self) -> dict[str, Any]:
        """The generator, what is known of every architecture that was asked for, the parents and the generation so far."""
        return {
            **{"rng": random_state(self.rng), "asked": self.asked, "first": self.first, "known": dict(self.known)},
            "best": [[score, plain(architecture)] for score, architecture in self.best],
            "told": [[number, score, plain(architecture)] for number, score, architecture in self.told],
            "pending": [list(pair) for pair in self.pending.items()],
            **{"held": dict(self.held), "tries": dict(self.tries), "close": [plain(architecture) for architecture in self.close]},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the searcher that gave ``state``."""
        restore_random(self.rng, state["rng"])
        self.asked, self.first, self.known = state["asked"], state["first"], dict(state["known"])
        self.best = [(score, from_plain(architecture)) for score, architecture in state["best"]]
        self.told = [(number, score, from_plain(architecture)) for number, score, architecture in state["told"]]
        self.pending, self.held, self.tries = dict(state["pending"]), dict(state["held"]), dict(state["tries"])
        self.close = [from_plain(architecture) for architecture in state["close"]]
