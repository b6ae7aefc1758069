"""beta-DARTS: Ye et al., CVPR 2022, https://arxiv.org/abs/2203.01665; https://github.com/Sunshine-Ye/Beta-DARTS
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from supernet.layers.base import Supernet
from supernet.strategies.darts import DARTS
from supernet.strategies.regularisers import Named, Regulariser
from supernet.task import Task


class BetaDARTS(DARTS):
    """DARTS with beta decay on the alphas: the logarithm of the sum of their exponentials, weighed ever more."""

    def __init__(self, supernet: Supernet, task: Task, *, regularise: Sequence[Regulariser | Named] = ("beta",), **settings: Any):
        super().__init__(supernet, task, regularise=regularise, **settings)
