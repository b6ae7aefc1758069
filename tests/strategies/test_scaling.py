"""Losses are scaled in float16: gradients that would vanish do not, and what overflows moves nothing."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import test_contract
import torch
from torch import Tensor, nn

from supernet import InputError, Task
from supernet.strategies import STRATEGIES, scaling
from supernet.strategies.scaling import Scaling
from supernet.strategies.weights import Weights

FAST = ("darts", "gdas", "proxyless", "fairnas")


def made(name: str, monkeypatch: pytest.MonkeyPatch, precision: torch.dtype | None) -> tuple[Any, Task]:
    """A method as the contract makes it, in mixed precision."""
    monkeypatch.setattr(test_contract, "Task", partial(Task, autocast=precision))
    return test_contract.made(name)


def test_the_scale_follows_that_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "INTERVAL", 3)
    weight = nn.Parameter(torch.ones(2))
    theirs, optimiser = torch.amp.GradScaler("cpu", growth_interval=3), torch.optim.SGD([weight], 0.0)
    ours = Scaling(torch.float16)
    for overflows in (True, False, False, False, False, False, True, False, False, True, False, False, False, False):
        theirs.scale(weight.sum()).backward()
        assert weight.grad is not None
        weight.grad.fill_(float("inf") if overflows else 1.0)
        found = weight.grad.clone()
        theirs.step(optimiser)
        theirs.update()
        ours.settle([found])
        assert float(ours.scale) == theirs.get_scale() and found.tolist() == ([0, 0] if overflows else [1, 1])


def test_gradients_that_vanish_in_float16_do_not_under_a_scaled_loss() -> None:
    network, x = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 1)), torch.randn(4, 8)
    with torch.autocast("cpu", torch.float16):
        loss = 1e-9 * network(x).float().mean()
    parameters = list(network.parameters())
    expected = torch.autograd.grad(1e-9 * network(x).mean(), parameters)
    scaled = Scaling(torch.float16).gradients(loss, parameters, retain_graph=True)
    for found, right in zip(scaled, expected, strict=True):
        assert torch.allclose(found, right, rtol=2e-2, atol=1e-12)
    assert not any(g.any() for g in Scaling(torch.bfloat16).gradients(loss, parameters))


def test_a_gradient_that_overflows_moves_neither_weights_nor_alphas(monkeypatch: pytest.MonkeyPatch) -> None:
    strategy, task = made("darts", monkeypatch, torch.float16)
    strategy.epoch(0, 6, {})
    strategy.weights.scaling.scale.fill_(2.0**40)
    for group in strategy.weights.optimiser.param_groups:
        group["weight_decay"] = 0.0
    before = [p.detach().clone() for p in (*strategy.alphas.values(), *strategy.weights.parameters)]
    strategy.step(task.data)
    assert all(map(torch.equal, before, (*strategy.alphas.values(), *strategy.weights.parameters)))
    assert strategy.weights.scaling.scale == 2.0**39


@pytest.mark.parametrize("name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in STRATEGIES])
def test_a_step_in_float16_learns_what_one_in_float32_does(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "FIRST", 2.0**12)  # of which nothing overflows
    found = []
    for precision in (torch.float16, None):
        strategy, task = made(name, monkeypatch, precision)
        strategy.epoch(5, 6, {})
        strategy.step(task.data)
        found.append([p.grad for p in (*strategy.weights.parameters, *alphas_of(strategy))])
        assert strategy.weights.scaling.scale == (scaling.FIRST if precision else 1.0), "something overflowed"
    pairs = [(a.flatten(), b.flatten()) for a, b in zip(*found, strict=True) if a is not None and b is not None]
    mixed, single = (torch.cat(vectors) for vectors in zip(*pairs, strict=True))
    assert torch.cosine_similarity(mixed, single, dim=0) > 0.95 and 0.8 < mixed.norm() / single.norm() < 1.25


def alphas_of(strategy: Any) -> list[Tensor]:
    """The alphas of a method that has some."""
    return list(strategy.alphas.values()) if strategy.by_alphas else []


@pytest.mark.parametrize("name", ["darts", "one-shot"])
def test_a_search_in_float16_goes_on_from_a_checkpoint_as_if_it_had_not_stopped(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "FIRST", 2.0**30)  # overflows at first
    whole, task = made(name, monkeypatch, torch.float16)
    test_contract.train(whole, task, 0, 3)
    state = test_contract.saved(whole, task)
    test_contract.train(whole, task, 3, 5)
    part, own = made(name, monkeypatch, torch.float16)
    part.load_state_dict(state["strategy"])
    own.data.load_state_dict(state["data"])
    torch.set_rng_state(state["random"])
    test_contract.train(part, own, 3, 5)
    test_contract.assert_same(test_contract.saved(part, own), test_contract.saved(whole, task))
    assert part.weights.scaling.scale < 2.0**30


def test_other_precisions_have_no_scale() -> None:
    weights = Weights(nn.Linear(1, 1))
    for precision in (None, torch.bfloat16):
        task = Task([(torch.ones(1, 1), torch.zeros(1, 1))], loss=nn.functional.mse_loss, autocast=precision)
        assert "scaling" not in weights.scaled_for(task).state_dict()


def test_precision_that_a_device_does_not_have_is_refused() -> None:
    with pytest.raises(InputError, match=r"^cpu has no mixed precision in int8 with torch .*: leave autocast out$"):
        Task([(torch.ones(1, 1), torch.zeros(1, 1))], loss=nn.functional.mse_loss, autocast=torch.int8)
