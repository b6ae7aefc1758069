"""DARTS-ES: Zela et al., ICLR 2020, section 4.3, https://arxiv.org/abs/1909.09656; https://github.com/automl/RobustDARTS
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from supernet.layers.base import Supernet
from supernet.strategies.darts import DARTS
from supernet.strategies.early_stopping import Stop
from supernet.task import Task


class DARTSES(DARTS):
    """DARTS that ends where the validation loss bends ever more sharply in the alphas, with the architecture from before."""

    def __init__(self, supernet: Supernet, task: Task, *, stops: Sequence[Stop | str] = ("curvature",), **settings: Any):
        super().__init__(supernet, task, stops=stops, **settings)
