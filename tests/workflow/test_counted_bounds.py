"""Bounds where the searched choices are not those that a space has by default, and where no table of parts says costs."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest

from supernet.costs.counted import Counts
from supernet.costs.limits import Limits
from supernet.errors import InputError
from supernet.mixture import Mix, one_hot
from supernet.naming.design import of_choices
from supernet.plan.bounds import bounded
from supernet.plan.chosen import choose
from supernet.plan.profile import plan_profile
from supernet.plan.search import plan_search
from supernet.plan.supernets import sketch
from supernet.settings.commands import Profile, Search
from supernet.settings.given import settled
from supernet.settings.sections import Bounds
from supernet.space import Architecture, SearchSpace
from supernet.spaces import space
from supernet.tasks import kind_for
from supernet.workflow.searching import search_run

DARTS = {"network": {"channels": 4, "cells": 3, "shape": (3, 8, 8)}}
SMALL: dict[str, dict[str, Any]] = {  # space, and which of its settings -> settings of the supernet and the network
    "enas-micro": {"supernet": {"nodes": 2}, "network": {"channels": 4, "cells": 1, "shape": (3, 8, 8)}},
    "nasnet": {"supernet": {"nodes": 2}, "network": {"channels": 8, "cells": 3, "shape": (3, 8, 8)}},
    "enas-macro": {"supernet": {"layers": 3}, "network": {"channels": 4, "shape": (3, 8, 8)}},
    "smash": {"supernet": {"layers": 2, "widening": 1, "generated": True}, "network": {"channels": 2, "widening": 1, "shape": (3, 8, 8)}},
    "darts nodes": {"supernet": {"nodes": 2}, **DARTS},
    "darts inputs": {"supernet": {"least_inputs": 1, "nodes": 2}, **DARTS},
    "darts operations": {"supernet": {"operations": "s5", "nodes": 2}, **DARTS},
    "darts reduction": {"supernet": {"fixed_reduction": True, "nodes": 2}, **DARTS},
}
SEARCH = {"data.source": "digits", "data.limit": 24, "data.batch_size": 8, "steps": 2, "searcher.name": "random", "threads": 1}


def searching(name: str, method: str, **given: Any) -> Search:
    small = {f"{section}.{key}": value for section, sizes in SMALL[name].items() for key, value in sizes.items() if key != "shape"}
    own = {"supernet.channels": 2} | ({"supernet.cells": 1} if "cells" in SMALL[name]["network"] else {})
    return settled(Search, flags={"method": method, "space": name, **small, **own, **SEARCH, **given})


def limits_of(name: str, given: dict[str, Any], **bounds: float) -> tuple[Limits, SearchSpace]:
    small = space(name).supernet.taken({**given["network"], **given["supernet"]})
    choices = sketch(space(name), small).space
    limits = bounded(Bounds(**bounds), True, space(name), kind_for(name), given["network"], small, choices).limits
    assert limits
    return limits, choices


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=pytest.mark.slow if c in ("nasnet", "darts nodes", "darts inputs") else ()) for c in SMALL]
)
def test_a_bound_is_on_the_choices_that_are_searched_and_counts_what_describe_says(case: str) -> None:
    name, given = case.split()[0], SMALL[case]
    limits, searched = limits_of(name, given, params=1e6)
    assert limits.space == searched
    for seed in range(2):
        architecture = searched.sample(Random(seed))
        described = of_choices(name, searched.matters(architecture), given["network"]).describe()
        costs = limits.costs(architecture)
        assert {cost: costs[cost] for cost in ("params", "macs")} == {cost: described[cost] for cost in ("params", "macs")}
        assert limits.excess(architecture) == pytest.approx(described["params"] / 1e6 - 1)


@pytest.mark.slow
def test_what_a_policy_finds_keeps_a_bound_on_the_evaluation_network(tmp_path: Path) -> None:
    name = "enas-macro"
    limits, _ = limits_of(name, {**SMALL[name], "network": {**SMALL[name]["network"], "shape": (1, 8, 8)}})
    bound = sorted(limits.costs(limits.space.sample(Random(seed)))["params"] for seed in range(5))[2]
    few = {f"strategy.{setting}": 1 for setting in ("policy_steps", "samples", "candidates")}
    found = search_run(plan_search(searching(name, "enas", **few, **{"limits.params": bound})), tmp_path / "run")
    assert found["params"] <= bound and found["limits"] == {"params": {"bound": bound, "holds": True}}


def test_a_bound_that_nothing_keeps_is_refused_before_work_and_one_that_little_keeps_is_not() -> None:
    limits, searched = limits_of("enas-macro", SMALL["enas-macro"], params=1.0)
    with pytest.raises(InputError, match=r"was found that meets params <= 1; the nearest has params [0-9,]+") as refused:
        limits.check()
    least = int(str(refused.value).rpartition(" ")[2].replace(",", ""))
    pools = {name: "avg_pool_3x3" if name.startswith("layer") else () for name in searched}
    assert least == limits.costs(pools)["params"]
    kept = limits_of("enas-macro", SMALL["enas-macro"], params=least)[0].check()
    assert kept and limits.costs(kept)["params"] == least
    with pytest.raises(InputError, match="the nearest has macs"):
        plan_search(searching("enas-macro", "enas", **{"limits.macs": 10}))


def test_costs_that_are_counted_whole_are_counted_once_and_not_of_blends() -> None:
    counted: list[Architecture] = []
    searched = sketch(space("enas-micro"), {"nodes": 2, "cells": 1}).space
    counts = Counts(searched, lambda architecture: {"params": float(len(counted) or counted.append(architecture) or 7)})
    one, cost = searched.sample(Random(0)), counts.costs("params")["params"]
    assert [float(cost.expected(searched, one_hot(searched, one))) for _ in range(2)] == [7, 7]
    blend = {name: Mix(None, tuple(range(len(choice.options)))) for name, choice in searched.items()}
    with pytest.raises(InputError, match=r"counted one by one, which has no gradient.*choice .* runs 2 of 2 options"):
        cost.expected(searched, blend)


@pytest.mark.parametrize("name", ["enas-micro", "enas-macro", "nasnet"])
def test_what_needs_parts_is_refused_where_networks_are_counted_whole(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"networks of {name} are counted whole: give bounds on params and macs"):
        choose(searching(name, "one-shot", **{"limits.activations": 1e6}))
    with pytest.raises(InputError, match=f"networks of {name} are not put together from parts of its supernet"):
        plan_profile(settled(Profile, flags={"space": name}), tmp_path / "latency.json")
    with pytest.raises(InputError, match="counted one by one, which has no gradient: for bounds give one-shot a searcher"):
        plan_search(searching(name, "snas", **{"limits.params": 1e6}))
