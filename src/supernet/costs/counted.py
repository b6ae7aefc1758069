"""What networks cost that are counted whole, one by one, where no table over parts of a supernet says it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from supernet.errors import InputError
from supernet.mixture import Costing, Mixture
from supernet.space import Architecture, SearchSpace


@dataclass(frozen=True)
class Counts:
    """``count``: architecture -> what its network costs, by name. Each is counted once."""

    space: SearchSpace
    count: Callable[[Architecture], Mapping[str, float]]
    known: dict[str, Mapping[str, float]] = field(default_factory=dict)

    def __call__(self, architecture: Architecture) -> Mapping[str, float]:
        """What the network of an architecture costs."""
        key = self.space.key(architecture)
        if key not in self.known:
            self.known[key] = self.count(self.space.matters(architecture))
        return self.known[key]

    def costs(self, *names: str) -> dict[str, Costing]:
        """Those costs, as ``expected`` asks for them."""
        return {name: Counted(self, name) for name in names}


@dataclass(frozen=True)
class Counted:
    """One of the costs that are counted."""

    counts: Counts
    name: str
    opaque: str = "the networks of this space are counted one by one, which has no gradient: for bounds give one-shot a searcher"

    def expected(self, space: SearchSpace, mixture: Mixture) -> Tensor:
        """The cost of the one architecture that the blend runs: (); raises ``InputError`` for a blend of several."""
        architecture: Architecture = {}
        for name, choice in self.counts.space.items():
            runs = tuple(choice.options[i] for i in mixture[name].runs)
            taken = runs if choice.pick else runs[0] if len(runs) == 1 else None
            if taken is None or not choice.legal(taken):
                raise InputError(f"{self.opaque}; choice {name} runs {len(runs)} of {len(choice.options)} options")
            architecture[name] = taken
        return torch.tensor(self.counts(architecture)[self.name], dtype=torch.float64)
