"""How a choice's options are blended in one forward pass: the one thing that layers and strategies share."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from supernet.space import Architecture, Choice, SearchSpace


class Mix(NamedTuple):
    """The blend of one choice: the sum of ``weights[i] * option_i`` over the options that run."""

    weights: Tensor | None  # (options,); None: every option that runs counts once, nothing to multiply
    runs: tuple[int, ...]  # which options are computed at all; may be empty for a subset
    idle: tuple[int, ...] = ()  # of those, whose weight is exactly 0: they run for the gradient of that weight alone

    def weight(self, i: int) -> Tensor | float:
        """The weight of option ``i``."""
        if self.weights is None:
            return float(i in self.runs)
        return self.weights[i]


Mixture = dict[str, Mix]  # choice name -> its blend
Table = dict[tuple[str, ...], Tensor]  # choices -> cost of each combination of their options, one axis a name; () -> the fixed part


class Costing(Protocol):
    """What says what a blend costs and is no table."""

    def expected(self, space: SearchSpace, mixture: Mixture) -> Tensor:
        """The cost of a blend: ()."""
        ...


def one_hot(space: SearchSpace, arch: Architecture) -> Mixture:
    """The blend that runs one architecture and nothing else."""
    return {name: taken_mix(choice, arch) for name, choice in space.items()}


def taken_mix(choice: Choice, arch: Architecture) -> Mix:
    """The one-hot blend of one choice."""
    taken = arch[choice.name]
    options = taken if isinstance(taken, tuple) else (taken,)
    return Mix(None, tuple(choice.options.index(o) for o in options))


def reach(space: SearchSpace, mixture: Mixture) -> dict[str, Tensor | float]:
    """How probable it is that each choice matters, by the weights of the choices that switch it on."""
    known: dict[tuple[tuple[str, object], ...], Tensor | float] = {(): 1.0}
    out: dict[str, Tensor | float] = {}
    for name, c in space.items():
        if c.when not in known:
            total: Tensor | float = 0.0
            for parent, option in c.when:
                if option in space[parent].options:
                    total = total + out[parent] * mixture[parent].weight(space[parent].options.index(option))
            known[c.when] = total
        out[name] = known[c.when]
    return out


def expected(space: SearchSpace, mixture: Mixture, table: Table | Costing) -> Tensor:
    """The cost that a blend is expected to have, differentiable; of a one-hot blend, the architecture's own cost.

    Chained costs (blocks that lead to blocks) need no recursion of their own: they are what ``reach`` weighs. In a table over several
    choices, one that another of them switches on is weighed by that one's axis alone: where it does not run, the table holds 0.
    """
    if not isinstance(table, dict):
        return table.expected(space, mixture)
    on, total = reach(space, mixture), torch.zeros(())
    for names, cost in table.items():
        cost_here = cost
        for name in reversed(names):
            weights = [mixture[name].weight(i) for i in range(len(space[name].options))]
            cost_here = cost_here @ torch.stack([torch.as_tensor(w).to(cost_here) for w in weights])
        for name in {space[n].when: n for n in names if not {p for p, _ in space[n].when} & set(names)}.values():
            cost_here = on[name] * cost_here
        total = total.to(cost_here) + cost_here
    return total
