"""DARTS+: Liang et al. 2019, section 3.2, https://arxiv.org/abs/1909.06035
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from supernet.layers.base import Supernet
from supernet.strategies.darts import DARTS
from supernet.strategies.early_stopping import Stop
from supernet.task import Task


class DARTSPlus(DARTS):
    """DARTS that ends where a derived normal cell would hold two skip-connections."""

    def __init__(self, supernet: Supernet, task: Task, *, stops: Sequence[Stop | str] = ("skip-connects",), **settings: Any):
        super().__init__(supernet, task, stops=stops, **settings)
