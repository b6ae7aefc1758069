"""Random draws, then changes of the best of them, then of the best so far: the search of SMASH's official code.

Brock et al. 2018, https://arxiv.org/abs/1708.05344; evaluate.py of https://github.com/ajbrock/SMASH, where it is 500, 100 and 100 networks,
and each element of an operation is drawn anew at 0.05.
"""

from __future__ import annotations

from random import Random
from typing import Any

from supernet.errors import InputError
from supernet.searchers import Ask, Outcome
from supernet.searchers.state import from_plain, plain, random_state, restore_random
from supernet.settings.quantities import Count, CountOrNone, Share
from supernet.space import Architecture, SearchSpace

Best = tuple[float, Architecture]  # score and architecture
PARTS = 7  # of the trials; five are drawn at random and one changes the best of these
TRIES = 100  # of drawing anew until something differs


class Perturbation:
    """``drawn`` random architectures; ``perturbed`` changes of the best of them; from then on changes of the best so far.

    budget: how many evaluations there will be, if that is known; only sets the defaults of ``drawn`` and ``perturbed``: the official 500
    and 100, or five sevenths and a seventh of the budget, as there.
    rate: at which a change draws each choice anew; one that would change nothing that matters is drawn again.
    What is beyond the bounds does not count. What it asks for depends on the order of the tells.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        budget: Count | None = None,
        drawn: Count | None = None,
        perturbed: CountOrNone | None = None,
        rate: Share = 0.05,
    ) -> None:
        if drawn is None:
            drawn = 500 if budget is None else max(budget * (PARTS - 2) // PARTS, 1)
        if perturbed is None:
            perturbed = 100 if budget is None else budget // PARTS
        if drawn < 1 or perturbed < 0 or not 0 <= rate <= 1:
            raise InputError(f"drawn is at least 1, perturbed at least 0, rate a share; got {drawn}, {perturbed} and {rate:g}")
        self.space, self.rng, self.drawn, self.perturbed, self.rate = space, Random(seed), drawn, perturbed, rate
        self.best: Best | None = None
        self.base: Best | None = None  # the best of those drawn at random
        self.asked = self.told = 0

    def ask(self) -> Ask:
        """A random architecture, or a change of the one whose turn it is, with that one."""
        self.asked += 1
        of = self.base if self.told < self.drawn + self.perturbed else self.best
        return (self.asked, self.space.sample(self.rng)) if of is None else (self.asked, self._changed(of[1]), 1.0, of[1])

    def tell(self, number: int, architecture: Architecture, outcome: Outcome) -> None:
        """Keep it where it is better."""
        if outcome == "infeasible":
            return
        if outcome != "failed" and (self.best is None or outcome[0] > self.best[0]):
            self.best = outcome[0], architecture
        self.told += 1
        if self.base is None and self.told >= self.drawn:
            self.base = self.best

    def _changed(self, architecture: Architecture) -> Architecture:
        key = self.space.key(architecture)
        for _ in range(TRIES):
            changed = self.space.mutate(architecture, self.rng, self.rate)
            if self.space.key(changed) != key:
                return changed
        return self.space.mutate(architecture, self.rng)

    def state_dict(self) -> dict[str, Any]:
        """The generator, the counts, the best and the base."""
        kept = {name: [best[0], plain(best[1])] if best else None for name, best in (("best", self.best), ("base", self.base))}
        return {"rng": random_state(self.rng), "asked": self.asked, "told": self.told, **kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the searcher that gave ``state``."""
        restore_random(self.rng, state["rng"])
        self.asked, self.told = state["asked"], state["told"]
        self.best, self.base = ((best[0], from_plain(best[1])) if best else None for best in (state["best"], state["base"]))
