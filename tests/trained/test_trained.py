"""What is asked of a trained supernet: how well it ranks, and networks for bounds, with weights that work."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from supernet import Found, InputError, OneOf, Supernet, Task, TrainedSupernet, rank, search, specialise
from supernet.costs.limits import Limits
from supernet.costs.objective import Objective
from supernet.estimators.shared import SharedWeights
from supernet.metrics import Score
from supernet.trained.rank import TRUSTED, Ranking, enough

SIZES = {"thin": 2, "wide": 8, "wider": 24}


def block(hidden):
    return nn.Sequential(nn.Linear(4, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, 4))


@pytest.fixture(scope="module")
def trained():
    """A supernet of three choices, trained, and its task: wider networks are better."""
    torch.manual_seed(0)
    layers = [OneOf({name: block(hidden) for name, hidden in SIZES.items()} | {"skip": nn.Identity()}, name=str(i)) for i in range(3)]
    net = Supernet(nn.Sequential(*layers, nn.Linear(4, 2)))
    x = torch.randn(384, 4)
    y = ((x[:, 0] * x[:, 1] + 0.5 * x[:, 2].sin()) > 0).long()
    batches = [(x[i : i + 32], y[i : i + 32]) for i in range(0, 384, 32)]
    task = Task(batches[:8], batches[8:], loss=F.cross_entropy)
    found = search(net, task, "one-shot", epochs=5, searcher="random", trials=2, calibration=2)
    return found


def test_ranks_what_it_scores_itself_without_a_fault(trained, tmp_path: Path):
    net, task = trained.supernet, trained.task
    estimate = SharedWeights(net, task, batches=2)
    known = [(architecture, estimate(architecture)["accuracy"]) for architecture in list(net.space.enumerate())[::3]]
    ranking = rank(trained, known, samples=1000, calibration=2, kept=tmp_path / "scores.jsonl")
    found = ranking.document()
    assert found["kendall"] == pytest.approx(1) and found["spearman"] == pytest.approx(1) and found["samples"] == 22
    assert found["regret"] == {str(k): 0.0 for k in TRUSTED}
    assert list(found["by_examples"]) == ["32", "64", "128"] and found["by_examples"]["128"] == found["kendall"]
    assert found["by_examples"]["32"] < found["kendall"]
    assert found["interval"] == pytest.approx((1, 1)) and found["enough"]["examples"] == 128
    backwards = rank(trained, [(a, -value) for a, value in known], calibration=2, kept=tmp_path / "scores.jsonl").document()
    assert backwards["kendall"] == pytest.approx(-1) and backwards["regret"]["1"] > 0


def test_says_how_few_examples_rank_as_well():
    architectures, true = [{"a": i} for i in range(12)], [float(i) for i in range(12)]
    every = [*true[:3], true[4], true[3], *true[5:]]  # one pair of neighbours in the wrong order
    half = [*every[:8], every[9], every[8], *every[10:]]  # and another
    ranking = Ranking(architectures, every, true, Score("accuracy"), {32: true[::-1], 64: half, 128: every})
    found = ranking.document()
    assert found["interval"][0] <= found["by_examples"]["64"] < found["kendall"] and found["by_examples"]["32"] == pytest.approx(-1)
    assert found["enough"]["examples"] == 64
    assert found["enough"]["says"].startswith("64 of the 128 validation examples rank as well as all of them: ")
    assert enough({32: -1.0, 64: None, 128: 0.5}, (0.4, 0.6)) == {
        "examples": 128,
        "says": "128 of the 128 validation examples rank as well as all of them: their tau of 0.500 lies in its interval",
    }
    assert enough({32: 0.5}, None) is None and enough({32: 0.5}, (0.6, 0.7)) is None


def test_a_supernet_trained_by_hand_gives_what_a_search_found_gives(trained):
    by_hand = TrainedSupernet(trained.supernet, trained.task)
    one, other = (specialise(each, [{"params": 250.0}], trials=3, calibration=1) for each in (trained, by_hand))
    assert (one[0].architecture, one[0].scores, one[0].decided) == (other[0].architecture, other[0].scores, other[0].decided)
    assert specialise(one[0], [{"params": 250.0}], trials=3, calibration=1)[0].scores == one[0].scores  # which has the supernet too
    with pytest.raises(InputError, match="this search trained no supernet"):
        rank(Found({}, {}), [])


def test_says_which_bounds_have_one_network_and_whether_random_ones_do_as_well(trained):
    found = specialise(trained, [{"params": 60.0}, {"params": 10_000.0}, {"params": 20_000.0}], trials=64, calibration=1)
    assert [each.decided["bounds"]["decided"] for each in found] == [True, False, False]
    same = "the bounds 2 (params <= 10,000) and 3 (params <= 20,000) have one and the same network"
    assert found[1].decided["bounds"]["says"].startswith(same) and found[1].architecture == found[2].architecture
    assert found[2].decided["random"]["drawn"] == 10 and found[2].decided["random"]["examples"] == 128
    (alone,) = specialise(trained, [{"params": 10.0}], trials=3, calibration=1)  # the skips, and nothing else
    assert alone.decided["random"]["decided"] is False and alone.decided["random"]["difference"] == 0
    assert "bounds" not in alone.decided


def test_architectures_are_compared_by_some_examples_and_what_is_found_scored_by_all(trained, tmp_path: Path):
    task, kept = trained.task, tmp_path / "scores.jsonl"
    how = {"trials": 6, "calibration": 1, "kept": kept}
    (found,) = specialise(trained, [{"params": 250.0}], examples=33, **how)  # 64, in batches of 32
    lines = [json.loads(line) for line in kept.read_text().splitlines()]
    assert {line["beginnings"][-1][0] for line in lines} == {64}
    assert found.decided["trials"]["examples"] == found.decided["random"]["examples"] == 64
    assert found.scores == task.evaluate(found.network) != found.trials[0].scores
    specialise(trained, [{"params": 250.0}], examples=64, **how)
    assert len(kept.read_text().splitlines()) == len(lines)  # the same examples
    specialise(trained, [{"params": 250.0}], **how)
    every = [json.loads(line) for line in kept.read_text().splitlines()]
    assert len(every) > len(lines) and {line["beginnings"][-1][0] for line in every[len(lines) :]} == {128}
    assert not {line["of"] for line in lines} & {line["of"] for line in every[len(lines) :]}
    ranking = rank(trained, [(trial.architecture, 1.0) for trial in found.trials], calibration=1, examples=40, kept=kept)
    assert list(ranking.document()["by_examples"]) == ["32", "64"]
    assert len(kept.read_text().splitlines()) == len(every)


def test_a_search_compares_by_some_examples_and_scores_what_it_finds_by_all(trained):
    net, task = deepcopy(trained.supernet), trained.task
    found = search(net, task, "one-shot", epochs=1, searcher="random", trials=4, calibration=1, examples=32)
    assert found.decided["trials"]["examples"] == 32 and found.task is task
    assert found.scores == SharedWeights(net, task, batches=1)(net.space.check(found.architecture))
    assert found.trials[0].scores == SharedWeights(net, task, batches=1, examples=32)(found.trials[0].architecture)


def test_draws_the_same_samples_by_the_same_seed_and_takes_the_mean_of_what_is_known_twice(trained):
    net = trained.supernet
    known = [(architecture, float(i)) for i, architecture in enumerate(net.space.enumerate())]
    one, again, other = (rank(trained, known, samples=5, seed=seed, calibration=1) for seed in (3, 3, 4))
    assert one.points() == again.points() != other.points() and len(one.known) == 5
    architecture = known[0][0]
    twice = rank(trained, [(architecture, 1.0), known[7], (architecture, 3.0)], calibration=1)
    assert twice.known == [2.0, 7.0]


def test_refuses_what_cannot_be_ranked(trained):
    net, task = trained.supernet, trained.task
    only = [(next(net.space.enumerate()), 1.0)]
    with pytest.raises(InputError, match="2 or more"):
        rank(trained, only)
    with pytest.raises(InputError, match="2 or more samples; got 1"):
        rank(trained, only, samples=1)
    with pytest.raises(InputError, match="the task has none"):
        rank(TrainedSupernet(net, Task([next(task.data.each("train"))], loss=F.cross_entropy)), only)


def test_networks_keep_their_bounds_and_score_what_they_say(trained, tmp_path: Path):
    net, task = trained.supernet, trained.task
    bounds = [{"params": 60.0}, {"params": 250.0}, {"params": 1000.0}]
    found = specialise(trained, bounds, trials=20, calibration=2, kept=tmp_path / "scores.jsonl")
    estimate = SharedWeights(net, task, batches=2)
    for each, bound in zip(found, bounds, strict=True):
        own = sum(p.numel() for p in each.network.parameters())
        assert own == each.costs["params"] <= bound["params"] and each.holds
        assert task.evaluate(each.network) == each.scores == pytest.approx(estimate(net.space.check(each.architecture)))
    accuracies = [each.scores["accuracy"] for each in found]
    assert accuracies == sorted(accuracies)
    lines = (tmp_path / "scores.jsonl").read_text().splitlines()
    assert len(lines) == len(set(lines))
    specialise(trained, bounds, trials=20, calibration=2, kept=tmp_path / "scores.jsonl")
    assert (tmp_path / "scores.jsonl").read_text().splitlines() == lines


@pytest.mark.parametrize("searcher", ["random", "local", "evolution", "nsga2", "grid", "successive-halving"])
def test_every_searcher_finds_networks_within_bounds(trained, searcher):
    net, task = trained.supernet, trained.task
    priced = Limits.of(net, task.sample(1), {"macs": 8.0 + 16.0})  # the last layer, and one thin block: four networks
    for each in specialise(trained, [priced, {"macs": 200.0}], searcher=searcher, trials=6, calibration=1):
        assert each.holds and each.scores["accuracy"] > 0


def test_bounds_that_nothing_keeps_are_refused_before_any_search(trained):
    with pytest.raises(InputError, match=r"no network of this space meets params <= 3"):
        specialise(trained, [{"params": 300}, {"params": 3}])
    with pytest.raises(InputError, match="needs a table that was measured"):
        specialise(trained, [{"latency": 3.0}])


def test_several_goals_are_searched_by_nsga2_over_shared_weights(trained):
    net, task = trained.supernet, trained.task
    goals = Objective(maximise=("accuracy",), minimise=("params",))
    found = search(net, task, "one-shot", epochs=1, searcher="nsga2", trials=25, calibration=1, objective=goals, limits={"params": 900})
    costs = [trial.costs["params"] for trial in found.front]
    scores = [trial.scores["accuracy"] for trial in found.front]
    assert max(costs) <= 900 and len(found.front) > 1
    assert sorted(costs, reverse=True) == [c for _, c in sorted(zip(scores, costs, strict=True), reverse=True)]
