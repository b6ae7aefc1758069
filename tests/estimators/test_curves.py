"""Trainings that end early: on families of curves that are known, on networks, and in runs that are killed."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from command_line import called, document
from supernet import Choice, SearchSpace, Task
from supernet.costs.objective import Objective
from supernet.estimators.curves import FEWEST, MedianStop, behind
from supernet.estimators.scratch import FromScratch
from supernet.explore.loop import explore
from supernet.explore.trial import Trial
from supernet.metrics import ACCURACY
from supernet.searchers import make_searcher

JUDGED = ACCURACY.score("accuracy")
EPOCHS = 10
SPACE = SearchSpace([Choice("end", tuple(range(40)))])


def curve(end: int) -> list[float]:
    """A power law that rises to ``end``, with a last epoch that lifts it as a falling learning rate does."""
    return [end * (1 - 0.8 * (epoch + 1) ** -0.7) + (5 if epoch == EPOCHS - 1 else 0) for epoch in range(EPOCHS)]


def estimate(stop: MedianStop):
    """Trainings whose curves are those of the family."""

    def training(architecture, fidelity=1.0):
        values = iter(curve(architecture["end"]))
        done = [0]

        def run(evaluate, enough):
            while done[0] < EPOCHS:
                done[0] += 1
                evaluate()
                if enough(done[0] / EPOCHS):
                    return

        return stop(architecture, fidelity, run, lambda: {"accuracy": next(values)})

    return training


def test_a_curve_is_behind_below_the_median_of_means_of_those_that_came_as_far():
    others = [[1.0, 3.0], [2.0, 4.0], [3.0, 5.0], [4.0, 6.0], [5.0]]  # means over two epochs: 2, 3, 4, 5
    assert behind([2.9], others) and not behind([3.0], others)
    assert not behind([0.0, 0.0], others) and behind([0.0, 3.4], [*others, [3.5, 3.5]])  # one of five came not as far
    assert not behind([0.0, 9.0, 0.0], [[1.0, 2.0, 3.0]] * FEWEST)


def test_of_a_family_of_curves_the_worse_half_is_ended_and_the_best_is_found():
    trials = explore(SPACE, make_searcher("random", SPACE), estimate(MedianStop(JUDGED)), 40, Objective(("accuracy",)), patience=400)
    assert trials[0].architecture == {"end": 39} and trials[0].fidelity == 1 and trials[0].wanted is None
    draw = Random(0)
    ends = draw.sample(range(40), 40)
    stop = MedianStop(JUDGED)
    found = {end: estimate(stop)({"end": end}) for end in ends}
    ended = {end for end, scores in found.items() if "trained" in scores}
    assert found[39] == {"accuracy": curve(39)[-1]} and 10 <= len(ended) <= 24 and max(ended) < sorted(ends)[-10]
    assert all(found[end]["accuracy"] == curve(end)[round(found[end]["trained"] * EPOCHS) - 1] for end in ended)
    assert not ended & set(ends[:FEWEST])  # nothing to compare with


def test_what_was_ended_counts_for_what_it_took_and_says_what_was_asked_for():
    searcher = make_searcher("random", SPACE, seed=1)
    lines: list[dict] = []
    objective = Objective(("accuracy",))
    how = {"record": lambda trial: lines.append(json.loads(json.dumps(trial.line())))}
    trials = explore(SPACE, searcher, estimate(MedianStop(JUDGED)), 12, objective, **how)
    ended = [line for line in lines if "wanted" in line]
    assert ended and all(line["wanted"] == 1 and 0 < line["fidelity"] < 1 and set(line["scores"]) == {"accuracy"} for line in ended)
    spent = sum(line.get("fidelity", 1) for line in lines)
    assert len(lines) > 12 and 12 <= spent + 1e-9 < 13
    assert [trial.fidelity for trial in trials] == sorted((trial.fidelity for trial in trials), reverse=True)
    again = explore(SPACE, make_searcher("random", SPACE, seed=1), None, 12, objective, past=lines)  # nothing is left to estimate
    assert [trial.architecture for trial in again] == [trial.architecture for trial in trials]
    assert Trial.of_line(ended[0], objective).line() == ended[0]


def test_a_training_that_is_made_again_is_compared_with_those_before_it(tmp_path: Path):
    path, ends = tmp_path / "curves.jsonl", [20, 22, 24, 26, 28, 3, 30, 5, 31]
    whole = [estimate(MedianStop(JUDGED, path))({"end": end}) for end in ends]
    assert [i for i, scores in enumerate(whole) if "trained" in scores] == [5, 7]
    kept = path.read_text()
    path.write_text(kept + kept[:9])  # as a process leaves it that is killed while it writes
    again = MedianStop(JUDGED, path)
    assert [estimate(again)({"end": end}) for end in ends] == whole and path.read_text() == kept
    lines = kept.splitlines(keepends=True)
    path.write_text("".join(lines[:6]))
    assert [estimate(MedianStop(JUDGED, path))({"end": end}) for end in ends[5:]] == whole[5:] and path.read_text() == kept


def test_a_curve_that_is_no_number_fails():
    with pytest.raises(FloatingPointError, match="accuracy of epoch 1"):
        MedianStop(JUDGED)({"end": 1}, 1.0, lambda evaluate, enough: evaluate(), lambda: {"accuracy": float("nan")})


def test_networks_that_are_not_ended_score_what_they_score_without_the_rule():
    torch.manual_seed(0)
    x = torch.randn(64, 4)
    batches = [(x[i : i + 16], (x[i : i + 16, 0] > 0).long()) for i in range(0, 64, 16)]
    task = Task(batches, batches, loss=F.cross_entropy)

    def build(architecture):
        return nn.Linear(4, 2) if architecture["able"] else nn.Sequential(nn.Flatten(0), nn.Unflatten(0, (-1, 4)), Blind())

    plain = FromScratch(build, task, epochs=3)
    ruled = FromScratch(build, task, epochs=3, stop=MedianStop(task.judged))
    expected = plain({"able": True})
    assert [ruled({"able": True, "number": i}) for i in range(FEWEST)] == [expected] * FEWEST
    blind = ruled({"able": False})
    assert blind["trained"] == pytest.approx(1 / 3) and blind["accuracy"] < expected["accuracy"]


class Blind(nn.Module):
    """Looks at nothing."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.tensor([0.0, 9.0]))

    def forward(self, x):
        return self.bias.expand(len(x), 2)


def test_a_search_ends_trainings_and_says_so(tmp_path: Path) -> None:
    small = ("--space", "mobile-small", "--set", "supernet.width=0.125", "--data", "digits", "--limit-data", 60, "--threads", 1)
    words = ("search", "random", *small, "--trials", 8, "--set", "estimator.epochs=3", "--set", "estimator.stop=median")
    found = document(*words, "--out", tmp_path / "r")
    lines = [json.loads(line) for line in (tmp_path / "r" / "history.jsonl").read_text().splitlines()]
    curves = [json.loads(line) for line in (tmp_path / "r" / "curves.jsonl").read_text().splitlines()]
    assert len(curves) == len(lines) and [line["architecture"] for line in curves] == [line["architecture"] for line in lines]
    assert [len(c["curve"]) / 3 for c in curves] == pytest.approx([line.get("fidelity", 1) for line in lines])
    assert sum(line.get("fidelity", 1) for line in lines) >= 8 - 1e-9 and found["validation"] == max(
        line["scores"]["accuracy"] for line in lines if "wanted" not in line
    )
    for arguments, said in (
        ((*words[:-4], *words[-2:]), "a training of one epoch ends before anything is known of it"),
        ((*words[:-4], *words[-2:], "--estimator", "snip"), "snip trains no architecture from nothing"),
    ):
        code, _, error = called(*arguments, "--out", tmp_path / "s")
        assert code == 2 and said in error, error
