"""Searchers on a benchmark table, held against the best that it has."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from random import Random
from typing import Any

import numpy
import pytest

from command_line import called, document
from supernet.costs.objective import Objective, hypervolume, pareto_front
from supernet.estimators.tabular import Table
from supernet.run import Run
from supernet.searchers import SEARCHERS, make_searcher
from supernet.searchers.assured import Assured
from supernet.study.on_table import Study
from supernet.study.truth import Truth, undominated
from supernet.ways.on_table import OnTable

GOALS = Objective(("validation",), ("latency",))


def arrays() -> dict[str, Any]:
    """256 networks of four widths; the wider the slower, and the better but for noise."""
    ops = numpy.array(list(itertools.product(range(1, 5), repeat=4)))
    noise = numpy.random.default_rng(0).normal(0, 1, (3, len(ops)))
    scores = {"val": ops.sum(1) + noise[0], "test": ops.sum(1) + noise[1], "params": ops.sum(1)}
    return {"ops": ops, "base_channels": numpy.array([8, 8, 16, 16]), **scores, "latency_ms": 5 + ops.prod(1) + noise[2]}


def study(*at: int, objective: Objective | None = None) -> Study:
    return Study(Table(arrays()), at, objective or Objective(("validation",)))


def test_the_truth_is_the_best_of_what_keeps_the_bounds_and_its_front() -> None:
    table, columns = Table(arrays()), arrays()
    truth = Truth.of(table, Objective(("validation",), ("latency",), {"params": 9}))
    kept = columns["params"] <= 9
    assert truth.best == {"validation": columns["val"][kept].max(), "test": columns["test"][kept].max()}
    points = list(zip(columns["val"][kept], -columns["latency_ms"][kept], strict=True))
    front = [points[i] for i in pareto_front(points)]
    assert sorted(map(tuple, truth.front)) == sorted(front)
    worst, best = numpy.min(front, 0), numpy.max(front, 0)
    assert truth.reference == pytest.approx(worst - 0.1 * (best - worst))
    assert truth.volume == pytest.approx(hypervolume(front, truth.reference)) and truth.share(points) == pytest.approx(1)


def test_what_no_other_beats_is_left_of_points_in_three_goals() -> None:
    points = numpy.random.default_rng(1).integers(0, 5, (200, 3)).astype(float)
    expected = {tuple(points[i]) for i in pareto_front(points.tolist())}
    found = undominated(points).tolist()
    assert {tuple(point) for point in found} == expected and len(found) == len(expected)


@pytest.mark.parametrize("name", ["evolution", "random", "nsga2"])
def test_results_at_several_numbers_are_those_of_searches_of_that_length(name: str) -> None:
    whole = study(10, 40, objective=GOALS).run(name, 3)
    for at in (10, 40):
        alone = study(at, objective=GOALS).run(name, 3)
        assert whole["at"][str(at)] == alone["at"][str(at)] and alone["validation"] == alone["at"][str(at)]["validation"]
    assert whole["at"]["40"]["validation_regret"] == pytest.approx(max(arrays()["val"]) - whole["validation"])


def test_a_search_of_the_whole_table_leaves_nothing_to_be_found() -> None:
    found = study(20, 256, objective=GOALS).run("grid", 0)
    assert found["at"]["256"]["validation_regret"] == 0 and found["at"]["256"]["hypervolume"] == pytest.approx(1)
    assert found["at"]["20"]["hypervolume"] < 1 and found["measured"]["searcher_seconds"] > 0
    for line in ("curve", "front"):
        values = [entry[1] for entry in found[line]]
        assert values == sorted(set(values)) and len(values) < 60  # improvements alone


def saved(folder: Path, **changes: Any) -> Path:
    numpy.savez(folder / "widths.npz", **(arrays() | changes))
    return folder / "widths.npz"


def test_one_command_compares_every_searcher_that_fits_a_table_of_its_own_space(tmp_path: Path) -> None:
    words = ("compare", "all", "--table", saved(tmp_path), "--budget", "12evals", "--at", "4,8", "--seeds", 3)
    planned = document(*words, "--dry-run")
    assert {*planned["left_out"], *planned["methods"]} == {*SEARCHERS} and {"grid", "nsga2", "tpe"} < planned["methods"].keys()
    assert {"successive-halving", "hyperband"} <= planned["left_out"].keys()
    assert all("table has no cheaper answer" in why for why in planned["left_out"].values())
    found = document("compare", "grid,local", *words[2:], "--objective", "validation,latency", "--out", tmp_path / "c")
    assert found["space"] == "widths" and found["at"] == [4, 8, 12] and found["best"]["validation"] == max(arrays()["val"])
    assert found["front"]["goals"] == {"maximise": ["validation"], "minimise": ["latency"]} and found["front"]["size"] > 5
    entry = found["methods"]["local"]["at"]["8"]
    assert {"validation", "test", "validation_regret", "test_regret", "hypervolume", "over_random", "beats_random"} == entry.keys()
    assert entry["hypervolume"]["low"] < entry["hypervolume"]["mean"] < entry["hypervolume"]["high"]
    assert 0 <= entry["beats_random"]["test"] <= 1
    assert found["methods"]["grid"]["at"]["12"]["validation"]["mean"] == found["methods"]["grid"]["validation"]["mean"]
    lines = (tmp_path / "c" / "results.jsonl").read_text().splitlines()
    (tmp_path / "c" / "results.jsonl").write_text("\n".join(lines[:4]) + "\n")
    again = document("compare", "grid,local", *words[2:], "--objective", "validation,latency", "--out", tmp_path / "c")
    for one in (found, again):
        for method in one["methods"].values():
            method.pop("measured")
    assert again == found


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--at", "13"), "at must be within the budget of 12 estimates; got 13"),
        (("--at", "some"), "expected whole numbers with commas, for example 50,150,300; got 'some'"),
        (("--objective", "validation,energy"), "goal on this table 'energy'; known: params, latency"),
        (("--set", "limits.storage=1"), "bound on this table 'storage'; known: params, latency"),
        (("--max-latency", "1ms"), "no network of the table meets latency <= 1"),
        (("--latency-table", "pixel.json"), "--latency-table would have no effect: on a table latencies are its own"),
        (("--set", "supernet.channels=4"), "without --space the choices are the table's own"),
    ],
)
def test_what_a_table_does_not_know_is_refused(tmp_path: Path, more: tuple[str, ...], message: str) -> None:
    code, _, said = called("compare", "random", "--table", saved(tmp_path), "--budget", "12evals", *more, "--dry-run")
    assert code == 2 and message in said and said.count("\n") == 1


def test_what_is_looked_at_on_tables_is_refused_on_data() -> None:
    words = ("--space", "nasbench201", "--data", "digits", "--budget", "3evals", "--dry-run")
    for what, message in (
        (("random", "--at", "3"), "--at would have no effect"),
        (("random", "--objective", "validation,macs"), "unknown goal 'validation'"),
        (("all",), "all stands for the searchers that fit a table"),
    ):
        code, _, said = called("compare", *what, *words)
        assert code == 2 and message in said


def test_a_searcher_is_compared_with_itself_with_other_settings_under_a_name_of_its_own(tmp_path: Path) -> None:
    words = ("--table", saved(tmp_path), "--budget", "60evals", "--seeds", 3)
    own = ("--set", "methods.young.method=evolution", "--set", "methods.young.searcher.population=4")
    found = document("compare", "evolution,young", *words, *own, "--set", "methods.young.searcher.tournament=2")["methods"]
    assert found.keys() == {"evolution", "young", "random"} and found["young"]["validation"] != found["evolution"]["validation"]
    alike = document("compare", "again,evolution", *words, "--set", "methods.again.method=evolution")["methods"]
    assert alike["again"]["validation"] == alike["evolution"]["validation"] == found["evolution"]["validation"]
    for more, message in (
        ("methods.young.method=evolve", "unknown method of methods.young 'evolve'"),
        ("methods.random.method=evolution", "random is a method itself; give evolution with other settings a name of its own"),
        ("methods.a/b.method=evolution", "of small letters, digits, - and _, such as evolution-2; got 'a/b'"),
    ):
        code, _, said = called("compare", more.split(".")[1], *words, "--set", more, "--dry-run")
        assert code == 2 and message in said and said.count("\n") == 1


def test_a_model_that_ranks_nothing_is_told_of_by_every_seed_and_in_the_report(tmp_path: Path) -> None:
    noise = numpy.random.default_rng(0).normal(0, 1, (2, 256))
    table = Table({**arrays(), "val": noise[0], "test": noise[1]})
    searcher = Assured(make_searcher("surrogate", table.space()), table.space().sample(Random(0)))
    with Run(tmp_path / "run", {}) as run:
        own = OnTable(table.space(), table, searcher, Objective(("validation",)), 50).find(run).decided["model"]
    assert own["decided"] is False and own["judged"] >= 30 and own["agreement"] < 0.2
    assert f"{own['doubted']} of {own['judged']} times it was not followed" in own["says"]
    words = ("--table", saved(tmp_path, val=noise[0], test=noise[1]), "--budget", "50evals", "--out", tmp_path / "c")
    entries = document("compare", "surrogate,local", *words)["methods"]
    assert entries["surrogate"]["model"]["doubted"] > 0.5 and "model" not in entries["local"]
    assert "Models of searchers" in (tmp_path / "c" / "report.html").read_text()


@pytest.mark.slow  # processes that load PyTorch
def test_several_processes_find_what_one_does(tmp_path: Path) -> None:
    found = []
    for workers in (1, 2):
        out = tmp_path / str(workers)
        document("compare", "evolution,surrogate", "--table", saved(tmp_path), "--budget", "30evals", "--workers", workers, "--out", out)
        lines = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
        found.append([{k: v for k, v in line.items() if k not in ("measured",)} for line in lines])
    assert found[0] == found[1]
