"""What the method smash does otherwise than one-shot training."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from supernet import InputError, OneOf, Supernet, Task, search, specialise
from supernet.estimators.shared import SharedWeights
from supernet.spaces import smash
from supernet.strategies.smash import SMASH

SMALL: dict[str, Any] = {"channels": 1, "widening": 1, "layers": 2, "shape": (3, 8, 8), "classes": 2}


def task() -> Task:
    g = torch.Generator().manual_seed(0)
    bright = [torch.randint(2, (16,), generator=g) for _ in range(4)]
    batches = [(torch.randn(16, 3, 8, 8, generator=g) + 2 * y.view(-1, 1, 1, 1), y) for y in bright]
    return Task(batches[:2], batches[2:], loss=F.cross_entropy)


def test_adam_of_the_official_code_decays_all_but_the_hypernetwork() -> None:
    net = smash.supernet(**SMALL, generated=True)
    strategy = SMASH(net, task())
    rest, making = strategy.weights.optimiser.param_groups
    assert {id(p) for p in making["params"]} == {id(p) for p in net.model.hypernetwork.parameters()}
    assert (rest["weight_decay"], making["weight_decay"]) == (1e-4, 0)
    assert all((g["lr"], g["betas"], g["eps"]) == (1e-3, (0.5, 0.999), 1e-4) for g in (rest, making))
    strategy.epoch(1, 2, {})
    assert strategy.weights.lr == pytest.approx(5e-4)


def test_a_search_learns_and_delivers_the_network_that_it_scored() -> None:
    torch.manual_seed(0)
    net = smash.supernet(**SMALL, generated=True)
    found = search(net, task(), "smash", epochs=12, trials=3, weights={"lr": 0.01})
    assert found.history[-1]["loss"] < found.history[0]["loss"]
    assert found.scores and smash.notation(found.architecture).startswith("smash: ")


def test_another_searcher_goes_on_over_the_weights_that_it_makes_without_training() -> None:
    torch.manual_seed(0)
    net = smash.supernet(**SMALL, generated=True)
    found = search(net, task(), "smash", epochs=1, trials=1)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    (other,) = specialise(found, [{}], searcher="evolution", trials=4, calibration=1, population=2)
    assert len(other.trials) == 4 and other.network is not None and found.task is not None
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert other.scores == SharedWeights(net, found.task, batches=1).final(net.space.check(other.architecture))


def test_a_supernet_that_makes_no_weights_is_refused() -> None:
    own = Supernet(nn.Sequential(OneOf({"a": nn.Linear(2, 2), "b": nn.Identity()})))
    for net in (own, smash.supernet(**SMALL)):
        with pytest.raises(InputError, match="needs a supernet that makes weights"):
            SMASH(net, task())
