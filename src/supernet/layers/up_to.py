"""Choose how many blocks of a stage run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from supernet.errors import InputError
from supernet.layers.base import Searchable, When
from supernet.space import Taken


class UpTo(Searchable):
    """Runs the first ``d`` of its blocks, ``d`` one of ``depths`` (ascending, 0 allowed)."""

    def __init__(self, blocks: Sequence[nn.Module], depths: Sequence[int], name: str | None = None, **limits: Any):
        if not depths or list(depths) != sorted(set(depths)) or depths[0] < 0 or depths[-1] != len(blocks):
            raise InputError(f"UpTo needs ascending depths that end with its {len(blocks)} blocks; got {tuple(depths)}")
        super().__init__(tuple(depths), name, **limits)
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> Tensor:
        choice, (weights, runs, _) = self.own()
        depths = {int(choice.options[i]): None if weights is None else weights[i] for i in runs}
        out: Tensor | None = None
        for d in range(max(depths) + 1):
            if d:
                x = self.blocks[d - 1](x)
            if d in depths:
                weight = depths[d]
                term = x if weight is None else weight * x
                out = term if out is None else out + term
        assert out is not None
        return out

    def under(self) -> list[tuple[nn.Module, When]]:
        assert self.choice
        name, depths = self.choice.name, self.choice.options
        least = min(int(d) for d in depths)
        return [(b, tuple((name, d) for d in depths if int(d) > i)) for i, b in enumerate(self.blocks) if i >= least]

    def derive(self, taken: Taken | None, *others: Taken | None) -> nn.Module:
        assert isinstance(taken, int)
        return nn.Sequential(*self.blocks[:taken])
