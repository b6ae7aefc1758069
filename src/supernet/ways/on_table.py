"""The way to an architecture on a benchmark table, on which others have trained them all."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import Any

from supernet.costs.limits import Limits
from supernet.costs.objective import Objective
from supernet.estimators.tabular import Table
from supernet.explore.workers import ALONE, Crew
from supernet.run import Run
from supernet.searchers import Searcher
from supernet.space import Architecture, SearchSpace
from supernet.trying import Found, best_of, try_architectures
from supernet.ways.ahead import Batches


@dataclass(frozen=True)
class OnTable:
    """Ask a searcher, look up what it asks for, tell it. ``limits``: for costs that the table does not know.

    ``crew``: who looks up: several workers find what they would find by training.
    """

    space: SearchSpace
    table: Table
    searcher: Searcher
    objective: Objective
    trials: int
    limits: Limits | None = None
    crew: Crew = ALONE

    def ahead(self, batches: Batches) -> None:
        """Nothing is trained."""

    def find(self, run: Run) -> Found:
        """Search in a run; the best of the trials, and all of them."""
        if self.table.note:
            print(f"note: {self.table.note}", file=sys.stderr)
        how: dict[str, Any] = {"costs": self.costs, "shares": self.table.shares, "crew": self.crew}
        trials = try_architectures(self.space, self.searcher, self.table.estimate, self.trials, self.objective, run, **how)
        found = best_of(trials, self.space, self.objective, self.searcher)
        return replace(found, costs=self.costs(found.architecture))

    def costs(self, architecture: Architecture) -> dict[str, float]:
        """What an architecture costs, by the table where it says so."""
        return {**(self.limits.costs(architecture) if self.limits else {}), **self.table.costs(architecture)}
