"""The least that a network of a space can cost by a table, so that a bound that nothing meets is known before any work.

Choices are eliminated one by one, each by its cheapest option for whatever the choices left take (Dechter 1999, Bucket elimination,
https://doi.org/10.1016/S0004-3702(99)00059-4). Where a table of what is left would be too large, it is split, which gives a lower bound
(Dechter, Rish 2003, Mini-buckets, https://doi.org/10.1145/636865.636866).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isclose, prod
from typing import Any

import numpy

from supernet.mixture import Table, expected, one_hot
from supernet.space import Architecture, SearchSpace, Taken

MOST = 1_000_000  # entries of one table of what is left
TAKES = 5_000  # of one choice, beyond which they are not listed
Array = numpy.ndarray[Any, Any]


@dataclass(frozen=True)
class Least:
    """No architecture costs less than ``bound``; ``architecture`` costs ``found``, and nothing less where both are equal."""

    bound: float
    found: float
    architecture: Architecture

    @property
    def exact(self) -> bool:
        """Whether nothing costs less than what was found."""
        return isclose(self.bound, self.found, rel_tol=1e-9, abs_tol=1e-9)


@dataclass(frozen=True)
class _Factor:
    """A cost that depends on some choices: an axis each, over what they can take (``None``, where they do not matter, first)."""

    names: tuple[str, ...]
    costs: Array


def least(space: SearchSpace, table: Table) -> Least:
    """The least that an architecture of ``space`` costs by ``table``."""
    takes: dict[str, list[Taken | None]] = {}
    for name, choice in space.items():
        if choice.count() <= TAKES:
            takes[name] = [*([None] if choice.parents else []), *choice.takes()]
    factors = [_entries(space, takes, names, cost.double().numpy()) for names, cost in table.items()]
    factors += [_conditions(space, takes, name) for name, choice in space.items() if choice.parents]
    bound, taken = _eliminated({name: len(options) for name, options in takes.items()}, factors)
    kept = {name: takes[name][i] for name, i in taken.items()}
    start = {name: next(choice.takes()) if kept.get(name) is None else kept[name] for name, choice in space.items()}
    found, architecture = _descended(space, table, start, bound)  # type: ignore[arg-type]
    return Least(min(bound, found), found, architecture)


def _entries(space: SearchSpace, takes: Mapping[str, Sequence[Taken | None]], names: tuple[str, ...], cost: Array) -> _Factor:
    """The part of a table over ``names``; what a choice that does not matter costs is nothing."""
    free = tuple(i for i, name in enumerate(names) if name not in takes)
    if free:  # any subset: at best one with what costs less than nothing
        cost, names = numpy.minimum(cost, 0).sum(free), tuple(name for name in names if name in takes)
    scope = tuple(dict.fromkeys(names))
    operands: list[Any] = [cost, list(range(len(names)))]
    for i, name in enumerate(names):
        held = [[t is not None and space[name].holds(t, o) for o in space[name].options] for t in takes[name]]
        operands += [numpy.array(held, dtype=float), [len(names) + scope.index(name), i]]
    return _Factor(scope, numpy.einsum(*operands, [len(names) + i for i in range(len(scope))]))


def _conditions(space: SearchSpace, takes: Mapping[str, Sequence[Taken | None]], name: str) -> _Factor:
    """Nothing where a choice takes something if and only if it matters, else infinite; nothing at all where that is too large."""
    scope = (name, *sorted(space[name].parents, key=space.order))
    if any(n not in takes for n in scope) or prod(len(takes[n]) for n in scope) > MOST:
        return _Factor((), numpy.zeros(()))
    off = [t is None for t in takes[name]]
    costs: Array = numpy.empty([len(takes[n]) for n in scope])
    for at in itertools.product(*(range(len(takes[n])) for n in scope[1:])):
        parents = {n: t for n, i in zip(scope[1:], at, strict=True) if (t := takes[n][i]) is not None}
        on = any(all(p in parents and space[p].holds(parents[p], o) for p, o in pairs) for pairs in space[name].conditions)
        place: tuple[Any, ...] = (slice(None), *at)
        costs[place] = [inf if nothing is on else 0.0 for nothing in off]
    return _Factor(scope, costs)


def _eliminated(sizes: Mapping[str, int], factors: Sequence[_Factor]) -> tuple[float, dict[str, int]]:
    """The least sum of ``factors``, or a lower bound of it, and what each choice takes there."""
    left, open_names, steps = list(factors), set(sizes), list[tuple[str, list[_Factor]]]()
    while open_names:
        scopes = {n: set[str]().union(*(f.names for f in left if n in f.names)) for n in open_names}
        name = min(sorted(open_names), key=lambda n: prod(sizes[m] for m in scopes[n]))
        mine = [f for f in left if name in f.names]
        left = [f for f in left if name not in f.names]
        steps.append((name, mine))
        for group in _groups(mine, sizes):
            both = _sum(group)
            axis = both.names.index(name)
            left.append(_Factor(both.names[:axis] + both.names[axis + 1 :], both.costs.min(axis)))
        open_names.remove(name)
    taken: dict[str, int] = {}
    for name, mine in reversed(steps):
        total = numpy.zeros(sizes[name])
        for f in mine:
            at: tuple[Any, ...] = tuple(slice(None) if n == name else taken[n] for n in f.names)
            total = total + f.costs[at]
        taken[name] = int(total.argmin())
    return float(sum(f.costs for f in left)), taken


def _groups(factors: Sequence[_Factor], sizes: Mapping[str, int]) -> list[list[_Factor]]:
    """``factors`` in groups whose sums have at most ``MOST`` entries; the sum of the groups' minima is at most the minimum of the sum."""
    groups: list[list[_Factor]] = []
    for factor in sorted(factors, key=lambda f: -f.costs.size):
        for group in groups:
            if prod(sizes[n] for n in set(factor.names).union(*(f.names for f in group))) <= MOST:
                group.append(factor)
                break
        else:
            groups.append([factor])
    return groups


def _sum(factors: Sequence[_Factor]) -> _Factor:
    names = tuple(dict.fromkeys(name for f in factors for name in f.names))
    total: Array = numpy.zeros([1] * len(names))
    for f in factors:
        order = sorted(range(len(f.names)), key=lambda i: names.index(f.names[i]))
        shape = [f.costs.shape[f.names.index(n)] if n in f.names else 1 for n in names]
        total = total + f.costs.transpose(order).reshape(shape)
    return _Factor(names, total)


def _descended(space: SearchSpace, table: Table, start: Architecture, bound: float) -> tuple[float, Architecture]:
    """The cost of ``start``, changed one choice at a time while that makes it cheaper and dearer than ``bound``."""

    def cost(architecture: Architecture) -> float:
        return float(expected(space, one_hot(space, architecture), table))

    best = (cost(start), start)
    while not isclose(best[0], bound, rel_tol=1e-9, abs_tol=1e-9):
        near = min(((cost(other), other) for other in itertools.islice(space.neighbours(best[1]), 2000)), key=lambda p: p[0], default=best)
        if near[0] >= best[0]:
            break
        best = near
    return best
