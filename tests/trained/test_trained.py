"""What is asked of a trained supernet: how well it ranks, and networks for bounds, with weights that work."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from supernet import InputError, OneOf, Supernet, Task, rank, search, specialise
from supernet.costs.limits import Limits
from supernet.costs.objective import Objective
from supernet.estimators.shared import SharedWeights
from supernet.trained.rank import TRUSTED

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
    return found.supernet, task


def test_ranks_what_it_scores_itself_without_a_fault(trained, tmp_path: Path):
    net, task = trained
    estimate = SharedWeights(net, task, batches=2)
    known = [(architecture, estimate(architecture)["accuracy"]) for architecture in list(net.space.enumerate())[::3]]
    ranking = rank(net, task, known, samples=1000, calibration=2, kept=tmp_path / "scores.jsonl")
    found = ranking.document()
    assert found["kendall"] == pytest.approx(1) and found["spearman"] == pytest.approx(1) and found["samples"] == 22
    assert found["regret"] == {str(k): 0.0 for k in TRUSTED}
    assert list(found["by_examples"]) == ["32", "64", "128"] and found["by_examples"]["128"] == found["kendall"]
    assert found["by_examples"]["32"] < found["kendall"]
    assert found["interval"] == pytest.approx((1, 1))
    backwards = rank(net, task, [(a, -value) for a, value in known], calibration=2, kept=tmp_path / "scores.jsonl").document()
    assert backwards["kendall"] == pytest.approx(-1) and backwards["regret"]["1"] > 0


def test_draws_the_same_samples_by_the_same_seed_and_takes_the_mean_of_what_is_known_twice(trained):
    net, task = trained
    known = [(architecture, float(i)) for i, architecture in enumerate(net.space.enumerate())]
    one, again, other = (rank(net, task, known, samples=5, seed=seed, calibration=1) for seed in (3, 3, 4))
    assert one.points() == again.points() != other.points() and len(one.known) == 5
    architecture = known[0][0]
    twice = rank(net, task, [(architecture, 1.0), known[7], (architecture, 3.0)], calibration=1)
    assert twice.known == [2.0, 7.0]


def test_refuses_what_cannot_be_ranked(trained):
    net, task = trained
    only = [(next(net.space.enumerate()), 1.0)]
    with pytest.raises(InputError, match="2 or more"):
        rank(net, task, only)
    with pytest.raises(InputError, match="2 or more samples; got 1"):
        rank(net, task, only, samples=1)
    with pytest.raises(InputError, match="the task has none"):
        rank(net, Task([next(task.data.each("train"))], loss=F.cross_entropy), only)


def test_networks_keep_their_bounds_and_score_what_they_say(trained, tmp_path: Path):
    net, task = trained
    bounds = [{"params": 60.0}, {"params": 250.0}, {"params": 1000.0}]
    found = specialise(net, task, bounds, trials=20, calibration=2, kept=tmp_path / "scores.jsonl")
    estimate = SharedWeights(net, task, batches=2)
    for each, bound in zip(found, bounds, strict=True):
        own = sum(p.numel() for p in each.network.parameters())
        assert own == each.costs["params"] <= bound["params"] and each.holds
        assert task.evaluate(each.network) == each.scores == pytest.approx(estimate(net.space.check(each.architecture)))
    accuracies = [each.scores["accuracy"] for each in found]
    assert accuracies == sorted(accuracies)
    lines = (tmp_path / "scores.jsonl").read_text().splitlines()
    assert len(lines) == len(set(lines))
    specialise(net, task, bounds, trials=20, calibration=2, kept=tmp_path / "scores.jsonl")
    assert (tmp_path / "scores.jsonl").read_text().splitlines() == lines


@pytest.mark.parametrize("searcher", ["random", "local", "evolution", "nsga2", "grid", "successive-halving"])
def test_every_searcher_finds_networks_within_bounds(trained, searcher):
    net, task = trained
    priced = Limits.of(net, task.sample(1), {"macs": 8.0 + 16.0})  # the last layer, and one thin block: four networks
    for each in specialise(net, task, [priced, {"macs": 200.0}], searcher=searcher, trials=6, calibration=1):
        assert each.holds and each.scores["accuracy"] > 0


def test_bounds_that_nothing_keeps_are_refused_before_any_search(trained):
    net, task = trained
    with pytest.raises(InputError, match=r"no network of this space meets params <= 3"):
        specialise(net, task, [{"params": 300}, {"params": 3}])
    with pytest.raises(InputError, match="needs a table that was measured"):
        specialise(net, task, [{"latency": 3.0}])


def test_several_goals_are_searched_by_nsga2_over_shared_weights(trained):
    net, task = trained
    goals = Objective(maximise=("accuracy",), minimise=("params",))
    found = search(net, task, "one-shot", epochs=1, searcher="nsga2", trials=25, calibration=1, objective=goals, limits={"params": 900})
    costs = [trial.costs["params"] for trial in found.front]
    scores = [trial.scores["accuracy"] for trial in found.front]
    assert max(costs) <= 900 and len(found.front) > 1
    assert sorted(costs, reverse=True) == [c for _, c in sorted(zip(scores, costs, strict=True), reverse=True)]
