"""What a search on data found, by a benchmark table of its space: nothing is trained anew, and the search never saw the table.

Cost is every multiply-add that the search needed: training, stages, calibration, scoring. Why random search of equal cost stands beside:
Li, Talwalkar 2019, https://arxiv.org/abs/1902.07638
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from supernet.costs.objective import Objective
from supernet.errors import InputError
from supernet.estimators.tabular import Table
from supernet.explore.trial import Trial
from supernet.searchers.state import from_plain
from supernet.space import Architecture
from supernet.study.truth import Truth

RANKING = ("tau", "spearman", "samples")  # of what a judge wrote into the history of a search


@dataclass(frozen=True)
class Judged:
    """``table`` as judge of searches within ``bounds`` on what it knows; raises ``InputError`` for a bound on anything else."""

    table: Table
    bounds: Mapping[str, float]

    def __post_init__(self) -> None:
        for name in self.bounds:
            if name not in self.table.priced:
                raise InputError(f"the judge knows no {name}, so not what keeps the bound on it; it knows: {', '.join(self.table.priced)}")
        self.table.check(self.bounds)

    @cached_property
    def best(self) -> float:
        """The best test score that keeps the bounds."""
        return Truth.of(self.table, Objective(("validation",), limits=dict(self.bounds))).best["test"]

    @cached_property
    def tests(self) -> Any:
        """The test scores of all that keeps the bounds."""
        columns = {name: np.asarray(column) for name, column in self.table.every().items()}
        kept = [columns[name] <= most for name, most in self.bounds.items()]
        return columns["test"][np.logical_and.reduce([columns["test"] == columns["test"], *kept])]

    def line(self, searched: Mapping[str, Any], history: Sequence[Mapping[str, Any]], objective: Objective | None) -> dict[str, Any]:
        """The result of a search, by its JSON and the lines of its history; ``objective``: of its trials, where it trained no supernet.

        "validation", "test": in the table's units. "judge": the "regret", how far "test" is from the best that keeps the bounds; "beats",
        the share of what keeps the bounds that is worse; "multiply_adds"; of a supernet how its shared weights ranked in the end.
        "trace": [multiply-adds, validation, test] of the best so far, after each trial that is better, and of what was found at the end.
        """
        known, cost = self.scores(from_plain(searched["choices"])), searched["multiply_adds"]
        judge = {"regret": self.best - known[1], "beats": float(np.mean(self.tests < known[1])), "multiply_adds": cost}
        looked = [line["judge"] for line in history if line.get("judge")]
        judge |= {name: looked[-1][name] for name in RANKING if looked and looked[-1].get(name) is not None}
        trace = [] if objective is None else self.trace(history, objective)
        trace += [] if trace[-1:] == [[cost, *known]] else [[cost, *known]]  # what was found, at the cost of all of it
        return {"validation": known[0], "test": known[1], "judge": judge, "trace": trace}

    def scores(self, architecture: Architecture) -> tuple[float, float]:
        """Validation and test of an architecture."""
        return self.table.estimate(architecture)["validation"], self.table.report(architecture)["test"]

    def trace(self, history: Iterable[Mapping[str, Any]], objective: Objective) -> list[list[float]]:
        """What the best so far is worth, by multiply-adds, of a search that scored single architectures."""
        found: list[list[float]] = []
        best, spent = (0.0, tuple[float, ...]()), 0
        for trial, cost in ((Trial.of_line(line, objective), line.get("multiply_adds", 0)) for line in history if "trial" in line):
            spent += cost
            if trial.score is not None and (not found or (trial.fidelity, trial.score) > best):
                best = trial.fidelity, trial.score
                found.append([spent, *self.scores(trial.architecture)])
        return found

