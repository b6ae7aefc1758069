"""From what a search believes to one architecture: the discretisation rules. No torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from supernet.space import Architecture, SearchSpace

Belief = Mapping[str, Sequence[float]]  # choice -> how much each of its options is worth


def strongest(space: SearchSpace, belief: Belief, late_ties: bool = False) -> Architecture:
    """Each choice's best option; of several inputs, those worth most.

    An input is worth its own belief (1 where there is none) times the best of the choices it switches on: edge strength in
    DARTS (Liu et al. 2019, section 2.4), the product with the edge softmax in PC-DARTS (Xu et al. 2020, section 3.3).
    Options that are ``search_only`` are never taken. Ties go to the first option and the first input (``late_ties``: the last input).
    """
    arch: Architecture = {}
    best: dict[str, float] = {}
    for name, choice in space.items():
        if choice.pick is None:
            places = [i for i, o in enumerate(choice.options) if o in choice.able]
            i = max(places, key=lambda i: belief[name][i])
            arch[name], best[name] = choice.options[i], belief[name][i]
    for name, choice in space.items():
        if choice.pick is not None:
            worth = []
            for i, option in enumerate(choice.options):
                value = belief[name][i] if name in belief else 1.0
                for dependent in space.dependents(name, option):
                    value *= best.get(dependent.name, 1.0)
                worth.append(value)
            order = range(len(worth))
            ranked = sorted(reversed(order) if late_ties else order, key=lambda i: -worth[i])
            arch[name] = tuple(choice.options[i] for i in sorted(ranked[: choice.pick[1]]))
    return {name: arch[name] for name in space}


def within(
    space: SearchSpace, belief: Belief, excess: Callable[[Architecture], float], rule: Callable[..., Architecture] = strongest
) -> Architecture:
    """The architecture of ``rule``, changed one choice at a time until ``excess`` is at most 0.

    Each change is the one that gives up least belief for what it saves. Where no single change saves anything, the bound stays
    missed.
    """
    arch = rule(space, belief)
    over = excess(arch)
    while over > 0:
        held = _confidence(space, belief, arch)
        best: tuple[float, Architecture, float] | None = None
        for other in space.neighbours(arch):
            there = excess(other)
            if there < over:
                price = max(held - _confidence(space, belief, other), 1e-9) / (over - max(there, 0.0))
                if best is None or price < best[0]:
                    best = (price, other, there)
        if best is None:
            return arch
        _, arch, over = best
    return arch


def _confidence(space: SearchSpace, belief: Belief, arch: Architecture) -> float:
    """The log-probability of the choices that matter."""
    total = 0.0
    for name, taken in space.matters(arch).items():
        choice = space[name]
        if name in belief:
            kept = taken if isinstance(taken, tuple) else (taken,)
            total += sum(math.log(max(belief[name][choice.options.index(o)], 1e-12)) for o in kept)
    return total
