"""The multiply-adds of a search, counted while they are done, and random search that spends as many."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import conv_flop_count, flop_registry

from supernet import OneOf, Supernet, Task, derive, search
from supernet.costs.count import macs
from supernet.costs.passes import Passes
from supernet.data.text import Text
from supernet.estimators.scratch import FromScratch
from supernet.estimators.shared import SharedWeights
from supernet.plan.search import plan_search
from supernet.predictors.ensemble import Ensemble
from supernet.searchers import SEARCHERS
from supernet.searchers.controlled import Controlled
from supernet.settings.commands import Search
from supernet.settings.given import settled
from supernet.spaces import cell, ofa_proxyless, recurrent, single_path, smash
from supernet.spaces.cell import DARTS
from supernet.strategies import STRATEGIES, ofa
from supernet.strategies.one_shot import OneShot
from supernet.tasks.language import LanguageModelling
from supernet.ways.baseline import equal_budget
from supernet.workflow.searching import search_run

LONG = ("darts-es", "sdarts-adv", "enas", "attentive")  # which take their time
ALIKE = (
    "darts-minus",
    "darts-plus",
    "beta-darts",
    "fair-darts",
    "gaea",
    "pc-darts",
    "snas",
    "sdarts-rs",
    "drnas",
    "gdas-frc",
    "spos",
    "bignas",
)
SIZES = {"channels": 12, "cells": 3, "nodes": 1, "shape": (3, 8, 8), "classes": 3}
SHRINKING: dict[str, Any] = {"stem": "cifar", "shape": (3, 8, 8), "classes": 3, "width": 0.25, "widths": (16,), "depths": (4,), "head": 16}
CHAIN = {"stem": "cifar", "shape": (3, 8, 8), "classes": 3, "widths": (4, 8, 8, 8, 8), "depths": (2, 1, 1, 1, 1), "last": 8, "head": 8}


class Everything(TorchDispatchMode):
    """Counts all that runs, by PyTorch's own formulas; that of a convolution's backward pass by those of its forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.done, self.watching = 0, 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: nothing is compiled here, and to ask PyTorch's compiler takes longer than what is counted."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        packet = func.overloadpacket
        if packet is torch.ops.aten.convolution_backward:
            gradient, x, weight, _, _, _, _, transposed, _, _, (by_input, by_weight, _) = args
            once = conv_flop_count(list(x.shape), list(weight.shape), list(gradient.shape), transposed)
            flops = (by_input + by_weight) * once
        else:
            flops = flop_registry[packet](*args, **(kwargs or {}), out_val=out) if packet in flop_registry else 0
        self.done += 0 if self.watching else flops // 2
        return out

    def apart(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function``, of which nothing is counted."""

        def call(*given: Any, **named: Any) -> Any:
            self.watching += 1
            try:
                return function(*given, **named)
            finally:
                self.watching -= 1

        return call


def batches(n: int) -> list[tuple[Tensor, Tensor]]:
    g = torch.Generator().manual_seed(n)
    return [(torch.randn(4, 3, 8, 8, generator=g), torch.randint(3, (4,), generator=g)) for _ in range(n)]


def cells(name: str, **settings: Any) -> Supernet:
    if name in ("single-path", "bignas", "attentive"):
        return single_path.supernet(**CHAIN)
    if name == "smash":
        return smash.supernet(channels=1, widening=1, layers=2, shape=SIZES["shape"], classes=SIZES["classes"], generated=True)
    if name == "ofa":
        return ofa_proxyless.supernet(**SHRINKING)
    own = {k: v for k, v in DARTS.served(STRATEGIES[name].load().needs).items() if k not in SIZES}
    return cell.supernet(**{**SIZES, **own, **settings, "cells": 3})


def full_count(monkeypatch: pytest.MonkeyPatch, strategy: type, opinion: bool) -> Everything:
    """Counts a whole search but what watches it, checks it or is done with what it found."""
    full = Everything()
    monkeypatch.setattr(Task, "check", full.apart(Task.check))
    monkeypatch.setattr(import_module("supernet.search"), "derive", full.apart(derive))
    attentive = import_module("supernet.strategies.attentive")  # counts shapes, where nothing is computed
    monkeypatch.setattr(attentive, "count_tables", full.apart(attentive.count_tables))
    if hasattr(strategy, "evaluate"):
        monkeypatch.setattr(strategy, "evaluate", full.apart(strategy.evaluate))
    if opinion:
        monkeypatch.setattr(SharedWeights, "__call__", full.apart(SharedWeights.__call__))
    return full


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in (*LONG, *ALIKE) else ()) for n in STRATEGIES])
def test_what_every_method_computes_is_counted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    method = STRATEGIES[name].load()
    how: dict[str, Any] = {"build": lambda **settings: cells(name, **settings)} if "stages" in method.needs else {}
    how |= {"darts-pt": {"tune_epochs": 1}, "enas": {"policy_steps": 3, "samples": 3}}.get(name, {})
    how |= {} if method.decides else {"searcher": "random", "trials": 3, "calibration": 1}
    task = Task(batches(2), batches(1), loss=F.cross_entropy)
    full = full_count(monkeypatch, method, opinion=method.decides)
    monkeypatch.setattr(ofa, "check_sortable", full.apart(ofa.check_sortable))
    with full:
        found = search(cells(name), task, name, epochs={"p-darts": 3, "darts-es": 1, "ofa": 6}.get(name, 2), count=True, **how)
    assert found.multiply_adds == pytest.approx(full.done, rel=0.02) and found.multiply_adds > 0


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = OneOf({"k1": nn.Conv2d(3, 3, 1), "k3": nn.Conv2d(3, 3, 3, padding=1), "skip": nn.Identity()})
        self.two = OneOf({"k3": nn.Conv2d(3, 8, 3, padding=1), "k5": nn.Conv2d(3, 8, 5, padding=2)})
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.two(self.one(x)).mean((2, 3)))


@pytest.mark.parametrize("searcher", SEARCHERS)
def test_what_every_searcher_has_scored_is_counted(searcher: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    full = full_count(monkeypatch, OneShot, opinion=False)
    for model, work in ((Ensemble, "fit"), (Ensemble, "predict"), (Controlled, "draw"), (Controlled, "learn")):
        monkeypatch.setattr(model, work, full.apart(getattr(model, work)))  # a searcher's own model is no network that is searched
    with full:
        found = search(
            Supernet(Own()),
            Task(batches(2), batches(1), loss=F.cross_entropy),
            "one-shot",
            epochs=2,
            searcher=searcher,
            trials=4,
            calibration=2,
            count=True,
        )
    assert found.multiply_adds == pytest.approx(full.done, rel=0.02) and found.multiply_adds > 0


def test_a_step_of_a_plain_network_is_its_forward_pass_and_two_backward_ones() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=8), nn.ConvTranspose2d(8, 4, 2), nn.Flatten(), nn.Linear(100, 5))
    passes = Passes()
    with passes.counting():
        net(torch.randn(4, 3, 8, 8)).sum().backward()
    assert passes.total == 4 * (3 * macs(net, (3, 8, 8)) - macs(net[:1], (3, 8, 8)))  # nothing asks for the images' gradient


class Stopped(Exception):
    pass


@contextmanager
def stopping_after(monkeypatch: pytest.MonkeyPatch, cls: type, method: str, calls: int) -> Iterator[None]:
    """The call ``calls`` + 1 of a method raises."""
    plain, left = getattr(cls, method), [calls]

    def call(*given: Any, **named: Any) -> Any:
        if not left[0]:
            raise Stopped
        left[0] -= 1
        return plain(*given, **named)

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(cls, method, call)
        yield


@pytest.mark.parametrize(("method", "calls"), [("step", 3), ("__call__", 2)])
def test_the_count_of_a_search_that_was_killed_and_resumed_is_that_of_one_that_was_not(
    method: str, calls: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(out: Path, resume: bool = False) -> int:
        torch.manual_seed(0)
        task = Task(batches(2), batches(1), loss=F.cross_entropy)
        how: dict[str, Any] = {"searcher": "random", "trials": 4, "calibration": 1, "save_every": 0.0}
        return search(Supernet(Own()), task, "one-shot", epochs=3, out=out, resume=resume, count=True, **how).multiply_adds

    with stopping_after(monkeypatch, OneShot if method == "step" else SharedWeights, method, calls):
        run(tmp_path / "killed")
    assert run(tmp_path / "killed", resume=True) == run(tmp_path / "whole")


SHARED = {"epochs": 2, "searcher.name": "random", "estimator.calibration": 1}
WAYS = {  # to an architecture on data
    "one-shot": SHARED,
    "darts": SHARED,
    "evolution": {"estimator.epochs": 2},
    "evolution by scores of untrained networks": {"method": "evolution", "estimator.name": "naswot", "estimator.finals": 2},
}


@pytest.mark.parametrize("way", [pytest.param(way, marks=() if way == "one-shot" else pytest.mark.slow) for way in WAYS])
def test_random_search_spends_what_the_search_did_to_within_a_step_and_changes_nothing(way: str, tmp_path: Path) -> None:
    def run(out: str, **more: Any) -> dict[str, Any]:
        given = {"method": way, "space": "nasbench201", "trials": 4, "supernet.channels": 4, "supernet.cells": 1, "estimator.count": True}
        given |= {"data.source": "digits", "data.limit": 64, "data.batch_size": 16, **WAYS[way]}
        return search_run(plan_search(settled(Search, None, [], {**given, **more})), tmp_path / out)

    alone, found = run("alone"), run("both", **{"baseline.name": "random", "baseline.trials": 3})
    budget = found["baseline"]["budget"]
    lines = [json.loads(line) for line in (tmp_path / "both" / "baseline" / "history.jsonl").read_text().splitlines()]
    assert sum(line["multiply_adds"] for line in lines) == budget["spent"]
    assert abs(budget["spent"] - budget["searched"]) < budget["spent"] / (3 * budget["steps"])
    assert found["multiply_adds"] == alone["multiply_adds"] == budget["searched"] and "baseline" in found["decided"]
    assert found["choices"] == alone["choices"] and found["validation"] == alone["validation"]
    files = [tmp_path / name / "weights.safetensors" for name in ("both", "alone")]
    assert files[0].exists() == files[1].exists() == (way != "evolution")
    assert not files[0].exists() or files[0].read_bytes() == files[1].read_bytes()


def test_equal_cost_on_text_counts_every_chunk_by_its_length() -> None:
    tokens = torch.randint(5, (240,), generator=torch.Generator().manual_seed(0))
    text = Text("made", "character", tuple("abcde"), tokens, tokens[:20], tokens[:20])
    task = LanguageModelling.of(text, batch=4, steps=12, evaluation_batch=4)
    assert {6, 12} < {*islice(task.sizes_ahead(), 200)}  # halves, full ones, and what a pass ends with

    def trained(steps: int) -> FromScratch:
        return FromScratch(lambda cell: recurrent.network(cell, tokens=5, hidden=4), task, steps=steps)

    space = recurrent.supernet(tokens=5, hidden=4, nodes=2).space
    drawn, passes = [space.sample(Random(seed)) for seed in range(2)], Passes()
    least = equal_budget(0, drawn, trained(1))
    budget = equal_budget(20 * least.spent, drawn, trained(1))
    with passes.counting():
        for i, architecture in enumerate(drawn):
            trained(budget.steps + (i < budget.longer))(architecture)
    assert least.steps == 1 and budget.steps > 20
    assert passes.total == pytest.approx(budget.spent, rel=0.001)  # no state before a chunk has a gradient, however short it is
    assert abs(budget.spent - budget.searched) < budget.spent / budget.steps
