"""``auto``: it takes what space and data allow, says why in a line, spends its budget on training, and goes on with what it took."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn
from torch.nn import functional as F

from command_line import called, document
from supernet import OneOf, Supernet, Task, auto, finals, load
from supernet.auto import FINALISTS, SCORED, SCORES, SCORES_WITHIN, USED
from supernet.errors import InputError
from supernet.estimators import beside
from supernet.finals import trainings
from supernet.plan.auto import ADVICE, BUDGET, first
from supernet.plan.budget import budget_of
from supernet.stopping import Interrupted

SPACE = ("--space", "nasbench201", "--channels", 4, "--cells", 1, "--threads", 1)
SMALL = ("--data", "digits", "--limit-data", 240, "--batch-size", 32)


@pytest.fixture(autouse=True)
def few_references(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores stand beside those of eight networks, not of fifty."""
    monkeypatch.setattr(beside, "REFERENCES", 8)


def settings(*words: object) -> Any:
    return document("search", "auto", *words, "--dry-run")["settings"]


@pytest.mark.usefixtures("untold")
def test_pictures_are_screened_by_scores_of_untrained_networks_and_the_best_are_trained() -> None:
    found = settings(*SPACE, *SMALL, "--budget", "24epochs")
    estimator = found["estimator"]
    assert (found["method"], found["trials"], estimator["name"]) == ("evolution", SCORED, SCORES)
    assert (estimator["finals"], estimator["epochs"]) == (FINALISTS, 24 // trainings(FINALISTS))
    assert settings(*SPACE, *SMALL, "--budget", "90steps")["steps"] == 90
    assert settings(*SPACE, *SMALL)["seconds"] == budget_of(BUDGET)[0]
    assert settings(*SPACE, *SMALL, "--trials", 20, "--set", "estimator.finals=3")["trials"] == 20, "what the user sets counts"


@pytest.mark.usefixtures("untold")
def test_what_reads_tokens_shares_weights() -> None:
    code, out, err = called("search", "auto", "--space", "darts-rnn", "--budget", "8steps", "--dry-run", "--json")
    assert code == 0, err
    found = json.loads(out)["settings"]
    assert (found["method"], found["steps"], found["estimator"]["finals"]) == ("one-shot", 8, 4)
    assert [line for line in err.splitlines() if "auto takes" in line] == [f"note: {ADVICE[1].said}"]
    assert "note: auto cannot take evolution: synflow is a score by inputs that are numbers" in err


def test_within_bounds_what_uses_them_is_screened_by_a_score_that_is_not_of_size(tmp_path: Path) -> None:
    bound = ("--max-params", 400_000)
    code, out, err = called("search", "auto", *SPACE, *SMALL, "--budget", "4steps", "--trials", 6, *bound, "--out", tmp_path, "--json")
    assert code == 0 and f"note: {ADVICE[0].said}" in err.splitlines(), err
    found = json.loads(out)
    assert found["finals"]["from"] == "nothing" and found["limits"] == {"params": {"bound": 400_000.0, "holds": True}}
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    estimated = [line["costs"]["params"] for line in lines if line.get("scores")]
    assert len(estimated) == 6 and all(0.93 * 400_000 <= params <= 400_000 for params in estimated), "as much as is possible"
    assert all(SCORES_WITHIN in line["scores"] for line in lines if line.get("scores"))
    compared = document("compare", "auto", *SPACE, *SMALL, "--budget", "4steps", *bound, "--dry-run")["methods"]["auto"]
    assert (compared["limits"]["least"], compared["searcher"]["name"]) == (USED, "evolution")
    words = ("compare", "auto", *SPACE, *SMALL, "--budget", "4steps", *bound, "--set", "limits.least=0.5", "--dry-run")
    assert document(*words)["methods"]["auto"]["limits"]["least"] == 0.5, "also in a comparison"
    own = settings(*SPACE, *SMALL, *bound, "--set", "limits.least=0.5", "--estimator", "naswot")
    assert (own["limits"]["least"], own["estimator"]["name"]) == (0.5, "naswot"), "what the user sets counts"


def test_a_run_goes_on_by_the_method_that_was_taken_to_the_same_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("search", "auto", *SPACE, *SMALL, "--budget", "8epochs", "--trials", 6, "--json", "--out")
    code, out, err = called(*words, tmp_path / "whole")
    assert code == 0 and f"note: {ADVICE[0].said}" in err.splitlines(), err
    entered = finals.FromScratch.__call__
    calls: list[int] = []

    def killed(self: Any, *arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return entered(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(finals.FromScratch, "__call__", killed)
        assert called(*words, tmp_path / "run")[0] != 0
    code, again, err = called("search", "auto", "--out", tmp_path / "run", "--resume", "--json")
    assert code == 0, err
    first, second = json.loads(out), json.loads(again)
    assert {k: v for k, v in first.items() if k not in ("measured", "out")} == {
        k: v for k, v in second.items() if k not in ("measured", "out")
    }
    assert first["finals"]["trained"] == FINALISTS
    code, _, err = called(*words[:-2], "--budget", "16epochs", "--resume", "--out", tmp_path / "run")
    assert code == 2 and "(estimator.epochs)" in err, err


def test_a_run_of_another_method_is_not_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.yaml").write_text(yaml.safe_dump({"command": "search", "method": "darts", "space": "nasbench201"}))
    code, _, err = called("search", "auto", "--out", tmp_path / "run", "--resume")
    assert code == 2 and "is a run of another method than auto takes" in err, err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--epochs", 3), "--epochs would have no effect: auto takes --budget 10epochs"),
        (("--steps", 3), "--steps would have no effect: auto takes --budget 500steps"),
        (("--table", "t.npz"), "--table would have no effect: auto trains on data"),
        (("--recipe", "short"), "--recipe would have no effect"),
        (("--data", "digits", "--max-params", 10), "no network of this space meets params <= 10"),
        (("--budget", "300evals"), "unknown unit of --budget 'evals'"),
        (("--data", "nowhere"), "unknown data set 'nowhere'"),
    ],
)
def test_what_auto_cannot_use_is_refused_in_one_line(words: tuple[object, ...], said: str, tmp_path: Path) -> None:
    code, out, err = called("search", "auto", *SPACE, *words, "--out", tmp_path / "run")
    assert (code, out) == (2, "") and said in err and not (tmp_path / "run").exists()


def test_a_misspelt_auto_is_recognised() -> None:
    code, _, err = called("search", "autto", *SPACE)
    assert code == 2 and "did you mean 'auto'" in err, err


def test_the_first_refusal_is_what_is_said_where_all_are_refused() -> None:
    def refusing(advice: Any) -> None:
        raise InputError(f"not {advice.method}")

    with pytest.raises(InputError, match="not evolution"):
        first(refusing)


def test_a_comparison_takes_what_a_search_would_take() -> None:
    words = ("compare", "auto,wide", *SPACE, *SMALL, "--budget", "24epochs", "--dry-run")
    plan = document(*words, "--set", "methods.wide.method=auto", "--set", "methods.wide.trials=50")["methods"]
    assert plan["auto"]["searcher"]["name"] == plan["wide"]["searcher"]["name"] == "evolution"
    code, _, err = called("compare", "auto", *SPACE, *SMALL, "--budget", "24evals", "--dry-run")
    assert code == 2 and "auto trains: its budget is in epochs, steps or s" in err, err
    code, _, err = called("compare", "auto", "--space", "nasbench201", "--table", "t.npz", "--budget", "24evals", "--dry-run")
    assert code == 2 and "auto trains on data; on a table name searchers" in err, err


@pytest.mark.slow
def test_a_comparison_on_data_trains_what_auto_screened(tmp_path: Path) -> None:
    words = ("compare", "auto", *SPACE, *SMALL, "--budget", "2epochs", "--seeds", 1, "--set", "methods.auto.trials=6", "--set", "trials=2")
    less = ("--set", "methods.auto.estimator.finals=2", "--set", "final.epochs=1", "--out", tmp_path / "c")
    found = document(*words, *less)["methods"]
    assert found["auto"]["evaluations"] == 6 and found["random"]["evaluations"] == 2


POINTS = torch.randn(320, 2, generator=torch.Generator().manual_seed(0))
LABELS = (POINTS[:, 0] * POINTS[:, 1] > 0).long()
CHEAP = {"epochs": 15, "trials": 5, "finals": 2, "weights": {"lr": 0.2}, "count": True}


def task() -> Task:
    """Which of two signs are equal."""
    batches = list(zip(POINTS.split(32), LABELS.split(32), strict=True))
    return Task(batches[:6], batches[6:], loss=F.cross_entropy)


def own() -> Supernet:
    torch.manual_seed(0)
    kinds = {f"{width}": nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, 2)) for width in (2, 8, 32, 128)}
    return Supernet(nn.Sequential(OneOf({"line": nn.Linear(2, 2), **kinds}, name="kind")))


def test_a_module_of_ones_own_is_searched_and_handed_back_trained(tmp_path: Path) -> None:
    found = auto(own(), task(), out=tmp_path / "run", **CHEAP)
    assert found.architecture["kind"] in ("32", "128")
    assert found.finals["from"] == "nothing" and found.multiply_adds > 0 and "finals" in found.decided
    assert found.network is not None and task().evaluate(found.network) == pytest.approx(found.scores) and found.scores["accuracy"] > 0.9
    back = load(tmp_path / "run", own().model, POINTS[:2])
    assert torch.equal(back(POINTS), found.network.eval()(POINTS))
    assert "The best 2 by scores of untrained networks were trained from nothing" in (tmp_path / "run/report.html").read_text()


def test_a_module_of_ones_own_is_searched_to_the_same_end_after_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = auto(own(), task(), out=tmp_path / "whole", **CHEAP)
    with monkeypatch.context() as patch:
        patch.setattr(finals.FromScratch, "__call__", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(Interrupted):
            auto(own(), task(), out=tmp_path / "run", **CHEAP)
    again = auto(own(), task(), out=tmp_path / "run", resume=True, **CHEAP)
    assert (again.architecture, again.scores, again.multiply_adds) == (whole.architecture, whole.scores, whole.multiply_adds)
    with pytest.raises(InputError, match="epochs"):
        auto(own(), task(), out=tmp_path / "run", resume=True, **CHEAP | {"epochs": 30})


def test_a_module_of_ones_own_is_searched_within_its_bounds(tmp_path: Path) -> None:
    found = auto(own(), task(), limits={"params": 300}, out=tmp_path / "run", **CHEAP)
    assert found.limits["params"] == {"bound": 300, "holds": True} and found.finals["from"] == "nothing"
    assert found.costs["params"] == 162, "the largest within it"
    assert json.loads((tmp_path / "run/architecture.json").read_text())["limits"] == found.limits
    assert found.network is not None and task().evaluate(found.network) == pytest.approx(found.scores)


def test_what_reads_tokens_shares_weights_in_a_program_too(capsys: pytest.CaptureFixture[str]) -> None:
    tokens = [(torch.randint(5, (8, 4), generator=torch.Generator().manual_seed(0)), torch.randint(2, (8,))) for _ in range(2)]
    flat = {name: nn.Sequential(nn.Flatten(), nn.Linear(12, 2)) for name in "ab"}
    supernet = Supernet(nn.Sequential(nn.Embedding(5, 3), OneOf(flat)))
    found = auto(supernet, Task(tokens, tokens, loss=F.cross_entropy), epochs=1, trials=2, finals=2)
    assert found.finals["from"] == "shared" and "auto takes one-shot: synflow" in capsys.readouterr().err


@pytest.mark.parametrize(("wrong", "said"), [({"trials": 0}, "trials"), ({"finals": 0}, "finals"), ({"limits": {"params": 1}}, "params")])
def test_what_a_program_cannot_ask_for_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        auto(own(), task(), **CHEAP | wrong)
