"""How well several estimators rank the same architectures: scores that are kept line by line, and statistics beside what is known.

Abdelfattah et al. 2021, table 1 (Spearman's correlation), https://arxiv.org/abs/2101.08134; White et al. 2021, section 4, on comparing
estimators, https://arxiv.org/abs/2104.01177
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

from supernet.estimators.ranking import interval, kendall, regret, spearman
from supernet.explore.executor import Estimate, Metrics
from supernet.progress import Progress
from supernet.run import Run
from supernet.searchers.state import from_plain, plain
from supernet.space import Architecture, SearchSpace
from supernet.stopping import Interrupted, interruptible

TRUSTED = (1, 5, 10)  # of how many that an estimator ranks first the regret is


@dataclass(frozen=True)
class Scorer:
    """An estimator by name; ``worth``: of its metrics the number that counts, of which larger is better."""

    name: str
    estimate: Estimate
    worth: Callable[[Metrics], float]


@dataclass(frozen=True)
class Scores:
    """What an estimator says of architectures, in their order, and how many seconds each took; minus infinity where it failed."""

    values: list[float]
    seconds: list[float]

    def beside(self, known: Sequence[float], columns: Mapping[str, Sequence[float]]) -> dict[str, Any]:
        """How they rank, by what is ``known`` of the architectures, larger being better; what ranks nothing is None.

        "interval", "spearman_interval": 95 %, of a bootstrap over architectures. "regret": by how many are trusted, in the unit of what
        is known. "failed": how many have no finite score, which rank last. "columns": Spearman's correlation with other numbers by name,
        over the architectures that have them.
        """
        own = self.values
        return {
            "kendall": kendall(own, known),
            "interval": interval(own, known),
            "spearman": spearman(own, known),
            "spearman_interval": interval(own, known, of=spearman),
            "regret": {str(k): regret(own, known, k) for k in TRUSTED},
            "failed": sum(not math.isfinite(value) for value in own),
            "columns": {name: spearman(*having(column, own)) for name, column in columns.items()},
            "measured": {"seconds": median(self.seconds)},
        }


def having(column: Sequence[float], other: Sequence[float]) -> tuple[list[float], list[float]]:
    """The numbers of a column that are some, and those of another beside them."""
    able = [i for i, value in enumerate(column) if not math.isnan(value)]
    return [column[i] for i in able], [other[i] for i in able]


def compared(scorers: Sequence[Scorer], space: SearchSpace, architectures: Sequence[Architecture], run: Run) -> dict[str, Scores]:
    """The scores of every architecture by each of ``scorers``, by their names; each is a line of the run's history.

    What has a line is not estimated again: all that scores depend on must stand in the configuration of the run.
    Raises ``Interrupted`` after Ctrl-C or SIGTERM.
    """
    lines = {(line["estimator"], space.key(from_plain(line["architecture"]))): line for line in run.lines()}
    found: dict[str, list[dict[str, Any]]] = {scorer.name: [] for scorer in scorers}
    progress = Progress("scoring", len(architectures), unit="architectures")
    try:
        with interruptible() as asked:
            for architecture in architectures:
                for scorer in scorers:
                    key = scorer.name, space.key(architecture)
                    if key not in lines:
                        lines[key] = line_of(scorer, architecture)
                        run.append(lines[key], again=True)
                    found[scorer.name].append(lines[key])
                    if asked:
                        raise Interrupted("stopped; what was scored is kept: the same command goes on")
                progress.advance()
    finally:
        progress.close()
    return {name: Scores([number(x["score"]) for x in each], [x["measured"]["seconds"] for x in each]) for name, each in found.items()}


def line_of(scorer: Scorer, architecture: Architecture) -> dict[str, Any]:
    """The line of one estimate."""
    began = perf_counter()
    try:
        score = float(scorer.worth(scorer.estimate(architecture)))
    except FloatingPointError:
        score = math.nan
    line = {"estimator": scorer.name, "architecture": plain(architecture), "score": score}
    return {**line, "measured": {"seconds": perf_counter() - began}}


def number(score: float | None) -> float:
    """A score as it ranks: one that is not finite, for which JSON has no number, below all others, as it would fail in a search."""
    return -math.inf if score is None or not math.isfinite(score) else score
