"""Cells as rows of numbers: which paths of operations lead from their input to their output.

White et al. 2021 (BANANAS), section 3, https://arxiv.org/abs/1910.11858
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product

import numpy as np

from supernet.errors import InputError
from supernet.predictors.encoding import Array
from supernet.space import Architecture, Option, SearchSpace

EDGE = re.compile(r"(.*?)(\d+)<(\d+)")  # the name of a choice of the operation on an edge: to, from
NOTHING = "none"  # an operation that lets nothing through
Edge = tuple[str, int, int]  # what stands before its name (a cell), from, to


def edges_of(space: SearchSpace) -> list[Edge]:
    """The edge on which each choice decides the operation; none where some choice decides anything else."""
    found = [EDGE.fullmatch(name) for name in space]
    if not all(found) or any(choice.pick is not None or not choice.always for choice in space.values()):
        return []
    return [(match[1], int(match[3]), int(match[2])) for match in found if match]


class Paths:
    """Encodes cells of ``space`` by the operations along each path from the first node to the last: a column for each that may lie there.

    Paths with ``none`` let nothing through and have no column. most: how many columns are kept, those of the shortest paths, which
    most cells differ in; None: all. Raises ``InputError`` for a space whose choices are not the operations of all edges of cells.
    """

    def __init__(self, space: SearchSpace, most: int | None = None) -> None:
        edges = edges_of(space)
        if not edges:
            raise InputError(
                "paths are of cells that decide an operation on each edge, such as nasbench201's; this space has other choices"
            )
        self.space = space
        places = dict(zip(edges, space, strict=True))
        ends = {cell: (min(e[1] for e in edges if e[0] == cell), max(e[2] for e in edges if e[0] == cell)) for cell, *_ in edges}
        through = [path for cell, (first, last) in ends.items() for path in _paths(edges, cell, first, last)]
        self._columns: dict[tuple[tuple[str, ...], tuple[Option, ...]], int] = {}
        self.groups: list[slice] = []
        for path in sorted(through, key=len):
            names, start = tuple(places[edge] for edge in path), len(self._columns)
            for taken in product(*([o for o in space[name].options if o != NOTHING] for name in names)):
                if most is None or len(self._columns) < most:
                    self._columns[names, taken] = len(self._columns)
            self.groups.append(slice(start, len(self._columns)))
        self._names = [tuple(places[edge] for edge in path) for path in sorted(through, key=len)]
        self.width = len(self._columns)

    def rows(self, architectures: Sequence[Architecture]) -> Array:
        """1 for each path that is there: (architectures, width)."""
        found = np.zeros((len(architectures), self.width))
        for row, architecture in zip(found, architectures, strict=True):
            for names in self._names:
                column = self._columns.get((names, tuple(architecture[name] for name in names)))  # type: ignore[misc]
                if column is not None:
                    row[column] = 1
        return found


def _paths(edges: Sequence[Edge], cell: str, start: int, end: int) -> list[list[Edge]]:
    """Every way from one node of a cell to another, as edges."""
    if start == end:
        return [[]]
    return [[edge, *rest] for edge in edges if edge[:2] == (cell, start) for rest in _paths(edges, cell, edge[2], end)]
