"""PNAS: architectures grow, and a predictor says which of the larger ones are worth an estimate.

Liu et al. 2018, section 4 and algorithm 1, https://arxiv.org/abs/1712.00559
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np

from supernet.errors import InputError
from supernet.predictors.options import Options
from supernet.searchers import Exhausted
from supernet.searchers.batches import Batches
from supernet.searchers.state import random_state, restore_random
from supernet.searchers.worth import worth
from supernet.settings.quantities import Count
from supernet.space import Architecture, Choice, SearchSpace, Taken

NEUTRAL = ("skip_connect", "skip", "identity", "id", "none")  # options that do least, the first of which a choice takes that is not open
BEAM, STEPS = 256, 5  # the paper's K and B
MOST = 2000  # larger architectures that are looked at in a step; of more, so many are drawn


class Pnas(Batches):
    """Estimate the smallest architectures, then, step by step, those of the best that were made larger which the predictor ranks highest.

    The paper's cells grow by a block in a step. In any space here, choices are opened in ``steps`` groups, in the order of the space; those
    that are not open take their neutral option (skip, identity or none), or else their first.
    budget: how many evaluations there will be, if that is known; sets the default of ``beam``, and what earlier steps left of it goes to
    the last. steps: in how many groups choices are opened; default: the paper's 5, at most one for each choice.
    beam: how many are estimated in a step, and as many of the best grow; default: the paper's 256, but no more than the budget allows.
    predictor: gaussian, ridge, boosting, perceptrons or graph; the paper's are a recurrent network or perceptrons.
    Where the predictor ranks what it has not seen worse than by a correlation of 0.2, what grows is drawn, and the result says so. A
    step waits until all of it is told, so that the order of the tells changes nothing. After the last the search has ended, unless bounds
    left some of the budget: then each group is opened again for the best. Random ones follow where nothing has a score by then.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        budget: Count | None = None,
        steps: Count | None = None,
        beam: Count | None = None,
        predictor: str = "perceptrons",
    ) -> None:
        open_ = [name for name, choice in space.items() if choice.count() > 1]
        if steps is not None and steps > max(len(open_), 1):
            raise InputError(f"pnas opens {len(open_)} choices, in no more steps than these, not {steps}")
        count = steps or max(min(STEPS, len(open_)), 1)
        self.groups = [open_[len(open_) * i // count : len(open_) * (i + 1) // count] for i in range(count)]
        self.budget = budget
        self.beam = beam or (BEAM if budget is None else max(1, min(BEAM, budget // count)))
        self.smallest: Architecture = {name: neutral(choice) for name, choice in space.items()}
        self.step = 0
        super().__init__(space, seed, predictor, Options(space))

    def batch(self) -> tuple[list[Architecture], int]:
        """The next step's architectures, ranked."""
        before, step, larger = random_state(self.rng), self.step, list[Architecture]()
        scored = self.told.scored()
        values = worth([score for score, _ in scored], self.rng) if scored else np.zeros(0)
        best = [scored[i][1] for i in np.argsort(-values, kind="stable")[: self.beam]] or [self.smallest]
        while not larger and step < len(self.groups):
            larger, step = self._larger(best, self.groups[step]), step + 1
        if not larger and self.budget is not None:
            again = [one for names in self.groups for one in self._larger(best, names)]
            larger = list({self.space.key(one): one for one in again}.values())
        if not larger and not scored:
            return [self.told.new(self.rng)], 1
        if not larger:
            restore_random(self.rng, before)
            raise Exhausted("all choices are open, and what grew is known")
        self.step = step
        models = self.learnt(scored, [worth([score for score, _ in scored], self.rng)] if scored else [])
        self.rng.shuffle(larger)
        if models:
            means, _ = models[0].predict(self.encoding.rows(larger))
            larger = [larger[i] for i in np.argsort(-means, kind="stable")]
        rest = self.beam if self.budget is None else self.budget - len(scored)
        return larger, max(rest, 1) if self.step == len(self.groups) else self.beam

    def _larger(self, best: list[Architecture], names: list[str]) -> list[Architecture]:
        """``best`` with every combination of what ``names`` can take, or ``MOST`` of them drawn; those that are not known."""
        choices = [self.space[name] for name in names]
        if len(best) * prod(choice.count() for choice in choices) <= MOST:
            grown = [{**one, **dict(zip(names, taken, strict=True))} for one in best for taken in product(*(c.takes() for c in choices))]
        else:
            drawn = ({c.name: c.draw(self.rng) for c in choices} for _ in range(MOST))
            grown = [{**self.rng.choice(best), **taken} for taken in drawn]
        found = {self.space.key(one): one for one in grown}
        return [one for one in found.values() if not self.told.knows(one)]

    def state_dict(self) -> dict[str, Any]:
        """That of ``Batches``, and the step."""
        return {**super().state_dict(), "step": self.step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the searcher that gave ``state``."""
        super().load_state_dict(state)
        self.step = state["step"]


def neutral(choice: Choice) -> Taken:
    """What a choice takes that is not open."""
    plain = [name for name in NEUTRAL if name in choice.able and choice.pick is None]
    return plain[0] if plain else next(choice.takes())
