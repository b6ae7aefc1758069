"""Single Path One-Shot: paths drawn within a range of costs, a rate that falls to 0 by a line."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from supernet import InputError, Supernet, Task
from supernet.costs.table import cost_of, count_tables
from supernet.mixture import Mixture
from supernet.search import search
from supernet.spaces import spos
from supernet.strategies.spos import SPOS

SMALL: dict[str, Any] = {"stem": "cifar", "width": 0.25, "depths": (2, 1, 2, 1), "head": 8, "shape": (3, 8, 8), "classes": 3}
RANGE = {"least": 230e3, "most": 260e3, "bins": 3}


def task() -> Task:
    g = torch.Generator().manual_seed(0)
    batches = [(torch.randn(4, 3, 8, 8, generator=g), torch.randint(3, (4,), generator=g)) for _ in range(4)]
    return Task(batches[:2], batches[2:], loss=F.cross_entropy)


def made(**settings: Any) -> SPOS:
    torch.manual_seed(0)
    return SPOS(spos.supernet(**SMALL), task(), **settings)


def macs(net: Supernet) -> Any:
    """(mixture of one path) -> its multiply-adds."""
    cost = cost_of(net.space, count_tables(net, torch.zeros(1, 3, 8, 8))["macs"])
    return lambda mixture: cost({name: net.space[name].options[mix.runs[0]] for name, mix in mixture.items()})


def test_paths_lie_in_the_range_and_spread_over_it() -> None:
    strategy = made(**RANGE)
    spent, counts = macs(strategy.supernet), Counter[int]()
    for _ in range(300):
        ((mixture, target),) = strategy.lessons(strategy.supernet.space, strategy.rng, 0.0)
        cost = spent(mixture)
        assert target is None and 230e3 <= cost <= 260e3
        counts[min(int((cost - 230e3) // 10e3), 2)] += 1
    assert min(counts.values()) > 70 and len(counts) == 3
    assert strategy.resolved == {"cost": "macs", **RANGE}


def test_without_a_range_paths_are_uniform_and_an_end_that_is_not_given_or_further_out_is_the_cheapest_or_dearest() -> None:
    assert made().resolved == {}
    low, high = (made(**end).resolved for end in ({"most": 240e3}, {"least": 240e3, "most": 1e9}))
    net = spos.supernet(**SMALL)
    costs = [sum(float(f(c)) for c in count_tables(net, torch.zeros(1, 3, 8, 8))["macs"].values()) for f in (torch.min, torch.max)]
    assert (low["least"], low["most"], low["bins"]) == (costs[0], 240e3, 7)
    assert (high["least"], high["most"]) == (240e3, costs[1])


@pytest.mark.parametrize("ends", [{"least": 1e6}, {"most": 1e3}, {"least": 250e3, "most": 240e3}])
def test_a_range_in_which_no_path_lies_is_refused(ends: dict[str, float]) -> None:
    with pytest.raises(InputError, match=r"the macs of paths must lie in .*, and those of this supernet have"):
        made(**ends)


def test_a_step_trains_the_one_path_that_was_drawn() -> None:
    strategy, ran = made(**RANGE), list[Mixture]()
    strategy.supernet.register_forward_pre_hook(lambda module, given: ran.append(given[0]))
    before = {name: p.detach().clone() for name, p in strategy.supernet.named_parameters()}
    strategy.step(strategy.task.data)
    (mixture,) = ran
    moved = [name for name, p in strategy.supernet.named_parameters() if not torch.equal(p, before[name])]
    taken = {f"layers.{i}.branches.{mixture[f'layer.{i}'].runs[0]}." for i in range(6)}
    assert moved and all(any(part in name for part in taken) for name in moved if ".layers." in name)
    assert all(any(part in name for name in moved) for part in taken)


def test_the_rate_falls_to_0_by_a_line() -> None:
    strategy, rates = made(), list[float]()
    for done in range(5):
        strategy.epoch(done, 4, {})
        rates.append(strategy.weights.lr)
    assert rates == pytest.approx([0.05, 0.0375, 0.025, 0.0125, 0.0])
    assert strategy.weights.optimiser.param_groups[0]["weight_decay"] == 4e-5


def test_a_search_within_a_range_finds_an_architecture() -> None:
    found = search(spos.supernet(**SMALL), task(), "spos", epochs=1, trials=2, searcher="random", **RANGE)
    assert set(found.architecture) == {f"layer.{i}" for i in range(6)} and isinstance(found.history[-1]["loss"], float | Tensor)
