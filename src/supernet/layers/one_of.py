"""Choose one of several operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from supernet.errors import InputError
from supernet.layers.base import Searchable, When
from supernet.memo import memo
from supernet.space import Option, Taken


class OneOf(Searchable):
    """Runs a blend of its branches; the chosen branch is all that stays.

    ``branches``: name -> module; all take the same inputs and give outputs of one shape. A branch whose module has
    ``zero = True`` gives zeros: it takes its weight but is not run beside others.
    ``search_only``: branches that are blended in a search and can never be chosen.
    """

    def __init__(self, branches: Mapping[str, nn.Module], name: str | None = None, **limits: Any):
        if not branches:
            raise InputError("OneOf needs at least one branch")
        super().__init__(tuple(branches), name, **limits)
        self.branches = nn.ModuleList(branches.values())

    def forward(self, *inputs: Any) -> Tensor:
        _, (weights, runs, idle) = self.own()
        if len(runs) > 1:
            runs = tuple(i for i in runs if not getattr(self.branches[i], "zero", False)) or runs[:1]
        outputs: list[Tensor] = [self._idle(i, *inputs) if i in idle else self.branches[i](*inputs) for i in runs]
        if weights is not None:
            outputs = [weights[i] * out for i, out in zip(runs, outputs, strict=True)]
        return sum(outputs[1:], outputs[0])

    def _idle(self, i: int, *inputs: Any) -> Tensor:
        """The output of a branch of weight 0, without its graph: only its weight's gradient needs it. Nothing of it is shared."""
        with torch.no_grad(), memo(False):
            out: Tensor = self.branches[i](*inputs)
        return out.detach()

    def under(self) -> list[tuple[nn.Module, When]]:
        assert self.choice
        return [(b, ((self.choice.name, o),)) for o, b in zip(self.choice.options, self.branches, strict=True)]

    def derive(self, taken: Taken | None, *others: Taken | None) -> nn.Module:
        assert self.choice
        assert not isinstance(taken, tuple) and taken is not None
        return self.branches[self.choice.options.index(taken)]

    def restrict(self, options: Sequence[Option]) -> None:
        assert self.choice
        self.branches = nn.ModuleList(self.branches[self.choice.options.index(o)] for o in options)
        self.choice = self.choice.narrow(options)
