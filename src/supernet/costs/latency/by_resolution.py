"""Latency where the size of images is chosen too, by a table for each size: Once-for-All has them so, https://arxiv.org/abs/1908.09791"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from supernet.costs.table import cost_of
from supernet.errors import InputError
from supernet.mixture import Table
from supernet.space import Architecture, SearchSpace


class ByResolution:
    """``tables``: pixels of a side -> the table, in ms, over the choices of the network; ``name``: of the choice of pixels."""

    def __init__(self, tables: Mapping[int, Table], space: SearchSpace, name: str = "resolution"):
        self.costs, self.name = {pixels: cost_of(space, table) for pixels, table in tables.items()}, name

    def predict(self, space: SearchSpace, architecture: Architecture) -> float:
        """The latency of one architecture, in ms; raises ``InputError`` for a size that there is no table of."""
        taken: dict[str, Any] = dict(space.check(architecture))
        pixels = taken.get(self.name)
        if pixels not in self.costs:
            raise InputError(f"there is no latency table for {self.name} {pixels}; there are: {', '.join(map(str, self.costs))}")
        return self.costs[pixels]({name: option for name, option in taken.items() if name != self.name})
