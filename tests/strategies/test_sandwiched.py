"""BigNAS and AttentiveNAS: the sandwich rule, regularised in the largest alone, and what is drawn between."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet import ElasticConv2d, ElasticLinear, ElasticNorm, InputError, OneOf, Supernet, Task, UpTo, Width, search
from supernet.costs.table import cost_of, count_tables
from supernet.mixture import one_hot
from supernet.strategies.attentive import AttentiveNAS, OfEqualCost
from supernet.strategies.big_nas import BigNAS, constant_ending


class Net(nn.Module):
    """Two blocks of a shared width, one of which may be left out, and dropout."""

    def __init__(self) -> None:
        super().__init__()
        width = Width((4, 6, 8), name="width")
        self.stem, self.norm = ElasticConv2d(3, width, 3, 2, 1), ElasticNorm(8)
        self.stage = UpTo([ElasticConv2d(8, width, 3, padding=1) for _ in range(2)], (1, 2), name="depth")
        self.drop, self.head = nn.Dropout(0.5), ElasticLinear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.drop(self.stage(torch.relu(self.norm(self.stem(x)))).mean((2, 3))))


def made(kind: Any, **settings: Any) -> Any:
    g = torch.Generator().manual_seed(0)
    batches = [(torch.randn(8, 3, 8, 8, generator=g), torch.randint(3, (8,), generator=g)) for _ in range(3)]
    torch.manual_seed(0)
    return kind(Supernet(Net()), Task(batches, batches, loss=F.cross_entropy), **settings)


@pytest.mark.parametrize("kind", [BigNAS, AttentiveNAS])
def test_a_step_runs_the_largest_by_the_labels_with_dropout_and_smaller_ones_by_its_outputs_without(kind: Any) -> None:
    strategy, ran = made(kind, between=3), []
    strategy.objective = lambda task, outputs, batch, target: ran.append(target) or outputs.sum() * 0
    blends, dropping = [], []
    predict = strategy.task.predict

    def noted(network: Any, batch: Any) -> Any:
        if torch.is_grad_enabled():
            blends.append({name: network.args[0][name].runs[0] for name in ("width", "depth")})
            dropping.append(strategy.supernet.model.drop.training)
        return predict(network, batch)

    strategy.task.predict = noted
    with strategy.training():
        strategy.step(strategy.task.data)
    assert blends[0] == {"width": 2, "depth": 1} and blends[-1] == {"width": 0, "depth": 0} and len(blends) == 5
    assert dropping == [True, False, False, False, False] and strategy.supernet.model.drop.training
    assert ran[0] is None and all(target is ran[1] for target in ran[1:])


def test_the_rate_of_bignas_falls_exponentially_and_then_stays() -> None:
    strategy, rates = made(BigNAS), []
    for done in range(7):
        strategy.epoch(done, 6, {})
        rates.append(strategy.weights.lr / 0.256)
    assert rates[0] == 1 and rates[1] / rates[0] == pytest.approx(rates[3] / rates[2])
    assert rates[4:] == pytest.approx([0.05] * 3) and constant_ending(1.0) == 0.05


@pytest.mark.parametrize("take", ["best", "worst"])
def test_the_candidate_of_the_least_or_the_largest_loss_is_taken_and_nothing_else_is_touched(take: str) -> None:
    strategy = made(AttentiveNAS, take=take, candidates=4)
    batch = strategy.task.data.next("train")
    before = {name: tensor.clone() for name, tensor in strategy.supernet.state_dict().items()}
    candidates = strategy.equal.draw(4, Random(5))
    strategy.rng = Random(5)
    with strategy.training():
        architecture = strategy.draw(batch)
        with torch.no_grad():
            strategy.supernet.model.drop.eval()
            outputs = [strategy.outputs(one_hot(strategy.supernet.space, arch), batch, None) for arch in candidates]
    losses = [float(F.cross_entropy(out, batch[-1])) for out in outputs]
    assert architecture == candidates[losses.index({"best": min, "worst": max}[take](losses))]
    strategy.supernet.load_state_dict(before)


def test_a_draw_leaves_running_statistics_as_they_were() -> None:
    strategy = made(AttentiveNAS)
    before = {name: tensor.clone() for name, tensor in strategy.supernet.state_dict().items()}
    with strategy.training():
        strategy.draw(strategy.task.data.next("train"))
    assert all(torch.equal(tensor, before[name]) for name, tensor in strategy.supernet.state_dict().items())


def test_candidates_cost_the_same_and_costs_are_as_probable_as_of_uniform_draws() -> None:
    net = Supernet(Net())
    cost = cost_of(net.space, count_tables(net, torch.zeros(1, 3, 8, 8))["macs"])
    equal, rng = OfEqualCost(net.space, cost, 5), Random(1)
    groups = [equal.draw(3, rng) for _ in range(400)]
    assert all(len({equal.bin(cost(architecture)) for architecture in group}) == 1 for group in groups)
    found = Counter(equal.bin(cost(group[0])) for group in groups)
    assert all(abs(found[b] / 400 - n / 1000) < 0.08 for b, n in equal.frequency.items())


@pytest.mark.parametrize("method", ["bignas", "attentive"])
def test_a_search_finds_an_architecture_and_a_space_without_sizes_is_refused(method: str) -> None:
    task = made(BigNAS).task
    found = search(Supernet(Net()), task, method, epochs=1, trials=2, searcher="random", weights={"lr": 0.01})
    assert set(found.architecture) == {"width", "depth"}
    with pytest.raises(InputError, match="a sandwich is of sizes"):
        search(Supernet(nn.Sequential(OneOf({"a": nn.Flatten(), "b": nn.Flatten()}), nn.Linear(192, 3))), task, method, epochs=1)
