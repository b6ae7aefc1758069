"""One architecture that was tried, and its line in the history of a run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from supernet.costs.objective import Objective, pareto_front
from supernet.explore.executor import LOST
from supernet.searchers.state import from_plain, plain
from supernet.space import Architecture


@dataclass(frozen=True)
class Trial:
    """One architecture that was tried.

    number: its place among the trials, in the order in which the searcher was told; from 1.
    scores: what the estimate gave; None where it was not run or failed. costs: what was known before.
    score: what the searcher was told, to be maximised; None unless ``outcome`` is "scored".
    seconds: how long costs and estimate took, with the time that it waited for others.
    fidelity: the share of the estimate's full cost that was spent. wanted: the share that was asked for, of an estimate that ended before.
    asked: how many architectures the searcher had been asked for when it was told; None: it was told as soon as it had asked.
    forgotten: after how many asks, since the trial before, what was known was forgotten. lost: how many workers were lost with it.
    """

    number: int
    architecture: Architecture
    outcome: Literal["scored", "infeasible", "failed"]
    scores: dict[str, float] | None
    costs: dict[str, float]
    score: tuple[float, ...] | None
    seconds: float
    fidelity: float = 1.0
    asked: int | None = None
    forgotten: tuple[int, ...] = ()
    wanted: float | None = None
    lost: int = 0

    @property
    def metrics(self) -> dict[str, float]:
        """Costs and scores together."""
        return {**self.costs, **(self.scores or {})}

    def line(self) -> dict[str, Any]:
        """The trial as a line of a run's history; what depends on the clock is under ``measured``."""
        line: dict[str, Any] = {"trial": self.number, "architecture": plain(self.architecture)}
        line |= {"scores": self.scores, "outcome": self.outcome}
        line |= {"fidelity": self.fidelity} if self.fidelity != 1 else {}
        line |= {"wanted": self.wanted} if self.wanted is not None else {}
        line |= {"asked": self.asked} if self.asked is not None else {}
        line |= {"forgotten": list(self.forgotten)} if self.forgotten else {}
        line |= {"costs": self.costs} if self.costs else {}
        return line | {"measured": {"seconds": self.seconds, **({LOST: self.lost} if self.lost else {})}}

    @classmethod
    def of_line(cls, line: Mapping[str, Any], objective: Objective) -> Trial:
        """The trial that gave ``line``, in a search for ``objective``."""
        outcome = line["outcome"]
        scores = None if line["scores"] is None else _numbers(line["scores"])
        costs = _numbers(line.get("costs", {}))
        score = objective.score({**costs, **(scores or {})}) if outcome == "scored" else None
        known = (line["trial"], from_plain(line["architecture"]), outcome, scores, costs, score, line["measured"]["seconds"])
        return cls(*known, line.get("fidelity", 1.0), line.get("asked"), tuple(line.get("forgotten", ())), line.get("wanted"))


def _numbers(values: Mapping[str, float | None]) -> dict[str, float]:
    """Values as they were before JSON, which has no NaN."""
    return {name: math.nan if value is None else value for name, value in values.items()}


def ranked(trials: Iterable[Trial]) -> list[Trial]:
    """The scored trials, those of larger fidelity first, then the better; equal ones in the order in which they are."""
    scored = [trial for trial in trials if trial.score is not None]
    return sorted(scored, key=lambda trial: (trial.fidelity, trial.score or ()), reverse=True)


def front(trials: Iterable[Trial]) -> list[Trial]:
    """The scored trials of the largest fidelity that no other beats in all that the objective asks for, in the order in which they are."""
    scored = [trial for trial in trials if trial.score is not None]
    largest = max((trial.fidelity for trial in scored), default=1.0)
    able = [trial for trial in scored if trial.fidelity == largest]
    return [able[i] for i in pareto_front([trial.score or () for trial in able])]
