"""The command ``rank`` without a run: how well estimators rank what a benchmark table, or trainings on their own, know."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from supernet.errors import InputError
from supernet.estimators.compared import Scores, compared, having
from supernet.estimators.ranking import kendall, spearman
from supernet.estimators.tabular import Table
from supernet.plan.estimators import EstimatorsPlan
from supernet.report.page import write_estimators
from supernet.run import REPEAT, Run
from supernet.searchers.state import plain
from supernet.space import Architecture
from supernet.trained.rank import Known, pairs_of
from supernet.workflow.ranking import Against


def rank_estimators(plan: EstimatorsPlan, against: Against, samples: int, seed: int, out: Path) -> dict[str, Any]:
    """Score, compare, write estimators.json and report.html into ``out``; the JSON of the command.

    What is scored is kept in ``out``: the same command goes on, also for more samples and for other estimators.
    """
    pairs = pairs_of(against.known, plan.choices, samples, seed)
    if len(pairs) < 2:
        raise InputError(f"a ranking is of 2 or more architectures; {len(pairs)} is known")
    architectures, known = [architecture for architecture, _ in pairs], [value for _, value in pairs]
    with Run(out, plan.config, resume=(out / "config.yaml").exists(), goes_on=REPEAT) as run:
        scores = compared(plan.scorers, plan.choices, architectures, run)
        columns = columns_of(against.known, architectures)
        beside = {name: having(column, known) for name, column in columns.items()}
        document = {
            "space": plan.space.name,
            "against": against.said,
            "samples": len(pairs),
            "estimators": {name: each.beside(known, columns) for name, each in scores.items()},
            "columns": {name: {"kendall": kendall(*pair), "spearman": spearman(*pair)} for name, pair in beside.items()},
        }
        run.write_json("estimators.json", {**document, "points": points(architectures, known, scores)})
        write_estimators(out)
    return {**document, "out": str(out / "report.html")}


def columns_of(known: Known | Table, architectures: Sequence[Architecture]) -> dict[str, list[float]]:
    """What the other columns of a table say of architectures; nothing where trainings are known and no table."""
    table = known if isinstance(known, Table) else None
    return {name: [table.says(name, a) for a in architectures] for name in table.others} if table else {}


def points(architectures: Sequence[Architecture], known: Sequence[float], scores: dict[str, Scores]) -> list[dict[str, Any]]:
    """Each architecture with what is known of it and its score by each estimator, None where it has none that is finite."""
    able = [[value if math.isfinite(value) else None for value in each.values] for each in scores.values()]
    own = [dict(zip(scores, values, strict=True)) for values in zip(*able, strict=True)]
    every = zip(architectures, known, own, strict=True)
    return [{"architecture": plain(a), "known": value, "scores": said} for a, value, said in every]
