"""What the benchmarks compare gives the same, so that their ratios mean something."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch.nn import functional as F

from supernet import InputError, Task
from supernet.spaces import cell
from supernet.spaces.fashion_bench import FASHION_BENCH
from supernet.strategies import STRATEGIES
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
@pytest.mark.parametrize("order", [1, pytest.param(2, marks=pytest.mark.slow)])
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
@pytest.mark.parametrize("order", [1, pytest.param(2, marks=pytest.mark.slow)])
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


DEVICE = ("--device", "cpu", "--rounds", "1", "--batch-size", "2", "--no-demo")
TINY = json.dumps({"channels": 4, "cells": 3, "nodes": 1, "shape": [3, 8, 8]})


@pytest.fixture
def on_a_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Runs benchmarks/device.py here with arguments; its exit code, the lines that it printed and what it wrote."""
    import device

    def call(*given: str) -> tuple[int, list[str], Any]:
        monkeypatch.setattr(sys, "argv", ["device.py", *DEVICE, "--sizes", TINY, "--out", str(tmp_path / "out.json"), *given])
        code = device.main()
        return code, capsys.readouterr().out.splitlines(), json.loads((tmp_path / "out.json").read_text())

    return call


def test_every_method_that_is_named_has_a_row_and_does_what_it_does_on_the_cpu(on_a_device: Callable[..., Any]) -> None:
    code, lines, written = on_a_device("--methods", "gdas,one-shot", "--columns", "step,correct")
    assert code == 0 and [line.split(" | ")[0] for line in lines[2:]] == ["| method", "|---|---|---|", "| gdas", "| one-shot"]
    for row in written["measured"].values():
        assert row["step"]["seconds"] > 0 and row["correct"]["difference"] <= 1e-8


def test_methods_that_fail_or_err_are_told_of(on_a_device: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from supernet.strategies.gdas import GDAS
    from supernet.strategies.one_shot import OneShot

    def fails(*_: Any) -> None:
        raise RuntimeError("there is no such kernel\nat all")

    def errs(strategy: OneShot, data: Any) -> dict[str, torch.Tensor]:
        measured = step(strategy, data)
        with torch.no_grad():
            next(strategy.supernet.parameters()).add_(next(numbers))
        return measured

    step, numbers = OneShot.step, count(1)
    monkeypatch.setattr(GDAS, "step", fails)
    monkeypatch.setattr(OneShot, "step", errs)
    code, lines, written = on_a_device("--methods", "gdas,one-shot", "--columns", "step,correct")
    assert code == 1 and "| gdas | error | error |" in lines and "gdas, step: RuntimeError: there is no such kernel" in lines
    assert "seconds" in written["measured"]["one-shot"]["step"]
    assert written["measured"]["one-shot"]["correct"]["error"].startswith("ArithmeticError: differs from the CPU by")


def test_what_there_is_no_time_for_is_said_so(on_a_device: Callable[..., Any]) -> None:
    assert on_a_device("--methods", "gdas", "--columns", "step", "--minutes", "-1")[1][-1] == "| gdas | no time |"


def test_what_is_drawn_on_a_device_does_not_depend_on_how_tensors_lie_there() -> None:
    from device import DrawnAlike

    x, found = torch.ones(2, 8, 3, 3), []
    for lies in (x, x.to(memory_format=torch.channels_last)):
        torch.manual_seed(0)
        with DrawnAlike():
            found.append(torch.stack([F.dropout(lies, 0.5), torch.randn_like(lies), lies.clone().bernoulli_(0.5)]))
    assert torch.equal(*found) and found[0][0].count_nonzero() < x.numel()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["darts", "retrain", "one-shot"])
def test_every_kind_of_step_is_measured(method: str) -> None:
    command = [sys.executable, str(BENCHMARKS / "step.py"), "--rounds", "1", "--batch-size", "2", "--threads", "1", "--only", method]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.count("\n") == 3 + {"darts": 4}.get(method, 2)


def test_the_study_leaves_out_no_method_that_its_space_takes() -> None:  # searchers look all up in its table
    compared = yaml.safe_load((BENCHMARKS / "worth" / "fashion-bench.yaml").read_text())["methods"]
    left_out = [name for name in STRATEGIES if name not in compared]
    batch = [(torch.zeros(2, 1, 28, 28), torch.tensor([0, 1]))]
    for name in left_out:
        with pytest.raises(InputError):
            STRATEGIES[name].load("fashion-bench")(FASHION_BENCH.supernet(), Task(batch, batch, loss=F.cross_entropy))
    assert left_out == ["p-darts", "single-path", "smash"]


@pytest.mark.parametrize("judge", ["nasbench201", "nasbench-macro"])
def test_the_other_judges_compare_with_random_search_too(judge: str) -> None:
    settings = yaml.safe_load((BENCHMARKS / "worth" / f"{judge}.yaml").read_text())
    assert settings["space"] == judge and {"random", "auto"} < settings["methods"].keys() and len(settings["methods"]) >= 6
