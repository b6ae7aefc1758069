"""Choose one of several operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from supernet.errors import InputError
from supernet.layers import late_norms
from supernet.layers.base import Searchable, When, modules_by_name
from supernet.layers.blend import Guard, blended, idle_output
from supernet.layers.late_norms import last_norm, left_out
from supernet.native.kernels import used
from supernet.space import Option, Taken


class OneOf(Searchable):
    """Runs a blend of its branches; the chosen branch is all that stays.

    ``branches``: name -> module; all take the same inputs, which they leave as they are, and give outputs of one structure and shape.
    The first operation of a branch is made not to work in place. A branch whose module has ``zero = True`` gives zeros: it takes its
    weight but is not run beside others.
    ``search_only``: branches that are blended in a search and can never be chosen.
    Raises ``InputError`` for what is not a dict of modules, and in a search for branches that do not fit together.
    """

    def __init__(self, branches: Mapping[str, nn.Module], name: str | None = None, **limits: Any):
        if not branches:
            raise InputError("OneOf needs at least one branch")
        modules = modules_by_name("OneOf", branches)
        super().__init__(tuple(modules), name, **limits)
        self.branches = nn.ModuleList(modules.values())

    def forward(self, *inputs: Any, **named: Any) -> Any:
        choice, mix = self.own()
        weights, runs, idle = mix
        if len(runs) > 1:
            runs = tuple(i for i in runs if not getattr(self.branches[i], "zero", False)) or runs[:1]
        norms = [last_norm(self.branches[i]) for i in runs] if used() == "native" and weights is not None and not idle else []
        late = norms if any(norms) else [None] * len(runs)
        unchanged, outputs = Guard(choice.name, *inputs, *named.values()), []
        for i, norm in zip(runs, late, strict=True):
            with left_out(norm):
                outputs.append(idle_output(self.branches[i], *inputs, **named) if i in idle else self.branches[i](*inputs, **named))
            unchanged(choice.options[i], self.branches[i])
        options, shares = [choice.options[i] for i in runs], mix.shares(runs)
        if any(late):
            assert shares is not None
            return late_norms.blended(choice.name, options, outputs, late, shares)
        return blended(choice.name, options, outputs, shares)

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
