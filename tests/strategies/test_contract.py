"""What every strategy promises: an entry of ``STRATEGIES`` is tested by being there."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet import InputError, OneOf, Supernet, Task, UpTo
from supernet.costs.price import Price
from supernet.layers.base import searchable
from supernet.mixture import Table, expected, one_hot
from supernet.space import Architecture, SearchSpace
from supernet.spaces import cell, single_path, smash
from supernet.spaces.cell import DARTS
from supernet.strategies import STRATEGIES
from supernet.strategies.early_stopping import STOPS
from supernet.strategies.regularisers import REGULARISERS

SIZES = {"channels": 12, "cells": 3, "nodes": 1, "shape": (3, 8, 8), "classes": 3}
CHAIN = {"stem": "cifar", "shape": (3, 8, 8), "classes": 3, "widths": (4, 8, 8, 8, 8), "depths": (2, 1, 1, 1, 1), "last": 8, "head": 8}
BANKS = {"channels": 1, "widening": 1, "layers": 2, "shape": (3, 8, 8), "classes": 3, "generated": True}
ONLY = {  # methods of one space; the rest run on cells too
    "single-path": lambda: single_path.supernet(**CHAIN),
    "smash": lambda: smash.supernet(**BANKS),
}
EPOCHS = 6  # of two steps


class Own(nn.Module):
    """A user's small network."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, stride=2)
        self.one = OneOf({"conv": nn.Conv2d(6, 6, 3, padding=1), "pool": nn.MaxPool2d(3, 1, 1), "skip_connect": nn.Identity()})
        self.stage = UpTo([nn.Sequential(nn.Conv2d(6, 6, 1), nn.BatchNorm2d(6), nn.ReLU()) for _ in range(2)], depths=(1, 2))
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stage(self.one(self.stem(x))).mean((2, 3)))


def cells(name: str, **settings: Any) -> Supernet:
    """The supernet of a method on the cell space, or on the only one that it has, small."""
    if name in ONLY:
        return ONLY[name]()
    own = {k: v for k, v in DARTS.served(STRATEGIES[name].load().needs).items() if k not in SIZES}
    if "cells" in settings:
        settings["cells"] = 3 + settings["cells"] // 6
    return cell.supernet(**{**SIZES, **own, **settings})


def batches(n: int) -> list[tuple[Tensor, Tensor]]:
    g = torch.Generator().manual_seed(n)
    return [(torch.randn(4, 3, 8, 8, generator=g), torch.randint(3, (4,), generator=g)) for _ in range(n)]


def bounded(name: str, net: Supernet) -> dict[str, Any]:
    """The settings that price every option by its place, with a bound nearer to the cheapest network than to the dearest."""
    space = net.space
    table = {(): torch.tensor(20.0), **{(n,): 1.0 + torch.arange(len(c.options)) for n, c in space.items() if c.pick is None}}
    cheapest, dearest = (cost(space, table, {n: list(c.takes())[i] for n, c in space.items()}) for i in (0, -1))
    bound = cheapest + 0.3 * (dearest - cheapest)
    price = Price(table, **{**STRATEGIES[name].load().pricing, "bound": bound})
    return {"penalty": price, "within": lambda arch: cost(space, table, arch) / bound - 1}


def cost(space: SearchSpace, table: Table, arch: Architecture) -> float:
    return float(expected(space, one_hot(space, arch), table))


def on_cells(name: str, seed: int = 0, priced: bool = False) -> tuple[Any, Task]:
    torch.manual_seed(seed)
    task, method, net = Task(batches(2), batches(3), loss=F.cross_entropy, seed=seed), STRATEGIES[name], cells(name)
    build = {"build": lambda **settings: cells(name, **settings)} if DARTS.builds_again(method.load().needs) else {}
    return method.load()(net, task, seed=seed, **build, **(bounded(name, net) if priced else {})), task


def on_own(name: str, seed: int = 0, priced: bool = False) -> tuple[Any, Task]:
    torch.manual_seed(seed)
    task, net = Task(batches(2), batches(3), loss=F.cross_entropy, seed=seed), Supernet(Own())
    return STRATEGIES[name].load()(net, task, seed=seed, **(bounded(name, net) if priced else {})), task


def made(name: str, seed: int = 0, priced: bool = False) -> tuple[Any, Task]:
    """On a user's network, and on small cells where the method makes further ones or cannot take the user's."""
    if "stages" not in STRATEGIES[name].load().needs:
        with suppress(InputError):
            return on_own(name, seed, priced)
    return on_cells(name, seed, priced)


def assert_same(a: Any, b: Any, path: str = "") -> None:
    """Whether two states are equal to the last bit."""
    if isinstance(a, Tensor):
        assert isinstance(b, Tensor) and a.dtype == b.dtype and torch.equal(a, b), path
    elif isinstance(a, Mapping):
        assert list(a) == list(b), path
        for key in a:
            assert_same(a[key], b[key], f"{path}.{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), path
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{path}[{i}]")
    else:
        assert a == b, path


def written(strategy: Any, task: Task) -> bytes:
    """Everything that a checkpoint holds, as a file."""
    file = io.BytesIO()
    torch.save({"strategy": strategy.state_dict(), "data": task.data.state_dict(), "random": torch.get_rng_state()}, file)
    return file.getvalue()


def read(file: bytes) -> Any:
    """A checkpoint, read without running code."""
    return torch.load(io.BytesIO(file), weights_only=True)


def saved(strategy: Any, task: Task) -> Any:
    """Everything that a checkpoint holds, written and read back."""
    return read(written(strategy, task))


def train(strategy: Any, task: Task, begin: int, end: int) -> None:
    """Steps ``begin`` to ``end`` of a training of two steps an epoch, told of the epochs as ``fit`` does: at first and after each."""
    if begin == 0:
        strategy.epoch(0, EPOCHS, {})
    for i in range(begin, end):
        strategy.step(task.data)
        if i % 2:
            strategy.epoch((i + 1) // 2, EPOCHS, {})


CUTS = (1, 4, 7, 11)


@cache
def whole(name: str) -> tuple[dict[int, bytes], Architecture | None]:
    """The checkpoints of a search that was never killed, at every cut and at its end, and the architecture that it finished with."""
    strategy, task = made(name)
    checkpoints = {}
    for begin, end in pairwise((0, *CUTS, 2 * EPOCHS)):
        train(strategy, task, begin, end)
        checkpoints[end] = written(strategy, task)
    return checkpoints, last_word(strategy, task, read(checkpoints[2 * EPOCHS])["random"])


def last_word(strategy: Any, task: Task, random: Tensor) -> Architecture | None:
    """What a search that is at its end finds; None for a method that decides nothing."""
    torch.set_rng_state(random)
    if hasattr(strategy, "finish"):
        strategy.finish(task.data)
    return strategy.architecture() if hasattr(strategy, "architecture") else None


@pytest.mark.parametrize("name", STRATEGIES)
def test_same_seed_gives_the_same_result(name: str) -> None:
    strategy, task = made(name)
    train(strategy, task, 0, CUTS[0])
    assert_same(saved(strategy, task), read(whole(name)[0][CUTS[0]]))  # from here to the end: the next test


@pytest.mark.parametrize("cut", [pytest.param(cut, marks=pytest.mark.slow if cut in (4, 7) else ()) for cut in CUTS])
@pytest.mark.parametrize("name", STRATEGIES)
def test_search_that_is_killed_and_resumed_goes_on_bit_for_bit(name: str, cut: int) -> None:
    checkpoints, architecture = whole(name)
    state, expected = read(checkpoints[cut]), read(checkpoints[2 * EPOCHS])
    again, other = made(name, seed=0 if "stages" in STRATEGIES[name].load().needs else 5)  # what it begins with must not matter
    torch.set_rng_state(state["random"])
    again.load_state_dict(state["strategy"])
    assert torch.equal(torch.get_rng_state(), state["random"])
    other.data.load_state_dict(state["data"])
    train(again, other, cut, 2 * EPOCHS)
    assert_same(saved(again, other), expected)
    assert last_word(again, other, expected["random"]) == architecture  # the search's last word too


@pytest.mark.parametrize("setting", [*({"stops": (name,)} for name in STOPS), *({"regularise": (name,)} for name in REGULARISERS)], ids=str)
def test_every_stopping_rule_and_regulariser_goes_on_bit_for_bit(setting: dict[str, Any]) -> None:
    def begun(seed: int) -> tuple[Any, Task]:
        torch.manual_seed(seed)
        task = Task(batches(2), batches(3), loss=F.cross_entropy, seed=seed)
        return STRATEGIES["darts"].load()(Supernet(Own()), task, seed=seed, **setting), task

    strategy, task = begun(0)
    train(strategy, task, 0, 7)
    state = saved(strategy, task)
    train(strategy, task, 7, 2 * EPOCHS)
    again, other = begun(5)
    torch.set_rng_state(state["random"])
    again.load_state_dict(state["strategy"])
    other.data.load_state_dict(state["data"])
    train(again, other, 7, 2 * EPOCHS)
    assert_same(saved(again, other), saved(strategy, task))


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_step_changes_weights_and_alphas_and_nothing_else(name: str) -> None:
    strategy, task = made(name)
    strategy.epoch(1, EPOCHS, {})
    net = strategy.supernet
    data = copy.deepcopy([list(task.data.each(stream)) for stream in ("train", "validation")])
    before, space = {n: p.detach().clone() for n, p in net.named_parameters()}, copy.deepcopy(net.space)
    modes = [(m, m.training) for m in net.modules()]
    alphas = {n: p.detach().clone() for n, p in getattr(strategy, "alphas", {}).items()}
    for _ in range(3):
        measured = strategy.step(task.data)
    assert all(isinstance(v, Tensor) and v.dim() == 0 and not v.requires_grad for v in measured.values()) and "loss" in measured
    assert strategy.supernet is net and net.space == space
    assert [m.training for m, _ in modes] == [mode for _, mode in modes]
    assert all(layer.mix is None and layer.others == () for layer in searchable(net))
    assert any(not torch.equal(p, before[n]) for n, p in net.named_parameters())
    assert all(p.requires_grad for p in net.parameters())
    now = [list(task.data.each(stream)) for stream in ("train", "validation")]
    assert_same(now, data)
    if alphas and strategy.alphas_learn:
        assert any(not torch.equal(p, alphas[n]) for n, p in strategy.alphas.items())


@pytest.mark.parametrize("name", STRATEGIES)
def test_asking_changes_nothing(name: str) -> None:
    strategy, task = made(name)
    train(strategy, task, 0, 2)
    before = saved(strategy, task)
    json.dumps(strategy.facts())
    if hasattr(strategy, "architecture"):
        assert strategy.supernet.space.check(strategy.architecture())
        assert strategy.architecture() == strategy.architecture()
    if hasattr(strategy, "evaluate"):
        first = strategy.evaluate()
        assert first == strategy.evaluate()
        assert set(first) == {"loss", "accuracy"}
    assert strategy.steps(task.data) >= 1
    assert all(layer.mix is None for layer in searchable(strategy.supernet))
    assert_same(saved(strategy, task), before)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_users_own_module_works_or_is_refused_with_the_reason(name: str) -> None:
    try:
        strategy, task = on_own(name)
    except InputError as error:
        assert " needs " in str(error) or "build the supernet" in str(error)
        return
    train(strategy, task, 0, 2 * EPOCHS)
    if hasattr(strategy, "finish"):
        strategy.finish(task.data)
    if hasattr(strategy, "architecture"):
        assert strategy.supernet.space.check(strategy.architecture())


@pytest.mark.parametrize("name", [name for name, method in STRATEGIES.items() if DARTS.served(method.load().needs)])
def test_method_trains_the_supernet_that_it_asks_of_the_cell_space(name: str) -> None:
    strategy, task = on_cells(name)
    strategy.epoch(0, EPOCHS, {})
    strategy.step(task.data)
    assert strategy.supernet.space.check(strategy.architecture())


@pytest.mark.parametrize("name", [name for name, method in STRATEGIES.items() if method.load().decides])
def test_methods_with_alphas_keep_a_bound_and_adapt_its_price_through_a_kill(name: str) -> None:
    strategy, task = made(name, priced=True)
    train(strategy, task, 0, 9)
    state = saved(strategy, task)
    train(strategy, task, 9, 2 * EPOCHS)
    assert all(bool(p.isfinite().all()) for p in getattr(strategy, "alphas", {}).values())
    price, line = strategy.price, strategy.facts()
    assert line["price"]["strength"] != price.first and line["price"]["bound"] == price.bound
    assert cost(strategy.space, price.table, strategy.architecture()) <= price.bound
    again, other = made(name, seed=0 if "stages" in STRATEGIES[name].load().needs else 5, priced=True)
    torch.set_rng_state(state["random"])
    again.load_state_dict(state["strategy"])
    other.data.load_state_dict(state["data"])
    train(again, other, 9, 2 * EPOCHS)
    assert_same(saved(again, other), saved(strategy, task))


@pytest.mark.parametrize("name", STRATEGIES)
def test_mistaken_setting_is_refused_before_any_work(name: str) -> None:
    with pytest.raises((InputError, TypeError)):
        STRATEGIES[name].load()(Supernet(Own()), Task(batches(2), batches(2), loss=F.cross_entropy), no_such_setting=1)
