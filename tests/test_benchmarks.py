"""What the benchmarks compare gives the same, so that their ratios mean something."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from supernet import Task
from supernet.spaces import cell
from supernet.strategies.darts import DARTS

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SIZES: dict[str, Any] = {"channels": 4, "cells": 3, "shape": (3, 8, 8)}


@pytest.fixture(autouse=True)
def _benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def batches() -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(torch.randn(4, 3, 8, 8), torch.randint(0, 10, (4,))) for _ in range(2)]


def ours(make: type[DARTS], order: int, data: Any) -> DARTS:
    """A strategy on a small supernet, drawn anew from the same seed."""
    torch.manual_seed(0)
    return make(cell.supernet(**SIZES), Task(data, data, loss=F.cross_entropy), order=order)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("order", [1, 2])
def test_a_step_of_the_textbook_is_one_of_ours(order: int) -> None:
    from textbook import Textbook

    data = batches()
    strategy, textbook = ours(DARTS, order, data), Textbook(order, channels=SIZES["channels"], cells=SIZES["cells"])
    with torch.no_grad():
        for mine, theirs in zip(strategy.supernet.parameters(), textbook.network.weights(), strict=True):
            theirs.copy_(mine)
        for kind, alphas in zip(("normal", "reduce"), textbook.network.alphas, strict=True):
            alphas.copy_(torch.stack([alpha for name, alpha in strategy.alphas.items() if name.startswith(kind)]))
    for batch in (data[0], data[0]):
        strategy.task.data = Task([batch], [data[1]], loss=F.cross_entropy).data
        strategy.step(strategy.task.data)
        textbook.step(batch, data[1])
    found = torch.stack(list(strategy.alphas.values()))
    assert torch.allclose(found, torch.cat(list(textbook.network.alphas)), rtol=1e-6, atol=1e-9)
    for mine, theirs in zip(strategy.supernet.parameters(), textbook.network.weights(), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-6, atol=1e-7)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("order", [1, 2])
def test_the_plain_step_is_one_of_ours(order: int) -> None:
    from step import Plain

    data = batches()
    plain, strategy = ours(Plain, order, data), ours(DARTS, order, data)
    for each in (plain, strategy):
        each.step(each.task.data)
    for a, b in zip(plain.alphas.values(), strategy.alphas.values(), strict=True):
        assert torch.allclose(a, b, atol=1e-10)
    for a, b in zip(plain.supernet.parameters(), strategy.supernet.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["darts", "retrain", "one-shot"])
def test_every_kind_of_step_is_measured(method: str) -> None:
    command = [sys.executable, str(BENCHMARKS / "step.py"), "--rounds", "1", "--batch-size", "2", "--threads", "1", "--only", method]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.count("\n") == 3 + {"darts": 4}.get(method, 2)
