from __future__ import annotations

from random import Random
from typing import Any

import pytest
import torch

from supernet.costs.limits import Limits
from supernet.costs.objective import Objective
from supernet.explore.loop import explore
from supernet.mixture import Mix
from supernet.naming.design import Design
from supernet.plan.bounds import limits_on
from supernet.searchers import make_searcher
from supernet.settings.sections import Bounds
from supernet.space import SearchSpace
from supernet.spaces import space as space_named
from supernet.strategies import strategy
from supernet.strategies.rules import strongest, within
from supernet.tasks import kind_for

SIZES: dict[str, dict[str, Any]] = {
    "darts": {"channels": 8, "cells": 5, "shape": (3, 32, 32)},
    "nasbench201": {"channels": 8, "cells": 2, "shape": (3, 32, 32)},
    "nasbench-macro": {"channels": 8, "shape": (3, 32, 32)},
    "fbnet": {"stem": "cifar", "width": 0.5, "depths": (1, 2, 1, 1, 1, 1, 1)},
    "proxyless": {"stem": "cifar", "width": 0.5, "depths": (2, 2, 1, 1, 1, 1)},
    "single-path": {"stem": "cifar", "width": 0.5, "depths": (1, 2, 1, 1, 1)},
    "densenas": {"stem": "cifar", "width": 0.25},
}


def limits(space: str, **bounds: float) -> tuple[Limits, SearchSpace]:
    made = limits_on(Bounds(**bounds), space_named(space), kind_for(space), SIZES[space])
    return made, made.space


@pytest.mark.parametrize("space", SIZES)
def test_tables_give_the_exact_counts_of_every_architecture(space: str) -> None:
    made, search_space = limits(space)
    for seed in range(4):
        arch = search_space.sample(Random(seed))
        exact = Design(space, arch, arch, "", SIZES[space]).describe()
        assert {k: made.costs(arch)[k] for k in ("params", "macs")} == {k: exact[k] for k in ("params", "macs")}


def test_a_search_under_a_limit_returns_what_meets_it() -> None:
    made, space = limits("darts", params=55_000)
    best = explore(
        space,
        make_searcher("random", space, 0),
        lambda arch: {"accuracy": made.costs(arch)["params"] / 1e6},
        5,
        Objective(limits=made.bounds),
        costs=made.costs,
    )
    assert all(t.costs["params"] <= 55_000 for t in best)


def test_the_constrained_derivation_meets_the_bound_and_changes_little() -> None:
    made, space = limits("darts", params=50_000)
    rng = torch.Generator().manual_seed(0)
    belief = {n: torch.randn(len(c.options), generator=rng).softmax(-1).tolist() for n, c in space.items() if c.pick is None}
    free = strongest(space, belief)
    assert made.costs(free)["params"] > 50_000
    bound = within(space, belief, made.excess)
    assert made.costs(bound)["params"] <= 50_000
    same = [n for n, t in space.matters(bound).items() if free[n] == t]
    assert len(same) >= len(space.matters(free)) // 2
    loose, _ = limits("darts", params=10_000_000)
    assert within(space, belief, loose.excess) == free


@pytest.mark.slow
def test_the_penalty_pushes_alphas_towards_cheaper_options_only_above_the_bound() -> None:
    for bound, pushes in ((20_000, True), (10_000_000, False)):
        made, space = limits("darts", params=bound)
        logits = {n: torch.zeros(len(c.options), requires_grad=True) for n, c in space.items() if c.pick is None}
        mixture = {n: Mix(logits[n].softmax(-1) if n in logits else None, tuple(range(len(c.options)))) for n, c in space.items()}
        loss = made.for_gradient(strategy("darts").load().pricing)["penalty"](torch.zeros(()), mixture, space)
        loss.backward()
        slope = logits["normal.2<0"].grad
        assert slope is not None
        options = space["normal.2<0"].options
        if pushes:
            assert slope[options.index("sep_conv_5x5")] > 0 > slope[options.index("skip_connect")]
        else:
            assert slope.abs().sum() == 0
