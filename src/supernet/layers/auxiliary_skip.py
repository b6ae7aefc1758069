"""A skip-connection beside an edge that helps the search and is gone afterwards.

Chu et al. 2021 (DARTS-), section 3.2, https://arxiv.org/abs/2009.01027
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from supernet.layers.blend import keep_input
from supernet.layers.up_to import Chain


class AuxiliarySkip(nn.Module):
    """``edge(x) + strength * skip(x)``; the strategy lets ``strength`` fall to 0. ``skip``: an identity unless the edge changes shapes.

    Further arguments go to the edge, whose first operation is made not to work in place.
    """

    def __init__(self, edge: nn.Module, skip: nn.Module | None = None):
        super().__init__()
        self.edge, self.skip, self.strength = keep_input(edge), skip or nn.Identity(), 0.0
        self.alone = True  # whether the edge was last given no further arguments

    def forward(self, x: Any, *others: Any, **named: Any) -> Tensor:
        self.alone = not (others or named)
        out: Tensor = self.edge(x, *others, **named)
        return out + self.strength * self.skip(x) if self.strength else out

    def settle(self) -> nn.Module:
        """What stays of it in a derived network."""
        return nn.Sequential(self.edge) if self.alone else Chain(self.edge)
