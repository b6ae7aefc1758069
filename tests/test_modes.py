"""Training sets training mode and evaluation evaluation mode, whatever mode they find, and both put that back."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet import OneOf, Supernet, Task, derive, recalibrate, search, time_network
from supernet.estimators.shared import SharedWeights
from supernet.mixture import one_hot
from supernet.strategies import STRATEGIES
from supernet.strategies.retrain import Retrain
from supernet.train import fit


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.body = OneOf({"linear": nn.Linear(4, 4), "dropped": nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)), "skip": nn.Identity()})
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.body(self.norm(x)))
        return out


def task() -> Task:
    g = torch.Generator().manual_seed(0)
    batches = [(3 + torch.randn(8, 4, generator=g), torch.randint(3, (8,), generator=g)) for _ in range(3)]
    return Task(batches, batches, loss=F.cross_entropy)


def modes(model: nn.Module) -> dict[str, bool]:
    return {name: module.training for name, module in model.named_modules()}


def handed_over(how: str) -> Supernet:
    torch.manual_seed(0)
    net = Supernet(Net().eval() if how == "its module in evaluation mode" else Net())
    if how == "in evaluation mode":
        net.eval()
    elif how == "one part in evaluation mode":
        net.model.norm.eval()  # type: ignore[union-attr]
    return net


HOW = ("in training mode", "in evaluation mode", "its module in evaluation mode", "one part in evaluation mode")


OTHERS = [pytest.param(name, marks=pytest.mark.slow) for name in ("gdas", "sdarts-adv", "darts-pt")]


@pytest.mark.parametrize("name", ["darts", "darts-2nd", "proxyless", "one-shot", *OTHERS])
def test_a_search_is_the_same_in_whatever_mode_the_supernet_is_handed_over(name: str) -> None:
    found: list[tuple[Any, dict[str, Tensor]]] = []
    for how in HOW:
        net = handed_over(how)
        before = modes(net)
        result = search(net, task(), name, epochs=3, trials=2)
        assert modes(net) == before, how
        assert int(net.model.norm.num_batches_tracked) > 0, how  # type: ignore[union-attr, arg-type]
        found.append((result.architecture, net.state_dict()))
    for architecture, state in found[1:]:
        assert architecture == found[0][0]
        assert all(torch.equal(a, b) for a, b in zip(state.values(), found[0][1].values(), strict=True))


def test_a_derived_network_is_retrained_with_batch_statistics_and_stays_in_evaluation_mode() -> None:
    net, own = handed_over("in training mode"), task()
    model = derive(net, {"body": "dropped"}, *own.example)
    assert not any(modes(model).values())
    fit(Retrain(model, own), own.data, 2)
    assert int(model.norm.num_batches_tracked) == 6 and float(model.norm.running_mean.mean()) > 1  # type: ignore[arg-type, union-attr]
    assert not any(modes(model).values())


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_says_what_it_trains(name: str) -> None:
    assert "training" in dir(STRATEGIES[name].load())


def test_evaluating_trains_nothing_and_puts_every_mode_back() -> None:
    for how in HOW:
        net, own = handed_over(how), task()
        mixture = one_hot(net.space, {"body": "dropped"})
        before, state = modes(net), {n: t.clone() for n, t in net.state_dict().items()}
        assert own.evaluate(net, "validation", mixture) == own.evaluate(net, "validation", mixture)
        SharedWeights(net, own, batches=2)({"body": "dropped"})
        assert all(torch.equal(t, state[n]) for n, t in net.state_dict().items())
        recalibrate(net, lambda batch, net=net, mixture=mixture: net(mixture, batch[0]), own.data.each("train"))
        assert modes(net) == before


def test_a_mode_is_put_back_where_a_step_fails() -> None:
    net, own = handed_over("in evaluation mode"), task()
    strategy = STRATEGIES["darts"].load()(net, own)

    def failing(data: Any) -> Any:
        assert net.model.norm.training  # type: ignore[union-attr]
        raise OSError

    strategy.step = failing
    with pytest.raises(OSError):
        fit(strategy, own.data, 1)
    assert not any(modes(net).values())


def test_a_network_that_is_timed_keeps_its_modes() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
    model[1].eval()
    time_network(model, torch.zeros(1, 4))
    assert modes(model) == {"": True, "0": True, "1": False}
