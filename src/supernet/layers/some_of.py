"""Choose several of the inputs that a node could add up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from supernet.errors import InputError
from supernet.layers.base import Searchable, When, modules_in_order
from supernet.layers.blend import Guard, blended, total
from supernet.space import Taken


class SomeOf(Searchable):
    """Adds up a blend of its inputs, each passed through its own edge; between ``pick[0]`` and ``pick[1]`` of them stay.

    ``edges[i]`` is applied to ``inputs[i]``; there may be more inputs than edges. Further arguments go to every edge. Edges leave their
    inputs as they are; the first operation of one is made not to work in place. Nothing kept gives a zero scalar.
    """

    def __init__(self, edges: Sequence[nn.Module], pick: tuple[int, int], name: str | None = None, **limits: Any):
        edges = modules_in_order("SomeOf", edges)
        if not 0 <= pick[0] <= pick[1] <= len(edges) or pick[1] == 0:
            raise InputError(f"SomeOf must keep between pick[0] and pick[1] of its {len(edges)} edges; got pick={pick}")
        super().__init__(tuple(range(len(edges))), name, pick=pick, **limits)
        self.edges = nn.ModuleList(edges)

    def forward(self, inputs: Sequence[Tensor], *others: Any, **named: Any) -> Any:
        choice, mix = self.own()
        runs = mix.runs
        if not runs:
            return inputs[0].new_zeros(())
        unchanged, outputs = Guard(choice.name, *inputs, *others, *named.values()), []
        for i in runs:
            outputs.append(self.edges[i](inputs[i], *others, **named))
            unchanged(i, self.edges[i])
        return blended(choice.name, runs, outputs, mix.shares(runs))

    def under(self) -> list[tuple[nn.Module, When]]:
        assert self.choice
        return [(e, ((self.choice.name, j),)) for j, e in enumerate(self.edges)]

    def derive(self, taken: Taken | None, *others: Taken | None) -> nn.Module:
        assert isinstance(taken, tuple)
        return SumOf([self.edges[int(i)] for i in taken], [int(i) for i in taken])


class SumOf(nn.Module):
    """Adds up the kept inputs, each through its edge."""

    def __init__(self, edges: Sequence[nn.Module], kept: Sequence[int]):
        super().__init__()
        self.edges, self.kept = nn.ModuleList(edges), tuple(kept)

    def forward(self, inputs: Sequence[Tensor], *others: Any, **named: Any) -> Any:
        terms = [edge(inputs[i], *others, **named) for edge, i in zip(self.edges, self.kept, strict=True)]
        return total(terms) if terms else inputs[0].new_zeros(())
