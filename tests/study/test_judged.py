"""Searches on data, judged by a table of their space, beside random search of equal cost."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy
import pytest

from command_line import called, document
from supernet.costs.objective import Objective
from supernet.errors import InputError
from supernet.estimators.tabular import Table
from supernet.report.page import write_comparison
from supernet.spaces.fashion_bench import CHOICES
from supernet.study.judged import Judged
from supernet.summary import summary

SMALL = ("--data", "digits", "--limit-data", 96, "--batch-size", 32, "--threads", 1)
PLACE = {"skip_connect": 0, "avg_pool_3x3": 1, "conv_3x3": 2, "dil_conv_3x3": 3}


def arrays() -> dict[str, Any]:
    """All networks of fashion-bench; the later the options, the better, and the wider the dearer."""
    names = list(dict.fromkeys(str(option) for options in CHOICES.values() for option in options))
    ops = numpy.array(list(itertools.product(*([names.index(str(o)) for o in options] for options in CHOICES.values()))))
    scores = 70.0 + ops[:, :3].sum(1)
    columns = {"val": scores, "test": scores - 1, "params": ops[:, 3]}
    return {"choices": numpy.array(list(CHOICES)), "op_names": numpy.array(names), "ops": ops, **columns}


def trial(number: int, option: str, accuracy: float, cost: int) -> dict[str, Any]:
    architecture = {**dict.fromkeys(("1<0", "2<0", "2<1"), option), "width": "8", "depth": "1"}
    line = {"trial": number, "architecture": architecture, "scores": {"accuracy": accuracy}, "outcome": "scored", "multiply_adds": cost}
    return {**line, "measured": {"seconds": 1.0}}


def test_a_search_counts_by_the_table_and_its_best_so_far_by_what_it_had_cost() -> None:
    judged = Judged(Table(arrays()), {})
    assert judged.best == 78 and len(judged.tests) == 384
    history = [trial(1, "avg_pool_3x3", 0.5, 10), trial(2, "skip_connect", 0.4, 10), trial(3, "conv_3x3", 0.7, 30)]
    found = judged.line({"choices": history[2]["architecture"], "multiply_adds": 55}, history, Objective(("accuracy",)))
    assert found["trace"] == [[10, 73, 72], [50, 76, 75], [55, 76, 75]] and (found["validation"], found["test"]) == (76, 75)
    assert found["judge"] == {"regret": 3, "beats": pytest.approx(numpy.mean(judged.tests < 75)), "multiply_adds": 55}
    epochs = [{"epoch": 1, "judge": {"tau": 0.1, "spearman": 0.2, "samples": 50, "true": {}}}, {"epoch": 2}]
    trained = judged.line({"choices": history[1]["architecture"], "multiply_adds": 40}, epochs, None)
    assert trained["trace"] == [[40, 70, 69]] and trained["judge"]["tau"] == 0.1


def test_a_bound_that_the_judge_does_not_know_is_refused_and_others_leave_less_to_beat() -> None:
    with pytest.raises(InputError, match=r"the judge knows no latency, .* it knows: params"):
        Judged(Table(arrays()), {"latency": 3.0})
    assert len(Judged(Table(arrays()), {"params": float(arrays()["params"].min())}).tests) == 128


def result(test: float, cost: float, trace: list[list[float]]) -> dict[str, Any]:
    judge = {"regret": 80 - test, "beats": 0.5, "multiply_adds": cost}
    known = {"validation": test, "test": test, "judge": judge, "trace": trace}
    return {**known, "evaluations": 1, "measured": {"seconds": 1.0}}


def test_random_search_counts_by_what_it_had_found_at_the_cost_of_each_method(tmp_path: Path) -> None:
    curve = [[10.0, 70, 70], [40.0, 71, 71], [90.0, 75, 75]]
    lines = {"darts": [result(74, cost, [[cost, 74, 74]]) for cost in (5, 60, 100)], "random": [result(75, 90, curve) for _ in range(3)]}
    found = summary(lines)["methods"]
    assert found["darts"]["over_random"]["test"]["mean"] == pytest.approx((4 + 3 - 1) / 3)  # over 70, 71 and 75
    assert found["darts"]["judge"]["beyond_random"] == 1 and found["random"]["judge"]["beyond_random"] == 0
    assert found["darts"]["judge"]["multiply_adds"]["mean"] == 55
    document = {"methods": found, "space": "fashion-bench", "seeds": 3, "budget": "5epochs", "judge": {"best": 80, "networks": 384}}
    rows = [{"method": name, "seed": seed, **line} for name, own in lines.items() for seed, line in enumerate(own)]
    (tmp_path / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_comparison(document, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "By the judge" in page and "Random search ended at less cost than darts" in page and "multiply-adds" in page
    assert "random search with the same seed when it had cost as much" in page


def test_what_a_judge_would_take_no_notice_of_is_refused(tmp_path: Path) -> None:
    numpy.savez(tmp_path / "t.npz", **arrays())
    words = ("compare", "gdas", "--space", "fashion-bench", *SMALL, "--budget", "1epochs", "--judge", tmp_path / "t.npz", "--dry-run")
    for more, message in (
        (("--set", "final.epochs=3"), "what was found is looked up in the table of --judge, and not trained"),
        (("--max-macs", "1e6"), "the judge knows no macs"),
    ):
        code, _, said = called(*words, *more)
        assert code == 2 and message in said.splitlines()[-1]
    both = ("--table", tmp_path / "t.npz", "--judge", tmp_path / "t.npz")
    code, _, said = called("compare", "random", *both, "--budget", "3evals", "--dry-run")
    assert code == 2 and "on a table results are looked up there" in said


@pytest.mark.slow  # processes that load PyTorch
def test_methods_on_data_are_judged_and_random_search_stands_beside_at_equal_cost(tmp_path: Path) -> None:
    numpy.savez(tmp_path / "t.npz", **arrays())
    words = ("compare", "gdas,one-shot", "--space", "fashion-bench", *SMALL, "--budget", "2epochs", "--seeds", 1, "--out", tmp_path / "c")
    found = document(*words, "--judge", tmp_path / "t.npz", "--set", "judge.samples=6", "--set", "trials=3")
    assert found["judge"] == {"best": 78.0, "networks": 384} and found["methods"].keys() == {"gdas", "one-shot", "random"}
    for line in map(json.loads, (tmp_path / "c" / "results.jsonl").read_text().splitlines()):
        assert line["judge"]["multiply_adds"] > 0 and line["trace"][-1][2] == line["test"]
        assert ("tau" in line["judge"]) == (line["method"] != "random")
        assert not list((tmp_path / "c" / f"{line['method']}-0").glob("final"))
