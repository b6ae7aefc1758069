"""What a search on a table had found, by how many estimates it had made: improvements alone, so that a thousand searches fit in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import process_time
from typing import Any

from supernet.costs.objective import Objective, dominates
from supernet.estimators.tabular import Table
from supernet.explore.exploration import Exploration
from supernet.searchers import Ask, Outcome, Searcher
from supernet.space import Architecture
from supernet.study.truth import Truth

Improvement = list[float]  # after how many whole estimates, and what was known from then on
ROUNDING = 6  # decimals of a number of estimates, which may be a sum of parts


@dataclass
class Trace:
    """Follows an exploration. ``curve``: [estimates, validation, test] of its best; ``shares``: [estimates, hypervolume] of its front."""

    table: Table
    objective: Objective
    truth: Truth
    curve: list[Improvement] = field(default_factory=list)
    shares: list[Improvement] = field(default_factory=list)
    front: list[Sequence[float]] = field(default_factory=list)

    def __call__(self, exploration: Exploration) -> None:
        """After a trial."""
        spent, leader, trial = round(exploration.spent, ROUNDING), exploration.leader, exploration.trials[-1]
        if leader is not None:
            known = [*self.table.estimate(leader.architecture).values(), self.table.report(leader.architecture)["test"]]
            if not self.curve or self.curve[-1][1:] != known:
                self.curve.append([spent, *known])
        if len(self.truth.reference) > 1 and trial.score is not None and trial.fidelity == 1:
            self._add(spent, trial.score)

    def at(self, estimates: int) -> dict[str, float]:
        """What was known after so many estimates: scores, how far they are from the best, and the share of the true hypervolume."""
        found: dict[str, float] = {}
        if curve := [line for line in self.curve if line[0] <= estimates]:
            scores = dict(zip(("validation", "test"), curve[-1][1:], strict=True))
            found = scores | {f"{name}_regret": self.truth.best[name] - score for name, score in scores.items()}
        if len(self.truth.reference) > 1:
            found["hypervolume"] = next((share for spent, share in reversed(self.shares) if spent <= estimates), 0.0)
        return found

    def lines(self) -> dict[str, Any]:
        """The improvements as plain data."""
        return {"curve": self.curve, **({"front": self.shares} if len(self.truth.reference) > 1 else {})}

    def _add(self, spent: float, point: Sequence[float]) -> None:
        """A point to the front, where none there is as good."""
        inside = all(x > r for x, r in zip(point, self.truth.reference, strict=True))
        if not inside or any(tuple(other) == tuple(point) or dominates(other, point) for other in self.front):
            return
        self.front = [other for other in self.front if not dominates(point, other)] + [point]
        self.shares.append([spent, self.truth.share(self.front)])


class Timed:
    """``searcher``, with the processor seconds that its ``ask`` and ``tell`` take."""

    def __init__(self, searcher: Searcher) -> None:
        self.searcher, self.seconds = searcher, 0.0

    def ask(self) -> Ask:
        """The next architecture."""
        start = process_time()
        try:
            return self.searcher.ask()
        finally:
            self.seconds += process_time() - start

    def tell(self, number: int, architecture: Architecture, outcome: Outcome) -> None:
        """What became of it."""
        start = process_time()
        self.searcher.tell(number, architecture, outcome)
        self.seconds += process_time() - start

    def state_dict(self) -> dict[str, Any]:
        """The searcher's."""
        return self.searcher.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The searcher's."""
        self.searcher.load_state_dict(state)
