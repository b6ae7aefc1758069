"""Choose how many blocks of a stage run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from supernet.errors import InputError
from supernet.layers.base import Searchable, When, modules_in_order
from supernet.layers.blend import Guard, blended
from supernet.space import Taken


class UpTo(Searchable):
    """Runs the first ``d`` of its blocks, ``d`` one of ``depths`` (ascending, 0 allowed).

    A block is given what the one before gave, and every further argument as it is. What is given after each of ``depths`` has one
    structure and shape, and blocks leave it as it is; the first operation of a block is made not to work in place.
    """

    sizes_of = "depth"

    def __init__(self, blocks: Sequence[nn.Module], depths: Sequence[int], name: str | None = None, **limits: Any):
        blocks = modules_in_order("UpTo", blocks)
        if not depths or list(depths) != sorted(set(depths)) or depths[0] < 0 or depths[-1] != len(blocks):
            raise InputError(f"UpTo needs ascending depths that end with its {len(blocks)} blocks; got {tuple(depths)}")
        super().__init__(tuple(depths), name, **limits)
        self.blocks = nn.ModuleList(blocks)
        self.alone = True  # whether the blocks were last given no further arguments

    def forward(self, x: Any, *others: Any, **named: Any) -> Any:
        choice, mix = self.own()
        self.alone, runs = not (others or named), tuple(sorted(mix.runs))
        depths, outputs = [int(choice.options[i]) for i in runs], []
        for d in range(max(depths) + 1):
            if d:
                shared = [x] if d == 1 or d - 1 in depths else []
                unchanged = Guard(choice.name, *shared, *others, *named.values())
                x = self.blocks[d - 1](x, *others, **named)
                unchanged(d, self.blocks[d - 1])
            if d in depths:
                outputs.append(x)
        return blended(choice.name, depths, outputs, mix.shares(runs))

    def under(self) -> list[tuple[nn.Module, When]]:
        assert self.choice
        name, depths = self.choice.name, self.choice.options
        least = min(int(d) for d in depths) if len(depths) > 1 else 0  # of a single depth all, so that costs take them apart
        return [(b, tuple((name, d) for d in depths if int(d) > i)) for i, b in enumerate(self.blocks) if i >= least]

    def derive(self, taken: Taken | None, *others: Taken | None) -> nn.Module:
        assert isinstance(taken, int)
        if not taken and self.alone:
            return nn.Identity()
        return nn.Sequential(*self.blocks[:taken]) if self.alone else Chain(*self.blocks[:taken])


class Chain(nn.Sequential):
    """Blocks one after the other that are all given the same further arguments."""

    def forward(self, input: Any, *others: Any, **named: Any) -> Any:
        for block in self:
            input = block(input, *others, **named)
        return input
