"""What a search did not decide is said wherever its result is."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from supernet import OneOf, Supernet, Task, search
from supernet.decided import by_alphas, by_bounds, by_difference, by_ranking, by_sample, by_trials, entropies, margin
from supernet.plan.search import plan_search
from supernet.settings.commands import Search
from supernet.settings.given import settled
from supernet.workflow.searching import search_run


def test_entropy_is_one_where_nothing_is_decided_and_zero_where_all_is() -> None:
    found = entropies({"a": [0.25] * 4, "b": [0.0, 1.0], "c": [1.0], "gates": [0.9, 0.9]})
    assert found == pytest.approx({"a": 1.0, "b": 0.0, "gates": 1.0})
    assert 0.4 < entropies({"a": [0.9, 0.1]})["a"] < 0.5


def test_alphas_that_hardly_moved_are_called_nearly_uniform() -> None:
    def belief(deviation: float) -> dict[str, list[float]]:
        rng = torch.Generator().manual_seed(0)
        return {str(i): (deviation * torch.randn(8, generator=rng)).softmax(0).tolist() for i in range(28)}

    hardly, clearly = by_alphas(belief(0.1)), by_alphas(belief(0.5))
    assert hardly and hardly["decided"] is False and "nearly uniform" in hardly["says"] and hardly["uniform_choices"] == 28
    assert clearly and clearly["decided"] is True and clearly["entropy"] < 0.97
    assert by_alphas({}) is None


def test_the_margin_is_what_two_equal_networks_differ_by_in_nineteen_of_twenty_draws() -> None:
    rng = Random(0)
    right = [[fmean(rng.random() < 0.9 for _ in range(200)) for _ in range(2)] for _ in range(1000)]
    within = fmean(abs(a - b) <= margin(a, b, 200) for a, b in right)
    assert 0.93 < within < 0.985
    assert margin(1.0, 1.0, 100) > 0 and margin(0.9, 0.9, None) == margin(-1.2, -1.3, 100) == 0


def test_trials_that_the_validation_data_cannot_tell_apart_decide_nothing() -> None:
    close, apart = [0.90, 0.91, 0.89, 0.905], [0.95, 0.7, 0.6, 0.5]
    assert by_trials(close, 200)["decided"] is False and by_trials(apart, 200)["decided"] is True  # type: ignore[index]
    assert "4 of 4 trials" in by_trials(close, 200)["says"] and "200 validation examples" in by_trials(close, 200)["says"]  # type: ignore[index]
    assert by_trials(close, 10**6)["decided"] is True and by_trials(close)["decided"] is True  # type: ignore[index]
    assert by_trials([70.0, 70.0, 70.0])["decided"] is False  # type: ignore[index]
    assert by_trials([0.9], 200) is None


def test_what_random_architectures_score_as_well_decides_nothing() -> None:
    found = by_sample(0.93, [0.92, 0.94, 0.90], 700)
    assert found and found["decided"] is False and found["drawn"] == 3
    assert "3 random architectures within the bound 92.00 %" in found["says"]
    better = by_sample(0.93, [0.7, 0.72], 700)
    assert better and better["decided"] is True and better["difference"] == pytest.approx(0.22)
    worse = by_sample(5.0, [4.0], None, larger=False)
    assert worse and worse["decided"] is False and by_sample(4.0, [5.0], None, larger=False)["decided"] is True  # type: ignore[index]
    assert by_sample(0.9, [], 700) is None


def test_bounds_that_share_a_network_are_named() -> None:
    bounds = ["1 (macs <= 5)", "2 (macs <= 7)", "3 (macs <= 9)"]
    same = by_bounds(1, [1, 2], bounds)
    assert same and same["decided"] is False and "the bounds 2 (macs <= 7) and 3 (macs <= 9) have one and the same network" in same["says"]
    assert by_bounds(0, [0], bounds)["decided"] is True and by_bounds(0, [0], bounds[:1]) is None  # type: ignore[index]


def test_a_difference_from_random_search_within_the_noise_is_no_difference() -> None:
    assert by_difference(0.93, 0.925, 700)["decided"] is False and "no difference" in by_difference(0.93, 0.925, 700)["says"]
    assert by_difference(0.93, 0.80, 700)["says"].endswith("better") and by_difference(0.80, 0.93, 700)["says"].endswith("worse")


def test_where_the_noise_of_a_score_is_not_known_the_verdict_says_so() -> None:
    assert "by chance by an unknown amount" in by_trials([0.3, 0.4])["says"]  # type: ignore[index]
    assert "by chance by an unknown amount" in by_difference(0.30, 0.29, None)["says"]
    assert "unknown" not in by_difference(0.80, 0.60, 500)["says"]


def test_a_rank_correlation_within_chance_ranks_nothing() -> None:
    assert by_ranking(0.1, 50)["decided"] is by_ranking(None, 50)["decided"] is by_ranking(-0.9, 50)["decided"] is False
    assert by_ranking(0.3, 50)["decided"] is True
    assert by_ranking(0.1, 50)["noise"] == pytest.approx(0.1916, abs=1e-3)


def digits() -> Task:
    rng = torch.Generator().manual_seed(0)
    batches = [(torch.randn(16, 4, generator=rng), torch.randint(2, (16,), generator=rng)) for _ in range(8)]
    return Task(batches[:4], batches[4:], loss=F.cross_entropy)


def own() -> Supernet:
    torch.manual_seed(0)
    choices = OneOf({"a": nn.Linear(4, 4), "b": nn.Linear(4, 4)}), OneOf({"c": nn.Tanh(), "d": nn.ReLU()})
    return Supernet(nn.Sequential(*choices, nn.Linear(4, 2)))


def test_a_search_of_ones_own_module_says_what_it_did_not_decide(tmp_path: Path) -> None:
    found = search(own(), digits(), "darts", epochs=1, out=tmp_path / "darts")
    assert found.decided["alphas"]["decided"] is False
    assert json.loads((tmp_path / "darts/architecture.json").read_text())["decided"] == found.decided
    assert "nearly uniform" in (tmp_path / "darts/report.html").read_text()
    tried = search(own(), digits(), "one-shot", epochs=1, searcher="random", trials=4)
    assert tried.decided["trials"]["decided"] is False and tried.decided["trials"]["examples"] == 64


def test_a_bound_of_ones_own_module_is_kept_with_what_was_found(tmp_path: Path) -> None:
    found = search(own(), digits(), "darts", epochs=1, out=tmp_path, limits={"params": 31})
    stored = json.loads((tmp_path / "architecture.json").read_text())
    assert stored["limits"] == {"params": {"bound": 31, "holds": found.costs["params"] <= 31}}
    assert "The bound of 31 on parameters" in (tmp_path / "report.html").read_text()


def test_selection_by_perturbation_is_not_judged_by_its_alphas() -> None:
    assert "alphas" not in search(own(), digits(), "darts-pt", epochs=1, tune_epochs=1).decided


def test_the_command_says_what_was_not_decided_in_every_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sets = ("data.limit=96", "supernet.channels=2", "supernet.cells=1", "data.batch_size=32", "threads=1", "epochs=1", "baseline.trials=2")
    given = {"method": "darts", "space": "nasbench201", "baseline.name": "random"}
    result: dict[str, Any] = search_run(plan_search(settled(Search, None, sets, given)), tmp_path)
    assert result["decided"]["alphas"]["decided"] is False and set(result["decided"]) == {"alphas", "baseline"}
    assert json.loads((tmp_path / "architecture.json").read_text())["decided"] == result["decided"]
    said = capsys.readouterr().err
    assert "of the evaluation network with channels 16, cells 5; searched was one with channels 2, cells 1" in result["counted"]
    page = (tmp_path / "report.html").read_text()
    assert "searched was one with channels 2, cells 1" in page
    assert "undecided: the alphas are nearly uniform" in said and "Undecided" in page and "the alphas are nearly uniform" in page
