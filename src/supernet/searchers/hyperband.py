"""Hyperband: successive halving that begins with ever fewer architectures at ever larger shares of an estimate.

Li et al. 2018, section 3 and algorithm 1, https://arxiv.org/abs/1603.06560
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, isqrt
from random import Random
from typing import Any

from supernet.searchers.halving import SuccessiveHalving
from supernet.settings.quantities import Count
from supernet.space import Architecture, SearchSpace


class Hyperband(SuccessiveHalving):
    """Brackets of successive halving, the one with the smallest first share before the others; after the last bracket the first again.

    budget: how many whole estimates there will be, if that is known; only lowers the default of ``rungs``, since all brackets together
    cost about the square of their number. factor: one of so many goes on to the next rung; the paper's 3.
    rungs: how many the first bracket has, and how many brackets there are: each has one less than the one before, so that the last
    asks for whole estimates alone; the paper's largest budget and smallest decide it, here it is 4, that is, from a 27th of an estimate.
    sample: draws an architecture; default: the space's.
    In each bracket as for ``SuccessiveHalving``: a rung waits until all that it asked for is told, so that the order of the tells changes
    nothing. Raises ``InputError`` as it does.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        budget: Count | None = None,
        factor: Count = 3,
        rungs: Count | None = None,
        sample: Callable[[Random], Architecture] | None = None,
    ) -> None:
        self.brackets = rungs or (4 if budget is None else max(1, min(4, isqrt(budget))))
        self.begun = 0  # brackets
        super().__init__(space, seed, factor=factor, rungs=self.brackets, sample=sample)

    def _begin(self) -> None:
        """The next bracket: algorithm 1, line 2."""
        self.rungs = self.brackets - self.begun % self.brackets
        self.arms = ceil(self.brackets / self.rungs * self.factor ** (self.rungs - 1))
        self.begun += 1
        super()._begin()

    def state_dict(self) -> dict[str, Any]:
        """That of the bracket, and which one it is."""
        return {**super().state_dict(), "begun": self.begun, "rungs": self.rungs, "arms": self.arms}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the searcher that gave ``state``."""
        super().load_state_dict(state)
        self.begun, self.rungs, self.arms = state["begun"], state["rungs"], state["arms"]
