"""What a trained run is asked: how well it ranks, networks for bounds, retraining from its weights; and searches for several goals."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from unittest import mock

import numpy
import pytest
import torch
import yaml

from command_line import called, document
from supernet import load
from supernet.costs.objective import covered
from supernet.plan.search import plan_search
from supernet.settings.commands import Search
from supernet.settings.given import settled
from supernet.settings.sections import Scoring

DATA = ("--data", "digits", "--limit-data", 160, "--batch-size", 40, "--threads", 1)
SMALL = ("--space", "mobile-small", "--set", "supernet.width=0.125", *DATA)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search that trained a supernet of mobile-small."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    document("search", "one-shot", *SMALL, "--epochs", 1, "--trials", 3, "--set", "estimator.calibration=2", "--out", folder)
    return folder


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search that trained a supernet of cells."""
    folder = tmp_path_factory.mktemp("cells") / "run"
    size = ("--channels", 2, "--set", "supernet.cells=1", "--set", "estimator.calibration=1")
    document("search", "one-shot", "--space", "nasbench201", *DATA, *size, "--epochs", 1, "--trials", 1, "--out", folder)
    return folder


def test_the_weights_of_a_search_score_what_the_search_says(trained: Path) -> None:
    said = json.loads((trained / "architecture.json").read_text())["scores"]
    scored = document("evaluate", trained, "--split", "validation")
    assert (scored["accuracy"], scored["loss"]) == pytest.approx((said["validation_accuracy"], said["validation_loss"]), rel=1e-5)


def test_networks_for_several_bounds_have_weights_that_score_what_is_said(trained: Path, tmp_path: Path) -> None:
    asked = ("specialise", trained, "--max-macs", 45000, "--max-macs", 70000, "--max-params", 30000, "--trials", 6, "--out", tmp_path / "n")
    with mock.patch("supernet.workflow.specialising.export_run", return_value={"onnx": {"path": "model.onnx"}}):
        found = document(*asked)
    assert [entry["bound"] for entry in found] == [{"macs": macs, "params": 30000.0} for macs in (45000.0, 70000.0)]
    for entry in found:
        assert entry["holds"] and entry["macs"] <= entry["bound"]["macs"] and entry["params"] <= 30000
        assert entry["exported"] == "model.onnx" and {"random", "bounds"} <= entry["decided"].keys()
    assert document("evaluate", found[0]["out"], "--split", "validation")["accuracy"] == pytest.approx(found[0]["validation"])
    assert found[0]["validation"] <= found[1]["validation"]
    assert json.loads((tmp_path / "n" / "specialised.json").read_text()) == found and (tmp_path / "n" / "report.html").exists()


@pytest.mark.slow
def test_a_network_for_a_latency_is_measured_and_has_a_file_that_gives_what_it_gives(trained: Path, tmp_path: Path) -> None:
    sizes = ("--set", "network.width=0.125", "--input", "1x8x8", "--set", "networks=3")
    document("profile", "--space", "mobile-small", *sizes, "--out", tmp_path / "here.json")
    asked = ("--latency-table", tmp_path / "here.json", "--max-latency", "1s", "--trials", 4)
    (found,) = document("specialise", trained, *asked, "--out", tmp_path / "n")
    assert found["latency_ms"] <= 1000 and found["measured"]["latency"]["holds"] and Path(found["out"]).name == "here-latency-1000"
    assert sum(p.numel() for p in load(found["out"]).parameters()) == found["params"] and Path(found["exported"]).exists()


def test_bounds_and_runs_that_do_not_do_are_one_line(trained: Path, tmp_path: Path) -> None:
    refused = ("specialise", trained, "--out", tmp_path / "n")
    for arguments, said in (
        (("--max-macs", 3), "no network of this space meets macs <= 3"),
        (("--max-latency", "8ms"), "a bound on latency needs latencies"),
        (("--max-latency", "soon"), "a latency is a number with a unit"),
        (("--max-macs", 70000, "--searcher", "evolutoin"), "did you mean 'evolution'"),
        (("--max-macs", 70000, "--latency-table", tmp_path / "no.json"), "no.json"),
        (("--max-macs", 70000, "--searcher", "evolution", "--set", "searcher.populaton=4"), "did you mean 'population'"),
        (("--max-macs", 70000, "--searcher", "evolution", "--set", "searcher.population=0"), "population"),
        (("--max-macs", 70000, "--set", "strategy.lr=4"), "unknown setting"),
    ):
        code, _, error = called(*refused, *arguments)
        assert code == 2 and said in error and error.count("error:") == 1, error
    assert not (tmp_path / "n").exists()
    code, _, error = called("rank", trained)
    assert code == 2 and "--table FILE or with --runs DIR" in error
    alone = ("search", "random", *SMALL, "--trials", 1, "--set", "estimator.epochs=1", "--out", tmp_path / "alone")
    assert called(*alone)[0] == 0
    code, _, error = called("rank", tmp_path / "alone", "--runs", tmp_path)
    assert code == 2 and "a search by random, which trains no supernet" in error
    unfinished = shutil.copytree(trained, tmp_path / "unfinished")
    state = torch.load(unfinished / "checkpoint.pt", weights_only=True)
    torch.save({**state, "finished": False}, unfinished / "checkpoint.pt")
    code, _, error = called("rank", unfinished, "--runs", tmp_path)
    assert code == 2 and "is not finished: go on with --resume" in error


def test_dry_runs_print_every_setting_and_leave_nothing(trained: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}
    how, asker = ("--set", "estimator.examples=50", "--dry-run"), ("--searcher", "evolution", "--set", "searcher.population=4")
    found = document("specialise", trained, "--max-macs", 45000, *asker, *how, "--out", tmp_path / "n")
    settings = found["settings"]
    assert settings["searcher"]["name"] == "evolution" and settings["searcher"]["population"] == 4 and "tournament" in settings["searcher"]
    assert settings["estimator"] == {"calibration": 2, "examples": 50} and settings["trials"] == 200
    assert found["networks"] == [{"bound": {"macs": 45000.0}, "name": "macs-45000"}]
    alone = tmp_path / "runs" / "alone"
    alone.mkdir(parents=True)
    (alone / "config.yaml").write_text("command: search\nspace: mobile-small\nmethod: random\n")
    choices = json.loads((trained / "architecture.json").read_text())["choices"]
    line = {"trial": 1, "architecture": choices, "outcome": "scored", "scores": {"accuracy": 0.5}}
    (alone / "history.jsonl").write_text(json.dumps(line) + "\n")
    ranked = document("rank", trained, "--runs", alone, *how)
    assert ranked["settings"] == {"command": "rank", "samples": 200, "seed": 0, "estimator": {"calibration": 2, "examples": 50}}
    assert ranked["against"] == "validation accuracy of training on its own"
    assert not (tmp_path / "n").exists() and before == {path: path.stat().st_mtime_ns for path in trained.rglob("*")}


def test_the_supernet_of_a_method_that_decides_scores_as_it_is_told() -> None:
    small = {"data.source": "digits", "data.limit": 60, "data.batch_size": 16, "supernet.channels": 2, "supernet.cells": 1}
    plan = plan_search(settled(Search, flags={"method": "darts", "space": "nasbench201", "threads": 1, **small}))
    told = plan.scored_as(Scoring(examples=5))
    assert (told.over_supernet.examples, told.over_supernet.calibration) == (5, 20) and told.config["estimator"]["examples"] == 5
    assert plan.scored_as(Scoring()) == plan


def test_rank_reads_retrainings_and_searches_that_train(trained: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    assert called("search", "random", *SMALL, "--trials", 4, "--set", "estimator.epochs=1", "--out", runs / "random")[0] == 0
    found = document("rank", trained, "--runs", runs)
    assert found["samples"] == 4 and found["against"] == "validation accuracy of training on its own" and found["metric"] == "accuracy"
    assert set(found) >= {"kendall", "spearman", "interval", "regret", "by_examples", "enough"} and set(found["regret"]) == {"1", "5", "10"}
    stored = json.loads((trained / "ranking.json").read_text())
    tried = [json.loads(line) for line in (runs / "random" / "history.jsonl").read_text().splitlines()]
    assert sorted(point["known"] for point in stored["points"]) == sorted(line["scores"]["accuracy"] for line in tried)
    assert "<h2>Ranking</h2>" in (trained / "report.html").read_text()
    short = ("--epochs", 1, "--data", "digits", "--limit-data", 160, "--threads", 1)
    assert called("retrain", runs / "random", *short, "--out", runs / "retrained")[0] == 0
    mixed = document("rank", trained, "--runs", runs)  # it has a test score alone, and counts for nothing where most have others
    assert mixed["samples"] == 4 and mixed["against"] == found["against"]
    code, _, error = called("rank", trained, "--runs", tmp_path / "none")
    assert code == 2 and "there is no folder" in error


def test_rank_reads_a_table_and_scores_nothing_twice(cells: Path, tmp_path: Path) -> None:
    ops = numpy.stack(numpy.unravel_index(numpy.arange(5**6), (5,) * 6), 1)
    names = numpy.array(["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"])
    numpy.savez(tmp_path / "t.npz", ops=ops, op_names=names, val=(ops == 3).sum(1) + ops[:, 0] / 10, test=ops.sum(1) + 0.0)
    found = document("rank", cells, "--table", tmp_path / "t.npz", "--samples", 12, "--seed", 5)
    assert found["samples"] == 12 and found["against"] == "val of t.npz"
    other = document("rank", cells, "--table", tmp_path / "t.npz", "--samples", 12, "--seed", 5, "--column", "test")
    assert other["against"] == "test of t.npz" and len((cells / "scores.jsonl").read_text().splitlines()) == 12


def test_a_retraining_starts_from_the_weights_of_the_supernet(trained: Path, tmp_path: Path) -> None:
    short = ("--data", "digits", "--limit-data", 160, "--threads", 1, "--epochs", 1)
    found = document("retrain", trained, "--from", "shared", *short, "--set", "weights.lr=1e-9", "--out", tmp_path / "r")
    assert set(found["shared"]) == {"test"}
    stored = json.loads((tmp_path / "r" / "architecture.json").read_text())
    assert stored["scores"]["shared_test_accuracy"] == found["shared"]["test"]["accuracy"]
    own, other = load(trained).state_dict(), load(tmp_path / "r").state_dict()
    assert all(torch.allclose(own[n], x, atol=1e-6) for n, x in other.items() if "running" not in n and "tracked" not in n)
    assert "Shared test accuracy" in (tmp_path / "r" / "report.html").read_text()
    assert yaml.safe_load((tmp_path / "r" / "config.yaml").read_text())["start"] == "shared"


def test_a_retraining_refuses_weights_that_are_of_no_network_of_its_own(trained: Path, cells: Path, tmp_path: Path) -> None:
    short = ("--data", "digits", "--epochs", 1, "--out", tmp_path / "r")
    for arguments, said in (
        ((trained, "--set", "network.width=0.25"), "has other networks than a retraining trains"),
        (("darts-v2",), "give the run of a search that trained one"),
        ((trained, "--set", "initial=some.safetensors"), "give one of them"),
    ):
        code, _, error = called("retrain", *arguments, "--from", "shared", *short)
        assert code == 2 and said in error, error
    code, _, error = called("retrain", cells, "--from", "shared", *short)
    assert code == 2 and "as in the papers of nasbench201" in error


def test_several_goals_give_a_front_in_the_run_and_its_report(tmp_path: Path) -> None:
    goals = ("--searcher", "nsga2", "--objective", "accuracy,macs", "--max-params", 40000, "--set", "estimator.examples=40")
    found = document("search", "one-shot", *SMALL, "--epochs", 1, "--trials", 8, *goals, "--out", tmp_path / "s")
    scored = document("evaluate", tmp_path / "s", "--split", "validation")  # what is found is scored by all 80, its trials by 40
    assert found["validation"] == pytest.approx(scored["accuracy"], rel=1e-5) and found["decided"]["trials"]["examples"] == 40
    assert found["goals"] == {"maximise": ["accuracy"], "minimise": ["macs"]} and len(found["front"]) > 1
    assert found["front"][0]["choices"] == found["choices"] and all(entry["costs"]["params"] <= 40000 for entry in found["front"])
    lines = [json.loads(line) for line in (tmp_path / "s" / "history.jsonl").read_text().splitlines()]
    scores = [(line["scores"]["accuracy"], -line["costs"]["macs"]) for line in lines if line.get("outcome") == "scored"]
    assert found["hypervolume"] == pytest.approx(covered(scores))
    assert json.loads((tmp_path / "s" / "front.json").read_text())["front"] == found["front"]
    assert "<h2>Front</h2>" in (tmp_path / "s" / "report.html").read_text()


def test_goals_that_nothing_tells_are_refused(tmp_path: Path) -> None:
    search = ("--space", "mobile-small", *DATA, "--epochs", 1, "--out", tmp_path / "s")
    for method, objective, said in (
        ("one-shot", "accurcy,macs", "did you mean 'accuracy'"),
        ("one-shot", "macs,params", "has costs alone"),
        ("one-shot", "accuracy,accuracy", "names that differ"),
        ("one-shot", "accuracy,latency", "needs latencies"),
        ("fbnet", "accuracy,macs", "fbnet decides by itself"),
    ):
        code, _, error = called("search", method, *search, "--objective", objective)
        assert code == 2 and said in error, error
