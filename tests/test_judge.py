"""A benchmark table as the judge of a search, epoch by epoch."""

from __future__ import annotations

import itertools
import json
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from command_line import called
from supernet import InputError, OneOf, Supernet, Task, search
from supernet.estimators.tabular import Table
from supernet.space import Choice, SearchSpace
from supernet.spaces import nasbench201, nasbench_macro
from supernet.strategies.darts import DARTS
from supernet.watch.judge import Judge

SMALL = ("--limit-data", 96, "--channels", 2, "--batch-size", 32, "--threads", 1, "--set", "data.validation=0.5")


class Shift(nn.Module):
    """Adds what the right answer needs, or its contrary."""

    def __init__(self, by: float):
        super().__init__()
        self.by = by

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.by * torch.tensor([1.0, 0.0, 0.0])


BY = {"worst": -0.4, "bad": -0.1, "good": 0.1, "best": 0.4}


def network() -> Supernet:
    """Better options raise the logit of the class that is right."""
    shifts = [OneOf({name: Shift(by) for name, by in BY.items()}, name=str(i)) for i in range(3)]
    linear = nn.Linear(3, 3)
    nn.init.eye_(linear.weight)
    return Supernet(nn.Sequential(*shifts, linear))


def task(seed: int = 0) -> Task:
    torch.manual_seed(seed)
    data = [(torch.randn(64, 3), torch.zeros(64, dtype=torch.long)) for _ in range(6)]
    return Task(data, data, loss=F.cross_entropy)


def scores(sign: int = 1) -> Table:
    """The table knows that better options are better (or, with -1, the contrary)."""
    ops = numpy.array(list(itertools.product(range(4), repeat=3)))
    value = 50 + sign * ops.sum(1)
    return Table({"ops": ops, "op_names": numpy.array(list(BY)), "val": value, "test": value + 0.5}, space=network().space)


def test_tau_is_high_where_shared_weights_rank_as_the_table_and_low_where_they_do_not() -> None:
    net, data = network(), task()
    judged = Judge(scores(), net.space, samples=30).score(net, data)
    assert judged["tau"] > 0.7
    assert Judge(scores(-1), net.space, samples=30).score(net, data)["tau"] == pytest.approx(-judged["tau"])
    assert judged["random"]["test"] == judged["random"]["validation"] + 0.5


def test_without_an_opinion_the_sample_ranked_first_is_judged_and_with_one_its_own_architecture() -> None:
    net, data = network(), task()
    judge = Judge(scores(), net.space, samples=64)
    first = judge.score(net, data)
    assert first["true"]["validation"] >= 57 and set(first["architecture"].values()) <= {"best", "good"}
    strategy = DARTS(net, data)
    for alpha in strategy.alphas.values():
        alpha.data.copy_(torch.tensor([0.0, 9.0, 0.0, 0.0]))
    own = judge.score(net, data, strategy.architecture())
    assert own["true"] == {"validation": 53.0, "test": 53.5} and own["tau"] > 0.7
    assert own["tau"] != first["tau"], "by the accuracy and by the loss"


def test_a_judge_without_samples_only_looks_up() -> None:
    net, data = network(), task()
    data.evaluate = mock.Mock(side_effect=AssertionError)  # type: ignore[method-assign]
    assert set(Judge(scores(), net.space, samples=0).score(net, data, DARTS(net, data).architecture())) == {"true"}


def test_a_ranking_that_ranks_nothing_has_no_tau() -> None:
    net = network()
    flat = Table({"ops": scores()._arrays["ops"], "op_names": numpy.array(list(BY)), "val": numpy.ones(64)}, space=net.space)
    assert Judge(flat, net.space, samples=10).score(net, task())["tau"] is None


def test_the_same_architectures_are_ranked_every_time_and_all_of_a_small_space() -> None:
    net = network()
    assert Judge(scores(), net.space, samples=9, seed=3).samples == Judge(scores(), net.space, samples=9, seed=3).samples
    keys = {net.space.key(arch) for arch in Judge(scores(), net.space, samples=500).samples}
    assert len(keys) == 64


def judged(judge: Judge, strategy: Any, line: dict[str, Any]) -> dict[str, Any]:
    return {"judge": judge.score(strategy.supernet, strategy.task, strategy.architecture() if strategy.decides else None)}


def test_a_judged_search_is_the_same_search() -> None:
    states = []
    for samples in (None, 8):
        torch.manual_seed(0)
        net, data = network(), task()
        judge = None if samples is None else Judge(scores(), net.space, samples=samples)
        watch = judge and partial(judged, judge)
        found = search(net, data, "one-shot", epochs=2, trials=4, searcher="random", watch=watch)
        assert ("judge" in found.history[0]) == (samples is not None)
        states.append((found.architecture, net.state_dict()))
    (a, before), (b, after) = states
    assert a == b and all(torch.equal(before[n], after[n]) for n in before)


def test_a_table_of_another_space_is_refused() -> None:
    other = SearchSpace([Choice("a", ("x", "y"))])
    with pytest.raises(InputError, match="another search space"):
        Judge(scores(), other)


def table(folder: Path, space: Any, names: tuple[str, ...], choices: int) -> Path:
    ops = numpy.array(list(itertools.product(range(len(names)), repeat=choices)), dtype=numpy.uint8)
    columns = {"val": 50 + ops.sum(1).astype("float32"), "test": 40 + ops.sum(1).astype("float32")}
    numpy.savez(folder / "t.npz", ops=ops, op_names=numpy.array(names), choices=numpy.array(list(space)), **columns)
    return folder / "t.npz"


@pytest.mark.parametrize(
    ("method", "name"),
    [("darts", "nasbench201"), pytest.param("gdas", "nasbench201", marks=pytest.mark.slow), ("one-shot", "nasbench-macro")],
)
def test_judging_is_one_flag_and_drawn_in_the_report(tmp_path: Path, method: str, name: str) -> None:
    module = nasbench201 if name == "nasbench201" else nasbench_macro
    with torch.device("meta"):
        space = module.supernet().space
    path = table(tmp_path, space, module.OPERATIONS, len(space))
    cells = ("--cells", 1) if name == "nasbench201" else ("--trials", 2)
    few = ("--set", "judge.samples=4", "--set", "judge.batches=1", "--set", "judge.every=5")
    run = ("search", method, "--space", name, *SMALL, *cells, "--judge", path, *few, "--epochs", 3, "--out", tmp_path / "r")
    code, _, err = called(*run)
    assert code == 0, err
    lines = [json.loads(line) for line in (tmp_path / "r" / "history.jsonl").read_text().splitlines()]
    judged = [line["judge"] for line in lines if "epoch" in line and "judge" in line]
    assert [line["epoch"] for line in lines if "judge" in line] == [1, 3], "the first and the last"
    assert all(j["true"]["validation"] == j["true"]["test"] + 10 and "tau" in j for j in judged)
    if method != "one-shot":
        operations = [module.OPERATIONS.index(o) for o in lines[2]["architecture"].values()]
        assert judged[1]["true"]["validation"] == 50 + sum(operations)
    html = (tmp_path / "r" / "report.html").read_text()
    assert "Judged by the benchmark table" in html and "True validation score" in html


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("darts", "--space", "darts"), "choices"),
        (("random", "--space", "nasbench-macro"), "to search on a table give --table"),
        (("darts", "--space", "nasbench-macro", "--set", "judge.dataset=x"), "no 'datasets'"),
        (("darts", "--space", "nasbench-macro", "--set", "judge.samples=1"), "2 or more samples"),
        (("darts", "--space", "nasbench-macro", "--set", "judge.every=0"), "judge.every"),
        (("one-shot", "--space", "nasbench-macro", "--set", "judge.samples=0"), "above 0"),
        (("darts", "--space", "nasbench-macro", "--set", "judge.sample=5"), "did you mean 'judge.samples'"),
        (("darts", "--space", "nasbench-macro", "--set", "alarm.every=-1"), "at least 0"),
        (("darts", "--space", "nasbench-macro", "--judge", "nothing.npz"), "there is no table nothing.npz"),
    ],
)
def test_a_judge_that_cannot_work_is_refused_before_any_work(tmp_path: Path, arguments: tuple[object, ...], message: str) -> None:
    with torch.device("meta"):
        path = table(tmp_path, nasbench_macro.supernet().space, nasbench_macro.OPERATIONS, 8)
    code, out, err = called("search", "--judge", path, *arguments, "--out", tmp_path / "r")
    assert code == 2 and out == "" and message in err and err.count("\n") == 1
    assert not (tmp_path / "r").exists()
