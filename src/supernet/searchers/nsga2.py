"""NSGA-II: evolution towards the front of several goals, none of which is worth more than another.

Deb et al. 2002, sections III and IV, https://doi.org/10.1109/4235.996017; used on supernets by Chu et al. 2021 (FairNAS), section 3.3,
https://arxiv.org/abs/1907.01845. Sorting and crowding are those of pymoo: Blank, Deb 2020, https://doi.org/10.1109/ACCESS.2020.2990567
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from random import Random
from typing import Any

from supernet.errors import InputError
from supernet.searchers import Ask, Exhausted, Outcome, Score
from supernet.searchers.state import from_plain, plain, random_state, restore_random
from supernet.settings.quantities import Count, Share
from supernet.space import Architecture, SearchSpace

DRAWS = 200  # of known architectures in a row, after which no new one is looked for
ENDS = 2.0  # the room at the ends of a front, where it is without end: more than any between them has, which is at most 1

Scored = tuple[Score, Architecture]
Place = tuple[int, float]  # rank and room


class Nsga2:
    """Breed from parents that win by rank, then by room; of parents and children together the best are the next parents.

    budget: how many evaluations there will be, if that is known; only sets the default of ``population``.
    population: how many parents there are, and how many random ones come first; default: the paper's 100, but no more than a fifth of
    the budget, since a smaller search would end before it evolves.
    crossover: the probability that a child is crossed from two parents, the paper's 0.9, or else a copy of one; mutation: the probability
    that one of its choices then changes, as one does in the paper on average. A child that is known already is always mutated.
    sample, mutate, cross: the operators; default: the space's.
    Nothing is asked for twice. What is beyond the bounds or failed is no parent and makes room for another child, so that a generation has
    as many scored children as parents. Asked for several before it is told, it breeds from the parents of this generation, and asks for
    as many random ones more at the start: what it asks for depends on the order of the tells.
    Raises ``InputError`` where pymoo is not installed.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        budget: Count | None = None,
        population: Count | None = None,
        crossover: Share = 0.9,
        mutation: Share = 1.0,
        sample: Callable[[Random], Architecture] | None = None,
        mutate: Callable[[Architecture, Random], Architecture] | None = None,
        cross: Callable[[Architecture, Architecture, Random], Architecture] | None = None,
    ) -> None:
        if find_spec("pymoo") is None:
            raise InputError("nsga2 needs pymoo; install it with: pip install 'supernet[search]'")
        if population is None:
            population = 100 if budget is None else max(2, min(100, budget // 5))
        if population < 2:
            raise InputError(f"nsga2 needs a population of at least 2, not {population}")
        if not 0 <= crossover <= 1 or not 0 <= mutation <= 1:
            raise InputError(f"crossover and mutation are probabilities from 0 to 1, not {crossover} and {mutation}")
        self.space, self.rng = space, Random(seed)
        self.population, self.crossover, self.mutation = population, crossover, mutation
        self.sample, self.mutate, self.cross = sample or space.sample, mutate or space.mutate, cross or space.cross
        self.parents: list[Scored] = []  # the best first, see ``best_of``
        self.places: list[Place] = []  # of the parents
        self.children: list[Scored] = []  # of this generation, in the order of the tells
        self.known: dict[str, None] = {}  # the keys of all that was asked for or told
        self.asked = 0

    def ask(self) -> Ask:
        """A random architecture until there are parents, then a child, with its parent, of two the first.

        Raises ``Exhausted`` where no new one is found.
        """
        before = random_state(self.rng)
        for draw in range(2 * DRAWS):
            architecture, parent = self._child() if self.parents and draw < DRAWS else (self.sample(self.rng), None)
            if (key := self.space.key(architecture)) not in self.known:
                self.known[key] = None
                self.asked += 1
                return self.asked, architecture, 1.0, parent
        restore_random(self.rng, before)
        raise Exhausted(f"no architecture is found beside the {len(self.known)} that are known")

    def tell(self, number: int, architecture: Architecture, outcome: Outcome) -> None:
        """Keep what has a score; where there are enough children, choose the next parents."""
        self.known[self.space.key(architecture)] = None
        if isinstance(outcome, str):
            return
        self.children.append((tuple(outcome), architecture))
        if len(self.children) >= self.population:
            able = [*self.parents, *self.children]
            best = best_of([score for score, _ in able], self.population)
            self.parents, self.places, self.children = [able[i] for i, _ in best], [place for _, place in best], []

    def _child(self) -> tuple[Architecture, Architecture]:
        """A child of one or two parents, changed where it is drawn or known, and the first of them."""
        child = parent = self._parent()
        if self.rng.random() < self.crossover:
            child = self.cross(child, self._parent(), self.rng)
        if self.rng.random() < self.mutation or self.space.key(child) in self.known:
            child = self.mutate(child, self.rng)
        return child, parent

    def _parent(self) -> Architecture:
        """The better of two that are drawn: of lower rank, then with more room around it, then the first."""
        one, other = self.rng.randrange(len(self.parents)), self.rng.randrange(len(self.parents))
        return self.parents[max(one, other, key=lambda i: (-self.places[i][0], self.places[i][1], -i))][1]

    def state_dict(self) -> dict[str, Any]:
        """The generator, parents and children in order, and what is known."""
        return {
            **{"rng": random_state(self.rng), "asked": self.asked, "known": list(self.known)},
            "parents": [[list(score), plain(architecture)] for score, architecture in self.parents],
            "places": [list(place) for place in self.places],
            "children": [[list(score), plain(architecture)] for score, architecture in self.children],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the searcher that gave ``state``."""
        restore_random(self.rng, state["rng"])
        self.asked, self.known = state["asked"], dict.fromkeys(state["known"])
        self.parents = [(tuple(score), from_plain(architecture)) for score, architecture in state["parents"]]
        self.places = [(rank, room) for rank, room in state["places"]]
        self.children = [(tuple(score), from_plain(architecture)) for score, architecture in state["children"]]


def best_of(scores: Sequence[Score], most: int) -> list[tuple[int, Place]]:
    """Index, rank and room (crowding distance) of the best ``most`` of scores, whose entries are to be maximised.

    Rank 0 is the front, rank 1 the front of the others, ...; within a rank those come first that have more room on their front, and where
    that is equal, those that stand first. The room is that on the whole front, also where only a part of it is kept.
    """
    import numpy as np
    from pymoo.operators.survival.rank_and_crowding.metrics import get_crowding_function
    from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

    lowered = -np.asarray(scores, dtype=float)  # which pymoo minimises
    found: list[tuple[int, Place]] = []
    for rank, front in enumerate(NonDominatedSorting().do(lowered, n_stop_if_ranked=most)):
        members = sorted(int(i) for i in front)
        rooms = get_crowding_function("cd").do(lowered[members], n_remove=0).tolist()
        places = [(i, (rank, min(room, ENDS))) for i, room in zip(members, rooms, strict=True)]
        found += sorted(places, key=lambda one: -one[1][1])
    return found[:most]
