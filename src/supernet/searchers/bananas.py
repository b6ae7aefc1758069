"""BANANAS: an ensemble of predictors, of which a sample says what each mutant of the best is worth.

White et al. 2021, algorithm 1, https://arxiv.org/abs/1910.11858
"""

from __future__ import annotations

import numpy as np

from supernet.errors import InputError
from supernet.predictors.encoding import Array
from supernet.predictors.options import Options
from supernet.predictors.paths import Paths, edges_of
from supernet.searchers.batches import Batches
from supernet.searchers.fronts import by_front
from supernet.searchers.told import DRAWS
from supernet.searchers.worth import by_goal, diverse, quantiles
from supernet.settings.quantities import Count
from supernet.space import Architecture, SearchSpace

PARENTS = 10  # the best, which are mutated
CANDIDATES = 100  # the paper's
AGAIN = 0.3  # the probability that a mutant is mutated once more, so that there are new ones beside the neighbours of the best


class Bananas(Batches):
    """Rank mutants of the best by independent Thompson sampling: by what one draw of the predictor's belief about each says.

    budget: how many evaluations there will be, if that is known; only sets the defaults of ``start`` and ``batch``.
    start: how many random ones come first; batch: how many are asked for before the ensemble learns anew; default: the paper's 10 each, but
    no more than a quarter of the budget.
    predictor: gaussian, ridge, boosting, perceptrons or graph; the paper's are perceptrons. paths: of cells that decide an operation on
    each edge, how many columns of the path encoding are kept, those of the shortest; default: all. Other spaces are encoded by options.
    Scores count by rank, in the place of the paper's error relative to the best possible. With several goals each has a predictor, from
    which it draws; parents are those on the front, and mutants are ranked by weights drawn for each place of the ranking, so that a batch
    lies along it: Paria et al. 2020, https://proceedings.mlr.press/v115/paria20a.html. Where the predictor ranks what it has not
    seen worse than by a correlation of 0.2, mutants are drawn as they come, and the result says so. Nothing is asked for twice. A
    batch waits until all of it is told, so that the order of the tells changes nothing.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        budget: Count | None = None,
        start: Count | None = None,
        batch: Count | None = None,
        predictor: str = "perceptrons",
        paths: Count | None = None,
    ) -> None:
        usual = 10 if budget is None else max(2, min(10, budget // 4))
        self.start, self.size = start or usual, batch or usual
        cells = bool(edges_of(space)) and predictor != "graph"  # which looks at edges itself
        if paths is not None and not cells:
            raise InputError("paths are of cells that decide an operation on each edge, for another predictor than graph: leave paths out")
        super().__init__(space, seed, predictor, Paths(space, paths) if cells else Options(space))

    def batch(self) -> tuple[list[Architecture], int]:
        """Random ones at the start, then mutants of the best, as a sample of the predictor's belief ranks them."""
        first = self.told.new(self.rng)
        scored = self.told.scored()
        if len(scored) < self.start:
            return self._random(first), self.start - len(scored)
        goals = np.array([quantiles(goal) for goal in by_goal([score for score, _ in scored])])
        models = self.learnt(scored, list(goals))
        best = [scored[i][1] for i in by_front(goals, PARENTS)]
        candidates = self._mutants(best) or [first]
        if not models:
            return candidates, self.size
        rows = self.encoding.rows(candidates)
        beliefs = [model.predict(rows) for model in models]
        drawn = [means + deviations * np.array([self.rng.gauss(0, 1) for _ in rows]) for means, deviations in beliefs]
        return [candidates[i] for i in self._ranked(np.array(drawn))], self.size

    def _ranked(self, drawn: Array) -> list[int]:
        """The places of the best first, by a normal quantile drawn for each goal: (goals, n)."""
        from scipy.special import ndtr

        return diverse(ndtr(drawn), self.rng) if len(drawn) > 1 else np.argsort(-drawn[0], kind="stable").tolist()

    def _random(self, first: Architecture) -> list[Architecture]:
        """``first`` and other random ones."""
        found = {self.space.key(one): one for one in (first, *(self.space.sample(self.rng) for _ in range(CANDIDATES)))}
        return [one for one in found.values() if not self.told.knows(one)]

    def _mutants(self, best: list[Architecture]) -> list[Architecture]:
        """New mutants of the best, in the order in which they are drawn."""
        found: dict[str, Architecture] = {}
        for draw in range(DRAWS):
            mutant = self.space.mutate(best[draw % len(best)], self.rng)
            while self.rng.random() < AGAIN:
                mutant = self.space.mutate(mutant, self.rng)
            if not self.told.knows(mutant):
                found.setdefault(self.space.key(mutant), mutant)
            if len(found) == CANDIDATES:
                break
        return list(found.values())
