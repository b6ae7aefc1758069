"""From what a search believes to one architecture: the discretisation rules. No torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence

from supernet.space import Architecture, Option, SearchSpace

Belief = Mapping[str, Sequence[float]]  # choice -> how much each of its options is worth
FILL = 0.3  # of the belief in what a rule took: how far down choices go to use a bound; by measurement, see docs/results.md


def strongest(space: SearchSpace, belief: Belief, late_ties: bool = False) -> Architecture:
    """Each choice's best option; of several inputs, those worth most.

    An input is worth its own belief (1 where there is none) times the best of the choices it switches on: edge strength in
    DARTS (Liu et al. 2019, section 2.4), the product with the edge softmax in PC-DARTS (Xu et al. 2020, section 3.3).
    Options that are ``search_only`` are never taken. Ties go to the first option and the first input (``late_ties``: the last input).
    """
    arch: Architecture = {}
    for name, choice in space.items():
        if choice.pick is None:
            places = [i for i, o in enumerate(choice.options) if o in choice.able]
            arch[name] = choice.options[max(places, key=lambda i: belief[name][i])]
    for name, choice in space.items():
        if choice.pick is not None:
            worth = [_worth(space, belief, arch, name, i) for i in range(len(choice.options))]
            order = range(len(worth))
            ranked = sorted(reversed(order) if late_ties else order, key=lambda i: -worth[i])
            arch[name] = tuple(choice.options[i] for i in sorted(ranked[: choice.pick[1]]))
    return {name: arch[name] for name in space}


def capped(
    space: SearchSpace, belief: Belief, cap: int, option: Option = "skip_connect", where: str = "normal", late_ties: bool = False
) -> Architecture:
    """``strongest``, with ``option`` taken at most ``cap`` times by choices whose names begin with ``where``.

    The least believed one of those too many counts as worth nothing, and everything is chosen again, until they are few enough:
    Chen et al. 2019 (P-DARTS), section 3.3, https://arxiv.org/abs/1904.12760, by its code.
    """
    left = {name: list(shares) for name, shares in belief.items()}
    while True:
        arch = strongest(space, left, late_ties)
        over = {n: space[n].options.index(option) for n, taken in space.matters(arch).items() if taken == option and n.startswith(where)}
        open_still = [n for n in over if left[n][over[n]] > 0 and space[n].count() > 1]
        if len(over) <= cap or not open_still:
            return arch
        weakest = min(open_still, key=lambda n: left[n][over[n]])
        left[weakest][over[weakest]] = 0.0


def confident(space: SearchSpace, belief: Belief, threshold: float) -> Architecture:
    """``strongest``, of which a choice of several inputs keeps only those worth more than ``threshold``, but never fewer than it must.

    Chu et al. 2020 (FairDARTS), section 4.3, https://arxiv.org/abs/1911.12126
    """
    arch = strongest(space, belief)
    for name, choice in space.items():
        if choice.pick is not None:
            worth = {o: _worth(space, belief, arch, name, i) for i, o in enumerate(choice.options)}
            ranked = sorted(arch[name], key=lambda o: -worth[o])  # type: ignore[arg-type]
            kept = {o for i, o in enumerate(ranked) if i < choice.pick[0] or worth[o] > threshold}
            arch[name] = tuple(o for o in choice.options if o in kept)
    return arch


def best_route(space: SearchSpace, belief: Belief, routes: Collection[str]) -> Architecture:
    """``strongest``, but the choices named ``routes``, whose options switch on one another, take the path of the largest product.

    Found by dynamic programming over the places where paths meet (Viterbi): Fang et al. 2020 (DenseNAS), section 3,
    https://arxiv.org/abs/1906.09607. Where products tie, a place is reached from the last of the places before it, as in the code.
    """
    arch = strongest(space, belief)
    best: dict[str | None, tuple[float, Architecture]] = {}  # the best path to a place; None: past the last choice
    for name in (n for n in space if n in routes):
        worth, path = best.get(name, (1.0, {}))
        for option, share in zip(space[name].options, belief[name], strict=True):
            there: list[str | None] = [c.name for c in space.dependents(name, option) if c.name in routes]
            for place in there or [None]:
                if place not in best or worth * share >= best[place][0]:
                    best[place] = worth * share, {**path, name: option}
    return {**arch, **best[None][1]} if best else arch


def leading(space: SearchSpace, belief: Belief, keep: int) -> dict[str, tuple[Option, ...]]:
    """The ``keep`` options of each choice of one that are believed in most, ``search_only`` ones too, in their old order.

    For searches that drop operations on the way: P-DARTS, DrNAS. Ties go to the last.
    """
    kept = {}
    for name, choice in space.items():
        if choice.pick is None:
            best = sorted(range(len(choice.options)), key=lambda i: belief[name][i])[-keep:]
            kept[name] = tuple(choice.options[i] for i in sorted(best))
    return kept


def unbounded(architecture: Architecture) -> float:
    """By how much an architecture exceeds bounds that there are none of."""
    return 0.0


def within(
    space: SearchSpace,
    belief: Belief,
    excess: Callable[[Architecture], float],
    rule: Callable[..., Architecture] = strongest,
    fill: float = 1.0,
) -> Architecture:
    """The architecture of ``rule``, changed one choice at a time until ``excess`` is at most 0, and then until no room is left below 0.

    Each change towards a bound is the one that gives up least belief for what it saves. Where no single change saves anything, the bound
    stays missed. Where there is room, choices move to options that cost more, again those first that give up least belief for it, but
    to none that is believed in less than ``fill`` times as much as what ``rule`` took: 1 gives up no belief, 0 any.
    """
    first = rule(space, belief)
    if excess is unbounded:
        return first
    arch, over = _reduced(space, belief, excess, first)
    return arch if over > 0 else _filled(space, belief, excess, arch, first, fill)


def _reduced(space: SearchSpace, belief: Belief, excess: Callable[[Architecture], float], arch: Architecture) -> tuple[Architecture, float]:
    """``arch``, changed until its excess is at most 0, or no change saves anything, and that excess."""
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
            break
        _, arch, over = best
    return arch, over


def _filled(
    space: SearchSpace,
    belief: Belief,
    excess: Callable[[Architecture], float],
    arch: Architecture,
    first: Architecture,
    fill: float,
) -> Architecture:
    """``arch``, its choices of one moved to options that cost more, as far as bounds and ``fill`` allow."""
    over, before = excess(arch), -math.inf
    while over > before:
        before, offers = over, list[tuple[float, str, Option]]()
        for name, taken in space.matters(arch).items():
            if space[name].pick is not None or name not in belief:
                continue
            share = dict(zip(space[name].options, belief[name], strict=True))
            for option in space[name].able:
                if option != taken and share[option] >= fill * share[first[name]]:  # type: ignore[index]  # one option
                    there = excess({**arch, name: option})
                    if over < there <= 0:
                        lost = _log(share[taken]) - _log(share[option])  # type: ignore[index]
                        offers.append((lost / (there - over), name, option))
        for _, name, option in sorted(offers, key=lambda offer: offer[0]):
            there = excess({**arch, name: option})
            if over < there <= 0:
                arch, over = {**arch, name: option}, there
    return arch


def _worth(space: SearchSpace, belief: Belief, arch: Architecture, name: str, i: int) -> float:
    """What input ``i`` of choice ``name`` is worth: its own belief times those of the options taken on it."""
    value = belief[name][i] if name in belief else 1.0
    for dependent in space.dependents(name, space[name].options[i]):
        if dependent.pick is None:
            value *= belief[dependent.name][dependent.options.index(arch[dependent.name])]
    return value


def _confidence(space: SearchSpace, belief: Belief, arch: Architecture) -> float:
    """The log-probability of what is taken by the choices that matter, beside that of what each believes in most.

    Without the latter a network of fewer layers would seem to be believed in more. Choices that inputs are kept for by their belief, as
    the edges of a cell, are compared with each other by it, so there it is the log-probability alone.
    """
    total = 0.0
    for name, taken in space.matters(arch).items():
        choice = space[name]
        if name in belief:
            kept = taken if isinstance(taken, tuple) else (taken,)
            total += sum(_log(belief[name][choice.options.index(o)]) for o in kept)
            if not any(space[parent].pick for parent in choice.parents):
                total -= len(kept) * _log(max(belief[name]))
    return total


def _log(share: float) -> float:
    return math.log(max(share, 1e-12))
