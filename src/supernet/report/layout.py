"""Layered left-to-right layout of a small directed acyclic graph whose edges carry labels.

After Sugiyama, Tagawa and Toda 1981, https://doi.org/10.1109/TSMC.1981.4308636: columns by the longest path, few
crossings by barycentres and exchanges, then heights. A label is a place in the column before its target, and a long edge
has a place in every column that it passes, so no label lies on another label, on a node or on a foreign edge.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from supernet.errors import InputError
from supernet.report.grid import PORT, Grid, Ports, heights, ports, untangle

Point = tuple[float, float]
LABEL_HEIGHT, NODE_HEIGHT, STARTS = 20.0, 28.0, 12


@dataclass(frozen=True)
class Link:
    """An edge; with a ``label`` of ``width`` pixels, or bare."""

    source: str
    target: str
    label: str = ""
    width: float = 0.0


@dataclass(frozen=True)
class Box:
    """A rectangle: left, top, width, height in pixels."""

    x: float
    y: float
    width: float
    height: float

    def overlaps(self, other: Box, apart: float = 0.0) -> bool:
        """Whether the two come nearer than ``apart`` pixels."""
        beside = self.x + self.width + apart <= other.x or other.x + other.width + apart <= self.x
        above = self.y + self.height + apart <= other.y or other.y + other.height + apart <= self.y
        return not (beside or above)


@dataclass(frozen=True)
class Layout:
    """Where everything stands. ``labels`` and ``paths`` have one entry a link.

    A path alternates: a curve from point 0 to 1, a straight line from 1 to 2 through a column, a curve from 2 to 3, ...
    """

    width: float
    height: float
    nodes: dict[str, Box]
    labels: tuple[Box | None, ...]
    paths: tuple[tuple[Point, ...], ...]


def arrange(nodes: Mapping[str, float], links: Sequence[Link], first: Collection[str], last: Collection[str] = ()) -> Layout:
    """Place ``nodes`` (name -> width in pixels) and ``links``; ``first`` stand in the first column, ``last`` in the last.

    Raises ``InputError`` where the links run in a circle.
    """
    grid, places, chains = _grid(nodes, links, _ranks(nodes, links, first, last))
    rng, best = Random(0), None
    for start in range(STARTS):
        order = [list(column) for column in grid.columns]
        for column in order if start else []:
            rng.shuffle(column)
        crossings, order = untangle(grid, order)
        if order[0][0] > order[0][-1]:  # its mirror image is as good, and has the first input on top
            order = [column[::-1] for column in order]
        fan = ports(grid, order)
        ys = heights(grid, order, fan)
        score = crossings, round(sum(abs(ys[a] + fan[s, a] - ys[b] - fan[s, b]) for s, (a, b) in enumerate(grid.steps)))
        if best is None or score < best[0]:
            best = score, ys, fan
    assert best is not None
    return _finish(grid, places, chains, best[1], best[2])


def _ranks(nodes: Mapping[str, float], links: Sequence[Link], first: Collection[str], last: Collection[str]) -> dict[str, int]:
    """The longest way to each node; a node without edges stands beside those that read an input."""
    ranks = dict.fromkeys(nodes, 0)
    for _ in range(len(nodes) + 1):
        new = {n: 0 if n in first else 1 + max((ranks[k.source] for k in links if k.target == n), default=0) for n in nodes}
        if new == ranks:
            end = 1 + max((r for n, r in ranks.items() if n not in last), default=0)
            return {n: end if n in last else r for n, r in ranks.items()}
        ranks = new
    raise InputError("cannot draw this graph: its edges run in a circle; they must lead from inputs to outputs")


def _grid(nodes: Mapping[str, float], links: Sequence[Link], ranks: Mapping[str, int]) -> tuple[Grid, dict[str, int], list[list[int]]]:
    """A column for each rank, one before it for the labels of the links that end there; the places of nodes, the steps of links."""
    labelled = {ranks[k.target] for k in links if k.label}
    kinds = [(rank, kind) for rank in range(max(ranks.values()) + 1) for kind in ("label", "node") if kind == "node" or rank in labelled]
    column = {rank: kinds.index((rank, "node")) for rank in ranks.values()}
    grid = Grid([[] for _ in kinds])
    places = {}
    for name, width in nodes.items():
        busy = max(sum(k.target == name for k in links), sum(k.source == name for k in links))
        places[name] = grid.add(column[ranks[name]], "node", width, max(NODE_HEIGHT, PORT * (busy + 0.8)))
    chains = []
    for k in links:
        chain = [places[k.source]]
        end = column[ranks[k.target]]
        for c in range(column[ranks[k.source]] + 1, end):
            chain.append(grid.add(c, "label", k.width, LABEL_HEIGHT) if k.label and c == end - 1 else grid.add(c, "pass"))
        chain.append(places[k.target])
        chains.append([grid.join(a, b) for a, b in pairwise(chain)])
    return grid, places, chains


def _finish(grid: Grid, places: Mapping[str, int], chains: Sequence[list[int]], ys: Sequence[float], fan: Ports) -> Layout:
    """Add the horizontal positions: the steeper the steps between two columns, the further apart they stand."""
    left, inside = 0.0, {}
    for column in grid.columns:
        right = left + max((grid.sizes[p][0] for p in column), default=0.0)
        inside.update(dict.fromkeys(column, (left, right)))
        climbs = [abs(ys[a] + fan[s, a] - ys[b] - fan[s, b]) for p in column for s in grid.after[p] for a, b in [grid.steps[s]]]
        left = right + min(max(30.0, 0.45 * max(climbs, default=0.0)), 80.0)
    top = min(y - grid.sizes[p][1] / 2 for p, y in enumerate(ys))
    bottom = max(y + grid.sizes[p][1] / 2 for p, y in enumerate(ys))

    def box(p: int) -> Box:
        width, height = grid.sizes[p]
        return Box((sum(inside[p]) - width) / 2, ys[p] - height / 2 - top, width, height)

    paths = []
    for chain in chains:
        path: list[Point] = []
        for s in chain:
            a, b = grid.steps[s]
            start = box(a).x + box(a).width if grid.kinds[a] == "node" else inside[a][1]
            end = box(b).x if grid.kinds[b] == "node" else inside[b][0]
            path += [(start, ys[a] + fan[s, a] - top), (end, ys[b] + fan[s, b] - top)]
        paths.append(tuple(path))
    labels = tuple(next((box(a) for a, _ in (grid.steps[s] for s in chain) if grid.kinds[a] == "label"), None) for chain in chains)
    return Layout(right, bottom - top, {n: box(p) for n, p in places.items()}, labels, tuple(paths))
