"""How a choice's options are blended in one forward pass: the one thing that layers and strategies share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from supernet.modules.memo import once
from supernet.space import Architecture, Choice, Pairs, SearchSpace


class Mix(NamedTuple):
    """The blend of one choice: the sum of ``weights[i] * option_i`` over the options that run."""

    weights: Tensor | None  # (options,); None: every option that runs counts once, nothing to multiply
    runs: tuple[int, ...]  # which options are computed at all; may be empty for a subset
    idle: tuple[int, ...] = ()  # of those, whose weight is exactly 0: they run for the gradient of that weight alone

    @property
    def blended(self) -> bool:
        """Whether options have weights, or several run."""
        return self.weights is not None or len(self.runs) > 1

    def weight(self, i: int) -> Tensor | float:
        """The weight of option ``i``."""
        if self.weights is None:
            return float(i in self.runs)
        return self._apart(self.weights)[i]

    def shares(self, runs: Sequence[int]) -> list[Tensor] | None:
        """The weights of the options that run; None: there is nothing to multiply."""
        return None if self.weights is None else [self._apart(self.weights)[i] for i in runs]

    @staticmethod
    def _apart(weights: Tensor) -> tuple[Tensor, ...]:
        """The weight of each option, which all layers that blend by them share in a forward pass."""
        apart: tuple[Tensor, ...] = once("apart", weights, torch.unbind)
        return apart

    def all_weights(self, options: int, like: Tensor) -> Tensor:
        """The weights of so many options, on the device and of the type of ``like``: (options,)."""
        return like.new_tensor([float(i in self.runs) for i in range(options)]) if self.weights is None else self.weights.to(like)


Mixture = dict[str, Mix]  # choice name -> its blend
Table = dict[tuple[str, ...], Tensor]  # choices -> cost of each combination of their options, one axis a name; () -> the fixed part


class Costing(Protocol):
    """What says what a blend costs and is no table.

    ``opaque``: why it has no gradient, so that a loss cannot pay for it; empty: it has one.
    """

    @property
    def opaque(self) -> str: ...

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


Known = dict[object, Tensor | float]  # what was worked out of one mixture


def reach(space: SearchSpace, mixture: Mixture) -> dict[str, Tensor | float]:
    """How probable it is that each choice matters, by the weights of the choices that switch it on, each taken independently."""
    known: Known = {}
    return {name: _any(space, mixture, choice.conditions, known) for name, choice in space.items()}


def _any(space: SearchSpace, mixture: Mixture, sets: tuple[Pairs, ...], known: Known) -> Tensor | float:
    """The probability that all pairs of ANY of ``sets`` are taken, by choices that matter."""
    if sets not in known:
        total: Tensor | float = 0.0
        for pairs, times in space.either(sets):
            chance = _all(space, mixture, pairs, known)
            total = total + (chance if times == 1 else times * chance)
        known[sets] = total
    return known[sets]


def _all(space: SearchSpace, mixture: Mixture, pairs: Pairs, known: Known) -> Tensor | float:
    """The probability that all ``pairs`` are taken, by choices that matter."""
    if pairs not in known:
        if not pairs:
            return 1.0
        name = max((n for n, _ in pairs), key=space.order)
        own = sorted(space[name].options.index(option) for n, option in pairs if n == name)
        rest = frozenset(pair for pair in pairs if pair[0] != name)
        chance = _any(space, mixture, tuple(dict.fromkeys(rest | further for further in space[name].conditions)), known)
        for i in own:
            chance = chance * mixture[name].weight(i)
        known[pairs] = chance
    return known[pairs]


def expected(space: SearchSpace, mixture: Mixture, table: Table | Costing) -> Tensor:
    """The cost that a blend is expected to have, differentiable; of a one-hot blend, the architecture's own cost.

    Chained costs (blocks that lead to blocks) need no recursion of their own: they are what ``reach`` weighs. In a table over several
    choices, one that another of them switches on is weighed by that one's axis alone: where it does not run, the table holds 0.
    Choices are taken independently of each other, as ``space.sample`` does under the blend's weights.
    """
    if not isinstance(table, dict):
        return table.expected(space, mixture)
    known: Known = {}
    total = torch.zeros(())
    for names, cost in table.items():
        cost_here = cost
        for name in reversed(names):
            cost_here = cost_here @ mixture[name].all_weights(len(space[name].options), cost_here)
        cost_here = _any(space, mixture, space.reached(names), known) * cost_here
        total = total.to(cost_here) + cost_here
    return total
