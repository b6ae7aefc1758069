"""What is best in a benchmark table, which a search on it is held against: the best scores, and the front of several goals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from supernet.costs.objective import Objective, hypervolume
from supernet.estimators.tabular import Table

Points = NDArray[np.float64]
ROOM = 0.1  # of the front's range in each goal, by which the reference point lies behind its worst


@dataclass(frozen=True)
class Truth:
    """The best validation and test score of what keeps the bounds, and the front of all goals, to be raised: points of one entry a goal.

    reference: the point above which volumes are measured: in each goal a tenth of the front's range behind the worst of the front, so
    that the ends of the front count: Ishibuchi et al. 2018, https://doi.org/10.1162/evco_a_00226. volume: that of the front.
    """

    best: Mapping[str, float]
    front: Sequence[Sequence[float]]
    reference: tuple[float, ...]
    volume: float

    @classmethod
    def of(cls, table: Table, objective: Objective) -> Truth:
        """The truth of a table whose rows are worth what the objective says."""
        columns = {name: np.asarray(column, dtype=np.float64) for name, column in table.every().items()}
        kept = np.logical_and.reduce([columns["validation"] == columns["validation"], *_bounds(columns, objective)])
        goals = [columns[name][kept] for name in objective.maximise] + [-columns[name][kept] for name in objective.minimise]
        front = undominated(np.stack(goals, 1))
        worst, best = front.min(0), front.max(0)
        reference = worst - ROOM * np.where(best > worst, best - worst, 1.0)
        scores = {name: float(np.nanmax(columns[name][kept])) for name in ("validation", "test")}
        return cls(scores, front.tolist(), tuple(reference.tolist()), hypervolume(front.tolist(), reference.tolist()))

    def share(self, points: Sequence[Sequence[float]]) -> float:
        """The hypervolume of ``points`` as a share of the front's."""
        return hypervolume(points, self.reference) / self.volume

    def facts(self, objective: Objective) -> dict[str, Any]:
        """The front in words: its goals, the reference point in their own units, and how many networks it has."""
        goals = {"maximise": list(objective.maximise), "minimise": list(objective.minimise)}
        signs = [1] * len(objective.maximise) + [-1] * len(objective.minimise)
        names = (*objective.maximise, *objective.minimise)
        reference = {name: sign * value for name, sign, value in zip(names, signs, self.reference, strict=True)}
        return {"goals": goals, "reference": reference, "size": len(self.front)}


def undominated(points: Points) -> Points:
    """The points (rows, goals) that no other beats in all goals, equal ones once, the first goal from high to low."""
    left = points[np.lexsort(points.T[::-1])[::-1]]
    front = []
    while len(left):  # nothing that comes later beats the first
        front.append(left[0])
        left = left[(left > left[0]).any(1)]
    return np.array(front)


def _bounds(columns: Mapping[str, Points], objective: Objective) -> list[NDArray[np.bool_]]:
    return [columns[name] <= most for name, most in objective.limits.items()]
