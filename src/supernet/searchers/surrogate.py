"""Search by a surrogate: a Gaussian process learns what was tried, and what it expects to improve most is tried next.

Expected improvement, weighted by the probability that bounds hold: Jones et al. 1998, https://doi.org/10.1023/A:1008306431147; Gardner
et al. 2014, section 3, https://proceedings.mlr.press/v32/gardner14.html
"""

from __future__ import annotations

from itertools import dropwhile
from random import Random
from typing import Any

import numpy as np

from supernet.errors import InputError
from supernet.predictors.encoding import Array
from supernet.predictors.gaussian import GaussianProcess
from supernet.predictors.options import Options
from supernet.searchers import Outcome, Score
from supernet.searchers.state import from_plain, plain, random_state, restore_random
from supernet.searchers.told import Told
from supernet.searchers.trust import Trust
from supernet.searchers.worth import worth
from supernet.settings.quantities import Count
from supernet.space import Architecture, SearchSpace

PARENTS, CHILDREN, CROSSINGS, RANDOM = 10, 8, 20, 20  # of the candidates: the best so far, mutants of each, crossings of two, random ones
AGAIN = 0.5  # the probability that a mutant is mutated once more
AT_ONCE = 50  # one in so many of those told is how many are asked for before the model learns anew
BAD = 20  # so many random ones beyond the bounds for each that was to come first, and the model helps to find one within


class Surrogate:
    """Ask for what a model of all outcomes finds most promising among mutants and crossings of the best and random architectures.

    budget: how many evaluations there will be, if that is known; only sets the default of ``start``.
    start: how many random ones come first; default: 10, but no more than a third of the budget.
    Scores count by rank. With several goals every model weighs them anew, so that together they spread over the front. Of what is beyond
    the bounds, or failed, a second model learns to stay away. While the first ranks scores that it has not seen worse than by a
    correlation of 0.2, it is not followed: it is drawn among mutants of the best and random architectures, and the result says so.
    Nothing is asked for twice. What is asked for depends on what was told before, not on the order of the tells. A model learns from 400
    of the architectures at most, the best and others at equal distances in rank, so that a long search is not slower than a short one.
    """

    def __init__(self, space: SearchSpace, seed: int = 0, *, budget: Count | None = None, start: Count | None = None) -> None:
        if start is None:
            start = 10 if budget is None else max(2, min(10, budget // 3))
        if start < 1:
            raise InputError(f"surrogate needs a start of at least 1, not {start}")
        self.space, self.rng, self.start, self.options = space, Random(seed), start, Options(space)
        self.told = Told(space)
        self.queue: list[Architecture] = []
        self.asked = 0
        self.trust = Trust("surrogate")
        self._rows: dict[str, Array] = {}

    def ask(self) -> tuple[int, Architecture]:
        """The next architecture; raises ``Exhausted`` where no new one is found."""
        architecture, *self.queue = list(dropwhile(self.told.knows, self.queue)) or self._next()
        self.asked += 1
        self.told.ask(architecture)
        return self.asked, architecture

    def tell(self, number: int, architecture: Architecture, outcome: Outcome) -> None:
        """Keep it; ``outcome`` is a tuple of scores, "infeasible" or "failed"."""
        self.told.tell(architecture, outcome)

    def _next(self) -> list[Architecture]:
        """A random one at the start, later the best of the candidates: as many as are asked for before the model learns anew."""
        new = self.told.new(self.rng)
        scored, unscored = self.told.scored(), self.told.unscored()
        begun = len(scored) + len(self.told.pending) >= self.start or len(unscored) >= BAD * self.start
        if not begun or len(scored) < 2:
            return [new]
        values = worth([score for score, _ in scored], self.rng)
        candidates = self._candidates(new, scored, values)
        ranked = self._ranked(scored, unscored, values, candidates)
        return ranked[: max((len(scored) + len(unscored)) // AT_ONCE, 1)]

    def _candidates(self, new: Architecture, scored: list[tuple[Score, Architecture]], values: Array) -> list[Architecture]:
        """Mutants and crossings of the best, then random ones, such as ``new``; none of them known."""
        best = [scored[i][1] for i in np.argsort(-values, kind="stable")[:PARENTS]]
        bred = []
        for parent in best:
            for _ in range(CHILDREN):
                child = self.space.mutate(parent, self.rng)
                while self.rng.random() < AGAIN:
                    child = self.space.mutate(child, self.rng)
                bred.append(child)
        bred += [self.space.cross(self.rng.choice(best), self.rng.choice(best), self.rng) for _ in range(CROSSINGS)]
        drawn = [self.space.sample(self.rng) for _ in range(RANDOM)]
        found = {self.space.key(architecture): architecture for architecture in [*bred, new, *drawn]}
        return [a for key, a in found.items() if key not in self.told.outcomes and key not in self.told.pending]

    def _ranked(
        self, scored: list[tuple[Score, Architecture]], unscored: list[Architecture], values: Array, candidates: list[Architecture]
    ) -> list[Architecture]:
        """The candidates, the most promising first; by chance where the model is not to be trusted."""
        from scipy.special import ndtr

        model = GaussianProcess(self.options)
        rows = self._encoded([architecture for _, architecture in scored])
        model.fit(rows, values)
        if not self.trust.follow(model.agreement, len(scored)):
            self.rng.shuffle(candidates)
            return candidates
        if waiting := self.told.waiting():
            model.suppose(self._encoded(waiting))
        new = self.options.rows(candidates)
        means, deviations = model.predict(new)
        ahead = (means - values.max()) / deviations
        gain = deviations * (ahead * ndtr(ahead) + np.exp(-(ahead**2) / 2) / np.sqrt(2 * np.pi))
        if unscored:
            within = GaussianProcess(self.options)
            known = np.array([1.0] * len(scored) + [-1.0] * len(unscored))
            within.fit(np.concatenate([rows, self._encoded(unscored)]), known - known.mean())
            means, deviations = within.predict(new)
            gain = gain * ndtr((means + known.mean()) / deviations)
        return [candidates[i] for i in np.argsort(-gain, kind="stable")]

    def _encoded(self, architectures: list[Architecture]) -> Array:
        """The rows of architectures that are known, each worked out once."""
        keys = [self.space.key(architecture) for architecture in architectures]
        for key, architecture in zip(keys, architectures, strict=True):
            if key not in self._rows:
                self._rows[key] = self.options.rows([architecture])[0]
        return np.array([self._rows[key] for key in keys])

    def state_dict(self) -> dict[str, Any]:
        """The generator, what was told and is pending, what is next, and how the model did."""
        queue = [plain(architecture) for architecture in self.queue]
        return {"rng": random_state(self.rng), "asked": self.asked, "queue": queue, **self.trust.state_dict(), **self.told.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the searcher that gave ``state``."""
        restore_random(self.rng, state["rng"])
        self.asked = state["asked"]
        self.trust.load_state_dict(state)
        self.queue = [from_plain(architecture) for architecture in state["queue"]]
        self.told.load_state_dict(state)
