"""Statistics of rankings against plain ones, and scores that are kept."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from random import Random

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from supernet import InputError, OneOf, Supernet, Task
from supernet.estimators.kept import Kept
from supernet.estimators.ranking import interval, kendall, regret, spearman
from supernet.estimators.shared import SharedWeights
from supernet.metrics import Metric


def plain_tau(a, b):
    """Kendall's tau b, pair by pair."""
    sign = lambda x: (x > 0) - (x < 0)  # noqa: E731
    pairs = [(sign(a[i] - a[j]), sign(b[i] - b[j])) for i, j in itertools.combinations(range(len(a)), 2)]
    return sum(x * y for x, y in pairs) / (sum(x * x for x, _ in pairs) * sum(y * y for _, y in pairs)) ** 0.5


def noisy(count, noise, seed=0):
    draw = Random(seed)
    known = [draw.random() for _ in range(count)]
    return [round(x + noise * draw.gauss(0, 1), 2) for x in known], known


def test_tau_counts_ties_pair_by_pair():
    own, known = noisy(40, 0.2)
    assert len(set(own)) < 40
    assert kendall(own, known) == pytest.approx(plain_tau(own, known))


def test_what_ranks_nothing_has_no_correlation():
    assert kendall([1.0, 1.0], [1.0, 2.0]) is None and spearman([1.0, 1.0], [1.0, 2.0]) is None
    assert kendall([1.0], [1.0]) is None and spearman([], []) is None and interval([1.0, 2.0], [1.0, 2.0]) is None
    assert spearman([1.0, 2.0, 3.0], [10.0, 20.0, 15.0]) == pytest.approx(0.5)


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    everything = noisy(4000, 0.3, seed=1)
    truth, held, draw = kendall(*everything), 0, Random(2)
    for seed in range(8):
        some = draw.sample(range(4000), 40)
        low, high = interval([everything[0][i] for i in some], [everything[1][i] for i in some], seed=seed, resamples=200)
        held += low <= truth <= high
    assert held >= 6


def test_regret_is_what_the_best_of_the_trusted_lacks():
    own, known = [0.9, 0.8, 0.7, 0.1], [50.0, 60.0, 55.0, 70.0]
    assert [regret(own, known, k) for k in (1, 2, 3, 4, 10)] == [20.0, 10.0, 10.0, 0.0, 0.0]


def small(metrics=None):
    torch.manual_seed(0)
    options = {"a": nn.Linear(3, 3), "b": nn.Linear(3, 3), "none": nn.Identity()}
    last = OneOf({"c": nn.Linear(3, 2), "d": nn.Linear(3, 2)}, name="1")
    net = Supernet(nn.Sequential(OneOf(options, name="0"), nn.BatchNorm1d(3), last))
    data = [(torch.randn(16, 3), torch.randint(2, (16,))) for _ in range(6)]
    return net, Task(data[:2], [*data[2:], (torch.randn(5, 3), torch.randint(2, (5,)))], loss=F.cross_entropy, metrics=metrics)


def test_beginnings_are_what_so_many_examples_alone_give():
    right = lambda outputs, targets: (outputs.argmax(1) == targets).float()  # noqa: E731
    cubed = Metric(right, gathered="all", compute=lambda found: float(found.mean()) ** 3)
    for metrics in (None, {"cubed": cubed}):
        net, task = small(metrics)
        estimate = SharedWeights(net, task, batches=2)
        kept, architecture = Kept(estimate), {"0": "a", "1": "d"}
        found = kept.beginnings(architecture)
        assert list(found) == [16, 32, 64, 69]
        for batches, value in zip((1, 2, 4, 5), found.values(), strict=True):
            part = SharedWeights(net, task.beginning(lambda n, batches=batches: min(n, batches)), batches=2)
            assert part(architecture)[task.judged.name] == pytest.approx(value)
        assert kept(architecture) == estimate(architecture) and kept.computed == 1


def test_a_score_is_computed_once_and_kept_in_the_file(tmp_path: Path):
    net, task = small()
    first = Kept(SharedWeights(net, task, batches=2), tmp_path / "scores.jsonl")
    scores = [first(architecture) for architecture in net.space.enumerate()]
    again = Kept(SharedWeights(net, task, batches=2), tmp_path / "scores.jsonl")
    assert [again(architecture) for architecture in net.space.enumerate()] == scores
    assert (first.computed, again.computed) == (6, 0)
    text = (tmp_path / "scores.jsonl").read_text()
    (tmp_path / "scores.jsonl").write_text(text[:-20])  # the process was killed while it wrote
    third = Kept(SharedWeights(net, task, batches=2), tmp_path / "scores.jsonl")
    assert [third(architecture) for architecture in net.space.enumerate()] == scores and third.computed == 1
    assert (tmp_path / "scores.jsonl").read_text() == text


def test_scores_of_other_weights_calibration_or_data_are_not_used(tmp_path: Path):
    net, task = small()
    architecture = {"0": "a", "1": "c"}
    Kept(SharedWeights(net, task, batches=2), tmp_path / "scores.jsonl")(architecture)
    other, other_task = small()
    with torch.no_grad():
        next(other.parameters()).add_(1.0)
    for estimate in (SharedWeights(net, task, batches=1), SharedWeights(other, other_task, batches=2)):
        kept = Kept(estimate, tmp_path / "scores.jsonl")
        assert kept(architecture) == estimate(architecture) and kept.computed == 1


WRONG = {"of": "x", "architecture": {}, "fidelity": 1, "scores": 3, "beginnings": []}


@pytest.mark.parametrize("line", ["no json", '{"of": 3}', json.dumps(WRONG)])
def test_a_file_that_holds_something_else_is_one_line(tmp_path: Path, line: str):
    net, task = small()
    (tmp_path / "scores.jsonl").write_text(line + "\n")
    with pytest.raises(InputError, match=r"scores\.jsonl, line 1"):
        Kept(SharedWeights(net, task, batches=2), tmp_path / "scores.jsonl")
