"""Places in columns: in which order they stand with few crossings, and at which heights with straight edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

Order = list[list[int]]  # for each column, its places from top to bottom
Ports = dict[tuple[int, int], float]  # (step, place) -> how far below the middle of the place the step starts or ends
PORT = 11.0  # between neighbouring edges at a node, in pixels
MARGIN = {"node": 16.0, "label": 8.0, "pass": 10.0}  # least free height between neighbours in a column
TURNS, SWEEPS = 8, 60


@dataclass
class Grid:
    """Nodes, labels and passing edges as places, and the steps between places of neighbouring columns."""

    columns: Order
    kinds: list[str] = field(default_factory=list)  # of each place: node, label or pass
    sizes: list[tuple[float, float]] = field(default_factory=list)
    steps: list[tuple[int, int]] = field(default_factory=list)  # (place, place one column to the right)
    before: list[list[int]] = field(default_factory=list)  # for each place, its steps to the left
    after: list[list[int]] = field(default_factory=list)

    def add(self, column: int, kind: str, width: float = 0.0, height: float = 0.0) -> int:
        """A new place at the bottom of a column."""
        place = len(self.kinds)
        self.columns[column].append(place)
        self.kinds.append(kind)
        self.sizes.append((width, height))
        self.before.append([])
        self.after.append([])
        return place

    def join(self, a: int, b: int) -> int:
        """A new step from ``a`` to ``b``."""
        self.after[a].append(len(self.steps))
        self.before[b].append(len(self.steps))
        self.steps.append((a, b))
        return len(self.steps) - 1

    def left(self, place: int) -> list[int]:
        """The neighbours of ``place`` in the column before it."""
        return [self.steps[s][0] for s in self.before[place]]

    def right(self, place: int) -> list[int]:
        """The neighbours of ``place`` in the column after it."""
        return [self.steps[s][1] for s in self.after[place]]


def untangle(grid: Grid, order: Order) -> tuple[int, Order]:
    """Fewer crossings: sort columns by the mean place of their neighbours, to and fro, and exchange neighbours that gain."""
    best: tuple[int, Order] | None = None
    for turn in range(TURNS):
        forward = turn % 2 == 0
        for c in range(1, len(order)) if forward else range(len(order) - 2, -1, -1):
            order[c] = _by_neighbours(grid, order[c], order[c - 1 if forward else c + 1], forward)
        while _exchange(grid, order):
            pass
        pairs = ((c, u, v) for c, column in enumerate(order[:-1]) for i, u in enumerate(column) for v in column[i + 1 :])
        crossings = sum(_tangle(grid.right(u), grid.right(v), order[c + 1]) for c, u, v in pairs)
        if best is None or crossings < best[0]:
            best = crossings, [list(column) for column in order]
    assert best is not None
    return best


def _by_neighbours(grid: Grid, column: list[int], beside: list[int], forward: bool) -> list[int]:
    """``column`` sorted by the mean place of each one's neighbours in ``beside``; without any, it keeps its place."""
    index = {p: i for i, p in enumerate(beside)}
    means = {}
    for i, p in enumerate(column):
        near = grid.left(p) if forward else grid.right(p)
        means[p] = sum(index[q] for q in near) / len(near) if near else float(i)
    return sorted(column, key=means.__getitem__)


def _tangle(upper: list[int], lower: list[int], beside: list[int]) -> int:
    """Crossings between the steps of two neighbours in a column, to ``upper`` and to ``lower`` in the column ``beside``."""
    index = {p: i for i, p in enumerate(beside)}
    return sum(index[a] > index[b] for a in upper for b in lower)


def _exchange(grid: Grid, order: Order) -> bool:
    """Exchange each pair of neighbours in a column that cross less the other way round; whether any did."""
    changed = False
    for c, column in enumerate(order):
        for i in range(len(column) - 1):
            u, v = column[i : i + 2]
            gain = 0
            for side, near in ((c - 1, grid.left), (c + 1, grid.right)):
                if 0 <= side < len(order):
                    gain += _tangle(near(u), near(v), order[side]) - _tangle(near(v), near(u), order[side])
            if gain > 0:
                column[i : i + 2] = [v, u]
                changed = True
    return changed


def ports(grid: Grid, order: Order) -> Ports:
    """Where steps leave and reach places: the steps of a node fan out in the order of their other ends."""
    index = {p: i for column in order for i, p in enumerate(column)}
    found: Ports = {}
    for place in index:
        for steps, end in ((grid.before[place], 0), (grid.after[place], 1)):
            for i, (_, s) in enumerate(sorted((index[grid.steps[s][end]], s) for s in steps)):
                found[s, place] = PORT * (i - (len(steps) - 1) / 2)
    return found


def heights(grid: Grid, order: Order, fan: Ports) -> list[float]:
    """The middle of each place: as level with its neighbours as the order and the distances in its column allow."""
    ys = [0.0] * len(grid.kinds)
    gaps = [[_apart(grid, a, b) for a, b in pairwise(column)] for column in order]
    for column, gap in zip(order, gaps, strict=True):
        ys_here = spaced([0.0] * len(column), [1.0] * len(column), gap)
        for place, y in zip(column, ys_here, strict=True):
            ys[place] = y
    for sweep in range(SWEEPS):
        for c in range(len(order)) if sweep % 2 == 0 else range(len(order) - 1, -1, -1):
            wanted, weights = zip(*(_pulled(grid, fan, ys, p) for p in order[c]), strict=True)
            for p, y in zip(order[c], spaced(wanted, weights, gaps[c]), strict=True):
                ys[p] = y
    return ys


def _apart(grid: Grid, a: int, b: int) -> float:
    return (grid.sizes[a][1] + grid.sizes[b][1]) / 2 + min(MARGIN[grid.kinds[a]], MARGIN[grid.kinds[b]])


def _pulled(grid: Grid, fan: Mapping[tuple[int, int], float], ys: Sequence[float], place: int) -> tuple[float, float]:
    """The height at which the steps of ``place`` would be level, and how much it matters: long edges first."""
    total, weight = 0.0, 0.0
    for s in (*grid.before[place], *grid.after[place]):
        a, b = grid.steps[s]
        other = b if place == a else a
        pull = (1.0, 4.0, 10.0)[(grid.kinds[a] == "pass") + (grid.kinds[b] == "pass")]
        total += pull * (ys[other] + fan[s, other] - fan[s, place])
        weight += pull
    return (total / weight, weight) if weight else (ys[place], 0.1)


def spaced(wanted: Sequence[float], weights: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """The values nearest to ``wanted`` (weighted squares) that rise by at least ``gaps``: isotonic regression by pooling."""
    shifts = [sum(gaps[:i]) for i in range(len(wanted))]
    blocks: list[tuple[float, float, int]] = []  # mean, weight, length
    for y, w, shift in zip(wanted, weights, shifts, strict=True):
        mean, weight, length = y - shift, w, 1
        while blocks and blocks[-1][0] > mean:
            m, v, n = blocks.pop()
            mean, weight, length = (m * v + mean * weight) / (v + weight), v + weight, n + length
        blocks.append((mean, weight, length))
    return [y + s for y, s in zip([m for m, _, n in blocks for _ in range(n)], shifts, strict=True)]
