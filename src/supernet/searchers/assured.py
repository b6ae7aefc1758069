"""A searcher that is helped once where it finds nothing within the bounds."""

from __future__ import annotations

from typing import Any

from supernet.searchers import Ask, Exhausted, Outcome, Searcher
from supernet.space import Architecture

HELP = -1  # the number of the architecture that it is helped with
AFTER = 500  # architectures in a row beyond the bounds


class Assured:
    """``searcher``; ``feasible`` is asked for where ``AFTER`` architectures, or all that it has, were beyond the bounds and none within.

    Where it is helped depends on the order of the tells, if several architectures are pending.
    """

    def __init__(self, searcher: Searcher, feasible: Architecture) -> None:
        self.searcher, self.feasible = searcher, feasible
        self.missed, self.met = 0, False

    def ask(self) -> Ask:
        """The next architecture of the searcher, or the one that is known to be within the bounds."""
        if not self.met and self.missed >= AFTER:
            return HELP, self.feasible
        try:
            return self.searcher.ask()
        except Exhausted:
            if self.met:
                raise
            return HELP, self.feasible

    def tell(self, number: int, architecture: Architecture, outcome: Outcome) -> None:
        """What became of an architecture; that which it was helped with is not the searcher's."""
        self.met = self.met or outcome != "infeasible" or number == HELP
        self.missed += 1
        if number != HELP:
            self.searcher.tell(number, architecture, outcome)

    def state_dict(self) -> dict[str, Any]:
        """The searcher's, and what was missed so far."""
        return {"searcher": self.searcher.state_dict(), "missed": self.missed, "met": self.met}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the one that gave ``state``."""
        self.searcher.load_state_dict(state["searcher"])
        self.missed, self.met = state["missed"], state["met"]


def assured(searcher: Searcher, feasible: Architecture | None) -> Searcher:
    """``searcher``, helped with ``feasible``, an architecture within the bounds, where one is known."""
    return searcher if feasible is None else Assured(searcher, feasible)
