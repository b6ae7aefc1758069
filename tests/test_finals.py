"""The best few by shared weights are trained further, and the best of them is found, with the weights that it is scored by."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from command_line import called, document
from supernet import OneOf, Supernet, Task, finals, search
from supernet.costs.objective import Objective
from supernet.finals import Finals, finals_of
from supernet.strategies.retrain import Retrain

SMALL = ("--data", "digits", "--limit-data", 240, "--batch-size", 32, "--epochs", 1, "--trials", 4, "--threads", 1)
SPACE = ("--space", "nasbench201", "--channels", 4, "--cells", 1, "--set", "estimator.calibration=2")


POINTS = torch.randn(256, 2, generator=torch.Generator().manual_seed(0))
LABELS = (POINTS[:, 0] * POINTS[:, 1] > 0).long()


def exclusive_or() -> Task:
    """Which of two signs are equal: no line tells them apart, one hidden layer does."""
    batches = list(zip(POINTS.split(64), LABELS.split(64), strict=True))
    return Task(batches, batches, loss=F.cross_entropy)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        deep = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 2))
        line, other = nn.Linear(2, 2), nn.Linear(2, 2)
        self.choice = OneOf({"line": line, "deep": deep, "other line": other})
        with torch.no_grad():  # a guess that is right less often than another, until it learns
            often = torch.tensor([1.0, -1.0] if LABELS.float().mean() < 0.5 else [-1.0, 1.0])
            for last, bias in ((line, often), (other, often), (deep[2], -often)):
                last.weight.zero_()
                last.bias.copy_(bias)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.choice(x)
        return out


def test_what_learns_better_wins_with_the_weights_that_it_is_scored_by() -> None:
    task = exclusive_or()
    alone = search(Supernet(Net()), task, "one-shot", epochs=1, trials=3, searcher="grid", weights={"lr": 1e-6}, count=True)
    assert alone.architecture["choice"] != "deep" and not alone.finals
    task = exclusive_or()
    how: dict[str, Any] = {"epochs": 1, "trials": 3, "searcher": "grid", "weights": {"lr": 1e-6}, "count": True}
    found = search(Supernet(Net()), task, "one-shot", finals=finals_of(3, task, 40, 0), **how)
    assert found.architecture["choice"] == "deep" and found.finals == {"trained": 3, "from": "shared", "place": 3}
    assert found.scores["accuracy"] > 0.9 and found.network is not None
    assert task.evaluate(found.network, "validation") == found.scores
    assert found.multiply_adds > alone.multiply_adds
    assert [trial.architecture for trial in found.trials] == [trial.architecture for trial in alone.trials]


class Guess(nn.Module):
    """The same answer for all, which is right for most; ``sure`` of it, or less so."""

    def __init__(self) -> None:
        super().__init__()
        self.choice = OneOf({"sure": nn.Linear(1, 2), "unsure": nn.Linear(1, 2)})
        with torch.no_grad():
            for option, bias in zip(self.choice.branches, ([9.0, 0.0], [0.0, 0.1]), strict=True):
                option.weight.zero_()
                option.bias.copy_(torch.tensor(bias))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.choice(x)
        return out


def test_shared_weights_are_compared_by_their_loss_and_finals_by_the_metric_unless_it_is_said_otherwise() -> None:
    labels = (torch.arange(100) % 5 < 2).long()  # three of five are right to be sure of the first, at a great loss
    batches = [(torch.zeros(100, 1), labels)]

    def found(**how: Any) -> dict[str, Any]:
        task = Task(batches, batches, loss=F.cross_entropy)
        return search(Supernet(Guess()), task, "one-shot", epochs=1, trials=2, searcher="grid", weights={"lr": 1e-9}, **how).architecture

    assert found() == {"choice": "unsure"}
    assert found(objective=Objective(maximise=("accuracy",))) == {"choice": "sure"}
    task = Task(batches, batches, loss=F.cross_entropy)
    last = finals_of(2, task, 1, 0, {"lr": 1e-9})
    assert found(finals=last) == {"choice": "sure"}
    assert found(finals=last, objective=Objective(maximise=(), minimise=("loss",))) == {"choice": "unsure"}


def test_finals_that_were_stopped_go_on_to_the_same_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = called("search", "one-shot", *SPACE, *SMALL, "--set", "estimator.finals=3", "--out", tmp_path / "whole", "--json")
    assert whole[0] == 0, whole[2]
    entered = finals.FromScratch.__call__
    calls: list[int] = []

    def killed(self: Any, *arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return entered(self, *arguments)

    words = ("search", "one-shot", *SPACE, *SMALL, "--set", "estimator.finals=3", "--out", tmp_path / "run", "--json")
    with monkeypatch.context() as patch:
        patch.setattr(finals.FromScratch, "__call__", killed)
        assert called(*words)[0] != 0
    code, out, err = called(*words, "--resume")
    assert code == 0, err
    first, again = json.loads(whole[1]), json.loads(out)
    assert {k: v for k, v in again.items() if k not in ("measured", "out")} == {
        k: v for k, v in first.items() if k not in ("measured", "out")
    }
    assert again["finals"]["trained"] == 3 and 1 <= again["finals"]["place"] <= 3
    tried = [json.loads(line) for line in (tmp_path / "run/finals/history.jsonl").read_text().splitlines()]
    assert again["validation"] == max(line["scores"]["accuracy"] for line in tried)
    assert "The best 3 by shared weights were trained further from these" in (tmp_path / "run/report.html").read_text()


def test_the_best_by_scores_of_untrained_networks_are_trained_from_nothing_and_compared_by_what_they_learn(tmp_path: Path) -> None:
    words = ("search", "random", *SPACE[:6], *SMALL[:6], "--estimator", "naswot", "--trials", 8, "--threads", 1, "--json", "--out")
    alone = json.loads(called(*words, tmp_path / "alone")[1])
    more = ("--set", "estimator.finals=3", "--set", "estimator.epochs=2", "--set", "estimator.count=true", "--set", "weights.lr=0.1")
    code, out, err = called(*words, tmp_path / "run", *more)
    assert code == 0, err
    found = json.loads(out)
    tried, held = (sorted_by(tmp_path / name / "history.jsonl") for name in ("run", "run/finals"))
    assert [line["architecture"] for line in held] and {"accuracy", "loss"} <= held[0]["scores"].keys()
    firsts = sorted(tried, key=lambda line: -line["scores"]["naswot"])[:3]
    assert [line["architecture"] for line in held] == [line["architecture"] for line in firsts]
    assert firsts[0]["architecture"] == alone["choices"], "what is tried is the same as without finals"
    best = max(held, key=lambda line: line["scores"]["accuracy"])
    assert (found["choices"], found["validation"]) == (best["architecture"], best["scores"]["accuracy"])
    assert found["finals"] == {"trained": 3, "from": "nothing", "place": 1 + held.index(best)}
    verdict = found["decided"]["finals"]
    assert (verdict["trials"], verdict["examples"]) == (3, 120) and "of 3 finals" in verdict["says"]
    assert found["multiply_adds"] == sum(line["multiply_adds"] for line in (*tried, *held)) > 0
    assert "The best 3 by scores of untrained networks were trained from nothing" in (tmp_path / "run/report.html").read_text()
    files = [tmp_path / "run/weights.safetensors", tmp_path / "weights.safetensors"]
    assert not (tmp_path / "alone/weights.safetensors").exists()
    given = document("evaluate", tmp_path / "run", "--split", "validation")
    assert given["accuracy"] == pytest.approx(found["validation"]) and given["n"] == 120
    said = document("export", tmp_path / "run", "--out", tmp_path / "exported", "--format", "safetensors")
    assert said["safetensors"]["difference"] < 1e-4
    described = json.loads((tmp_path / "exported/model.json").read_text())
    assert described["metadata"]["weights"] == "trained from nothing"
    files[1].write_bytes(files[0].read_bytes())
    assert called(*words, tmp_path / "run", *more, "--resume")[0] == 0
    assert files[0].read_bytes() == files[1].read_bytes()


def test_finals_share_the_steps_of_a_search_that_trains_nothing_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    step = Retrain.step
    monkeypatch.setattr(Retrain, "step", lambda self, data: (taken.append(id(self)), step(self, data))[1])
    words = ("search", "random", *SPACE[:6], *SMALL[:6], "--estimator", "naswot", "--trials", 4, "--threads", 1, "--steps", 9)
    code, _, err = called(*words, "--set", "estimator.finals=2", "--out", tmp_path / "run")
    assert code == 0, err
    assert len(taken) == 9, "three each of the two, and of the winner once more"
    assert "steps would have no effect: naswot trains nothing" in called(*words, "--out", tmp_path / "other")[2]


def sorted_by(path: Path) -> list[dict[str, Any]]:
    """The trials of a history in the order in which they were asked for."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return sorted((line for line in lines if "trial" in line), key=lambda line: line["trial"])


NO_SEARCHER = "estimator.finals would have no effect: no searcher compares architectures by shared weights"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("darts", "--set", "estimator.finals=2"), NO_SEARCHER),
        (("random", "--set", "estimator.finals=2"), "estimator.finals would have no effect: scratch trains every architecture"),
        (("random", "--estimator", "zen", "--set", "estimator.epochs=2"), "estimator.epochs would have no effect: zen trains nothing"),
        (("one-shot", "--set", "estimator.finals=5", "--trials", 4), "estimator.finals are of the 4 trials, so no more than these; got 5"),
        (("one-shot", "--set", "estimator.epochs=2"), "estimator.epochs would have no effect: one-shot trains no single architectures"),
    ],
)
def test_finals_without_effect_are_refused(words: tuple[object, ...], reason: str, tmp_path: Path) -> None:
    code, out, err = called("search", *words, *SPACE[:6], "--data", "digits", "--out", tmp_path / "run")
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {reason}")
    assert not (tmp_path / "run").exists()


def test_a_number_of_finals_is_enough_in_python() -> None:
    task = exclusive_or()
    found = search(Supernet(Net()), task, "one-shot", epochs=1, trials=12, searcher="random", finals=5)
    assert found.finals["trained"] == 3, "there are no more, and none is trained twice"
    assert isinstance(finals_of(2, task, 1, 0), Finals)
