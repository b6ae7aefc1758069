"""Second-order DARTS: Liu, Simonyan, Yang, ICLR 2019, section 2.3, https://arxiv.org/abs/1806.09055
"""

from __future__ import annotations

from typing import Any

from supernet.layers.base import Supernet
from supernet.settings.quantities import Count
from supernet.strategies.base import SupernetStrategy
from supernet.strategies.clipped_darts import ClippedDARTS
from supernet.strategies.darts import DARTS
from supernet.task import Task


class SecondOrder(DARTS):
    """DARTS whose alphas look one weight step ahead; in its recurrent space that step is clipped, as in the official code."""

    def __init__(self, supernet: Supernet, task: Task, *, order: Count = 2, **settings: Any):
        super().__init__(supernet, task, order=order, **settings)

    @classmethod
    def on(cls, space: str | None) -> type[SupernetStrategy]:
        """The clipped one in the space ``darts-rnn``."""
        return ClippedDARTS if space == "darts-rnn" else cls
