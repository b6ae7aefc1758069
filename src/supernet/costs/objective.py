"""What a search is after: metrics to raise, metrics to lower, limits to keep; and the front where these disagree."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from supernet.errors import InputError
from supernet.metrics import USUAL


@dataclass(frozen=True)
class Objective:
    """Metrics by name. The first of ``maximise``, else of ``minimise``, is the one that single-objective searchers look at.

    limits: metric -> the most that it may be, in the metric's own unit. least: the share of at least one of the limits that is to be used.
    Raises ``InputError`` where there is nothing to optimise.
    """

    maximise: tuple[str, ...] = tuple(USUAL)
    minimise: tuple[str, ...] = ()
    limits: Mapping[str, float] = field(default_factory=dict)
    least: float = 0.0

    def __post_init__(self) -> None:
        if not self.maximise and not self.minimise:
            raise InputError("an objective needs a metric to maximise or to minimise")

    def score(self, metrics: Mapping[str, float]) -> tuple[float, ...]:
        """One number per objective, all to be maximised; raises ``InputError`` for a metric, also a limited one, that is not there."""
        for name in (*self.maximise, *self.minimise, *self.limits):
            if name not in metrics:
                raise InputError(f"the objective needs the metric {name!r}; there are: {', '.join(metrics)}")
        return (*(float(metrics[n]) for n in self.maximise), *(-float(metrics[n]) for n in self.minimise))

    def feasible(self, metrics: Mapping[str, float]) -> bool:
        """Whether every limit holds of those metrics that are given."""
        return self.violated(metrics) is None

    def violated(self, metrics: Mapping[str, float]) -> str | None:
        """The first limit that does not hold, as text for a message; None where all do. Metrics not given are not judged."""
        for name, limit in self.limits.items():
            if name in metrics and not metrics[name] <= limit:  # so that a NaN breaks a limit
                return f"{name} {number(metrics[name])} > {number(limit)}"
        used = {name: metrics[name] / limit for name, limit in self.limits.items() if name in metrics} if self.least else {}
        if used and max(used.values()) < self.least:
            name = max(used, key=lambda name: used[name])
            return f"{name} {number(metrics[name])} < {self.least:.0%} of {number(self.limits[name])}"
        return None

    def unmet(self, tried: Sequence[Mapping[str, float]]) -> str:
        """That none of the architectures with these metrics is feasible, and what the smallest had, for a message."""
        bounds = " and ".join(f"{name} <= {number(limit)}" for name, limit in self.limits.items())
        bounds += f", of which {self.least:.0%} are to be used" if self.least else ""
        smallest = {name: min((m[name] for m in tried if name in m), default=math.nan) for name in self.limits}
        had = ", ".join(f"{name} {number(value)}" for name, value in smallest.items())
        return f"no architecture of {len(tried)} tried met {bounds}; the smallest had {had}"


def number(value: float) -> str:
    """A metric for a message: whole numbers in full."""
    return f"{int(value):,}" if math.isfinite(value) and value == int(value) else f"{value:g}"


def dominates(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether ``a`` is nowhere less than ``b`` and somewhere more."""
    return all(x >= y for x, y in zip(a, b, strict=True)) and any(x > y for x, y in zip(a, b, strict=True))


def pareto_front(points: Iterable[Sequence[float]]) -> list[int]:
    """The indices, ascending, of the points that no other dominates; equal points stay together, points with a NaN are out.

    points: any number of coordinates, all to be maximised, as ``Objective.score`` gives them.
    """
    listed = [tuple(point) for point in points]
    front: list[int] = []
    # What dominates a point comes before it in this order, and is itself on the front or behind one that is.
    for i in sorted((i for i, p in enumerate(listed) if not any(map(math.isnan, p))), key=lambda i: listed[i], reverse=True):
        if not any(dominates(listed[j], listed[i]) for j in front):
            front.append(i)
    return sorted(front)


def hypervolume(points: Iterable[Sequence[float]], reference: Sequence[float]) -> float:
    """The volume that ``points`` dominate above ``reference``; all coordinates are to be maximised.

    Slice by slice along the last coordinate: Zitzler, Thiele 1998, https://doi.org/10.1007/BFb0056872
    """
    able = [tuple(point) for point in points if all(x > r for x, r in zip(point, reference, strict=True))]
    if not able:
        return 0.0
    *rest, floor = reference
    if not rest:
        return max(x for (x,) in able) - floor
    levels = sorted({point[-1] for point in able}, reverse=True)
    slices = zip(levels, [*levels[1:], floor], strict=True)
    return sum((top - bottom) * hypervolume([p[:-1] for p in able if p[-1] >= top], rest) for top, bottom in slices)


def covered(scores: Sequence[Sequence[float]]) -> float | None:
    """The share that the front of ``scores`` dominates of the box between the worst and the best of each goal.

    1 where one score is the best in all goals. None where some goal has one value throughout.
    """
    lows, highs = ([end(column) for column in zip(*scores, strict=True)] for end in (min, max))
    if not scores or any(low == high for low, high in zip(lows, highs, strict=True)):
        return None
    scaled = [[(x - low) / (high - low) for x, low, high in zip(score, lows, highs, strict=True)] for score in scores]
    return hypervolume([scaled[i] for i in pareto_front(scaled)], [0.0] * len(lows))
