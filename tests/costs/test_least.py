"""The least that is possible: against every architecture of small spaces, and of the built-in ones against the cheapest that is known."""

from __future__ import annotations

from random import Random

import pytest
import torch

from supernet.costs import least as module
from supernet.costs.least import least
from supernet.mixture import Table, expected, one_hot
from supernet.plan.bounds import limits_on
from supernet.settings.sections import Bounds
from supernet.space import Architecture, Choice, SearchSpace
from supernet.spaces import space as space_named
from supernet.tasks import kind_for


def cost(space: SearchSpace, table: Table, architecture: Architecture) -> float:
    return float(expected(space, one_hot(space, architecture), table))


def drawn(seed: int) -> tuple[SearchSpace, Table]:
    """A space of choices that depend on those before them, some of which keep several options, and a table over one or two of them."""
    rng = Random(seed)
    choices: list[Choice] = []
    for i in range(5):
        options = tuple(range(rng.choice((2, 3))))
        pick = rng.choice((None, None, (0, 2), (1, 2)))
        before = [(c.name, rng.choice(c.options)) for c in choices if rng.random() < 0.4]
        how = rng.choice(("when", "together")) if before else "when"
        choices.append(Choice(str(i), options, pick, **{how: tuple(before) if how == "when" else (tuple(before),)}))
    space = SearchSpace(choices)
    table: Table = {(): torch.tensor(rng.uniform(1, 2), dtype=torch.float64)}
    for name in space:
        table[name,] = torch.tensor([rng.uniform(0, 5) for _ in space[name].options], dtype=torch.float64)
    a, b = rng.sample(list(space), 2)
    table[a, b] = torch.tensor([[rng.uniform(0, 5) for _ in space[b].options] for _ in space[a].options], dtype=torch.float64)
    return space, table


@pytest.mark.parametrize("seed", range(40))
def test_the_least_that_is_possible_is_that_of_the_cheapest_architecture(seed: int) -> None:
    space, table = drawn(seed)
    found = least(space, table)
    assert found.found == pytest.approx(min(cost(space, table, arch) for arch in space.enumerate()))
    assert cost(space, table, found.architecture) == found.found and found.bound <= found.found + 1e-9


@pytest.mark.parametrize("seed", range(10))
def test_a_least_that_is_too_large_to_work_out_is_a_lower_bound(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 12)
    space, table = drawn(seed)
    cheapest = min(cost(space, table, arch) for arch in space.enumerate())
    found = least(space, table)
    assert found.bound <= cheapest + 1e-9 and found.found >= cheapest - 1e-9
    monkeypatch.setattr(module, "TAKES", 2)
    assert least(space, table).bound <= cheapest + 1e-9


SIZES = {
    "darts": {"channels": 4, "cells": 3, "shape": (3, 32, 32)},
    "nasbench201": {"channels": 4, "cells": 1, "shape": (3, 32, 32)},
    "proxyless": {"stem": "cifar", "width": 0.25, "depths": (2, 2, 1, 1, 1, 1)},
    "single-path": {"stem": "cifar", "width": 0.25, "depths": (1, 2, 1, 1, 1)},
    "densenas": {"stem": "cifar", "width": 0.25},
}


@pytest.mark.parametrize("space", SIZES)
def test_the_least_of_a_built_in_space_is_exact_and_below_all_that_are_drawn(space: str) -> None:
    limits = limits_on(Bounds(), space_named(space), kind_for(space), SIZES[space])
    for name in ("params", "macs"):
        found = least(limits.space, limits.tables[name])
        assert found.exact
        assert limits.costs(limits.space.check(found.architecture))[name] == pytest.approx(found.bound)
        assert all(limits.costs(limits.space.sample(Random(seed)))[name] >= found.bound - 1e-6 for seed in range(20))
