"""Bounds that nothing meets are refused before training, with the least that is possible; bounds that were missed are said everywhere."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet import InputError, OneOf, Supernet, Task, search
from supernet.cli import main
from supernet.costs.limits import Limits
from supernet.costs.objective import Objective
from supernet.explore.loop import explore
from supernet.plan.compare import plan_compare
from supernet.plan.search import plan_search
from supernet.searchers import SEARCHERS, make_searcher
from supernet.searchers.assured import Assured
from supernet.settings.commands import Compare, Search
from supernet.settings.given import settled
from supernet.space import Architecture, Choice, SearchSpace
from supernet.strategies.weights import Weights
from supernet.workflow.comparing import compare_run
from supernet.workflow.searching import search_run


class Own(nn.Module):
    """At least 3 + 27 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.one = OneOf({"k1": nn.Conv2d(3, 3, 1, groups=3, bias=False), "k3": nn.Conv2d(3, 3, 3, padding=1, bias=False)})
        self.two = OneOf({"k3": nn.Conv2d(3, 3, 3, padding=1, groups=3, bias=False), "k5": nn.Conv2d(3, 3, 5, padding=2, bias=False)})

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.one(x)).mean((2, 3))


def task() -> Task:
    g = torch.Generator().manual_seed(0)
    batches = [(torch.randn(4, 3, 8, 8, generator=g), torch.randint(3, (4,), generator=g)) for _ in range(2)]
    return Task(batches, batches, loss=F.cross_entropy)


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever takes a step fails."""

    def step(self: Weights, *given: Any) -> None:
        raise AssertionError("it was trained")

    monkeypatch.setattr(Weights, "step", step)


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize("method", ["darts", "fbnet", "one-shot"])
def test_a_bound_that_nothing_meets_is_refused_in_python_with_the_least_that_is_possible(method: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^no network of this space meets params <= 29: the least that is possible is 30$"):
        search(Supernet(Own()), task(), method, epochs=1, limits={"params": 29}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(AssertionError, match="it was trained"):
        search(Supernet(Own()), task(), method, epochs=1, limits={"params": 30})


def given(method: str, **more: Any) -> Search:
    small = {"supernet.channels": 4, "supernet.cells": 1, "data.source": "digits", "data.limit": 60, "epochs": 1}
    return settled(Search, None, [], {"method": method, "space": "nasbench201", **small, **more})


def table(path: Path) -> str:
    """A table of two choices whose networks have 10, 20, 30 and 40 parameters."""
    ops, params = numpy.array([[0, 0], [0, 1], [1, 0], [1, 1]]), numpy.array([10, 20, 30, 40])
    numpy.savez(path, ops=ops, op_names=numpy.array(["a", "b"]), val=numpy.array([1.0, 2.0, 3.0, 4.0]), params=params, flops=100 - params)
    return str(path)


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize("method", ["darts", pytest.param("one-shot", marks=pytest.mark.slow), "random"])
def test_a_bound_that_nothing_meets_is_refused_by_every_kind_of_search_and_by_a_dry_run(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["search", method, "--space", "nasbench201", "--channels", 4, "--cells", 1, "--limit-data", 60, "--max-params", 50_000]
    for more in ([], ["--dry-run"]):
        monkeypatch.setattr("sys.argv", ["supernet", *map(str, words), "--out", str(tmp_path / "run"), *more])
        with pytest.raises(SystemExit, match="2"):
            main()
        said = r"error: no network of this space meets params <= 50,000: the least that is possible is 7\d,\d\d\d\n"
        assert re.search(said + "$", capsys.readouterr().err)
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("untrained")
def test_bounds_that_exclude_each_other_are_refused() -> None:
    class Opposed(nn.Module):
        """Few parameters at many multiply-adds, or the reverse."""

        def __init__(self) -> None:
            super().__init__()
            large = nn.Sequential(nn.Conv2d(3, 3, 8, stride=8, groups=3), nn.Upsample(scale_factor=8))
            self.one = OneOf({"large": large, "slow": nn.Conv2d(3, 3, 1)})

        def forward(self, x: Tensor) -> Tensor:
            return self.one(x).mean((2, 3))

    with pytest.raises(InputError, match=r"meets params <= 100 and macs <= 300 together"):
        search(Supernet(Opposed()), task(), "darts", epochs=1, limits={"params": 100, "macs": 300})


def test_limits_know_a_network_that_keeps_several_bounds_at_once() -> None:
    space = SearchSpace(Choice(str(i), (0, 1)) for i in range(8))
    up = {(n,): torch.tensor([1.0, 2.0], dtype=torch.float64) for n in space}
    down = {(n,): torch.tensor([2.0, 1.0], dtype=torch.float64) for n in space}
    found = Limits({"params": 12, "macs": 12}, {"params": up, "macs": down}, space).check()
    assert found is not None and sorted(found.values()) == [0] * 4 + [1] * 4


def test_bounds_on_a_benchmark_table_are_refused_where_no_row_meets_them(tmp_path: Path) -> None:
    from supernet.estimators.tabular import Table

    read = Table.read(table(tmp_path / "table.npz"))
    with pytest.raises(InputError, match=r"^no network of the table meets params <= 9: the least that is possible is params 10$"):
        read.check({"params": 9})
    with pytest.raises(InputError, match="params <= 10 and macs <= 80: the least that is possible is params 10, macs 60"):
        read.check({"params": 10, "macs": 80})
    assert read.costs(read.check({"params": 25, "macs": 85}) or {}) == {"params": 20, "macs": 80}


@pytest.mark.parametrize("name", SEARCHERS)
def test_a_searcher_that_finds_nothing_within_a_tight_bound_is_given_what_keeps_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("supernet.searchers.assured.AFTER", 100)
    space = SearchSpace(Choice(str(i), tuple(range(4))) for i in range(8))
    only: Architecture = dict.fromkeys(space, 3)

    def costs(architecture: Architecture) -> dict[str, float]:
        return {"size": float(sum(3 - int(t) for t in architecture.values()))}  # type: ignore[arg-type]

    objective = Objective(("score",), limits={"size": 0})
    searcher = Assured(make_searcher(name, space, 0, budget=3), only)
    tried = explore(space, searcher, lambda architecture: {"score": Random(0).random()}, 3, objective, costs=costs, patience=200)
    assert tried[0].architecture == only


def test_a_bound_that_was_missed_does_not_hold_in_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = search(Supernet(Own()), task(), "darts", epochs=1, limits={"params": 30})
    assert kept.holds and kept.limits == {"params": {"bound": 30, "holds": True}} and "missed" not in capsys.readouterr().err
    monkeypatch.setattr(Limits, "excess", lambda self, architecture: 0.0)  # as if the derivation looked at none
    dear = {"one": "k3", "two": "k5"}
    found = search(Supernet(Own()), task(), "darts", epochs=1, limits={"params": 31}, rule=lambda space, belief: dear, out=tmp_path / "run")
    stored = json.loads((tmp_path / "run" / "architecture.json").read_text())["limits"]
    assert found.costs["params"] > 31 and not found.holds and stored == found.limits == {"params": {"bound": 31, "holds": False}}
    assert f"the limit is missed: params {found.costs['params']:.0f} > 31" in capsys.readouterr().err


def test_a_latency_that_is_measured_above_its_bound_does_not_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = {"ms": 2.0, "over": 1.0, "holds": False, "bound": 1.0}
    monkeypatch.setattr("supernet.workflow.finishing.measured_latency", lambda *given: slow)
    monkeypatch.setattr("supernet.workflow.finishing.exported", lambda *given: None)
    monkeypatch.setattr("supernet.workflow.finishing.milliseconds_by_part", lambda *given: [])
    monkeypatch.setattr("supernet.plan.chosen.check_limits", lambda *given: None)
    plain = Limits.of

    def timed(supernet: Supernet, example: Any, bounds: Any, measured: Any = None, *more: float) -> Limits:
        return plain(supernet, example, bounds, {"latency": {(): torch.tensor(0.5, dtype=torch.float64)}}, *more)

    monkeypatch.setattr(Limits, "of", timed)
    found = search_run(plan_search(given("darts", **{"limits.latency": 1.0})), tmp_path / "run")
    assert found["latency"] == 0.5 and found["limits"] == {"latency": {"bound": 1.0, "holds": False}}
    assert json.loads((tmp_path / "run" / "architecture.json").read_text())["limits"] == found["limits"]


def test_a_comparison_on_a_table_keeps_its_bounds_and_refuses_those_that_no_row_meets(tmp_path: Path) -> None:
    ops = numpy.array([[i // 5**k % 5 for k in range(6)] for i in range(5**6)])
    names = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
    params = 10 + ops.sum(1) * 1000
    numpy.savez(
        tmp_path / "nb.npz", ops=ops, op_names=numpy.array(names), val=ops.sum(1) / 24, test=ops.sum(1) / 24, params=params, flops=params
    )
    flags = {"space": "nasbench201", "table.file": str(tmp_path / "nb.npz"), "limits.params": 9010}
    settings = settled(Compare, flags=flags)
    found = compare_run(plan_compare(settings, ["evolution"], "30evals", 2), tmp_path / "compared")
    lines = [json.loads(line) for line in (tmp_path / "compared" / "results.jsonl").read_text().splitlines()]
    assert all(entry["holds"] for entry in found["methods"].values())
    assert all(line["validation"] <= 9 / 24 + 1e-9 for line in lines)
    with pytest.raises(InputError, match=r"no network of the table meets params <= 0\.5: the least that is possible is params 10"):
        plan_compare(settled(Compare, flags={**flags, "limits.params": 0.5}), ["evolution"], "30evals", 1)


@pytest.mark.parametrize(("bound", "least", "used"), [(30, 0.9, 27), (1000, 0.9, 60), (30, 0.0, 0)])
def test_what_is_known_to_keep_a_bound_uses_as_much_of_it_as_is_asked_or_possible(bound: int, least: float, used: int) -> None:
    space = SearchSpace(Choice(str(i), (0, 1, 2, 3)) for i in range(10))
    limits = Limits({"params": bound}, {"params": {(name,): torch.tensor([0.0, 1.0, 3.0, 6.0]) for name in space}}, space, least=least)
    found = limits.check()
    assert found is not None and used <= limits.costs(found)["params"] <= bound
    objective = limits.on(Objective())
    assert objective.limits == {"params": bound} and objective.feasible(limits.costs(found))
    assert objective.least == pytest.approx(min(least, 60 / bound))


def test_what_uses_enough_of_a_bound_is_found_where_no_change_of_one_choice_leads_there() -> None:
    space = SearchSpace(Choice(name, (0, 1, 2)) for name in "ab")
    pairs = torch.tensor([[1.0, 20.0, 20.0], [20.0, 9.7, 20.0], [20.0, 20.0, 20.0]])  # 20 is beyond the bound
    limits = Limits({"params": 10}, {"params": {("a", "b"): pairs}}, space, least=0.95)
    assert limits.check() == {"a": 1, "b": 1} and limits.on(Objective()).least == pytest.approx(0.95)


def test_a_share_of_a_bound_is_a_share() -> None:
    with pytest.raises(InputError, match="a share, at least 0 and below 1; got 1"):
        Limits({}, {}, SearchSpace([]), least=1.0)
