"""``auto``: it takes what space and data allow, says why in a line, spends its budget on training, and goes on with what it took."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from command_line import called, document
from supernet import finals
from supernet.errors import InputError
from supernet.plan.auto import ADVICE, BUDGET, FINALISTS, SCORED, SCORES, first
from supernet.plan.budget import budget_of

SPACE = ("--space", "nasbench201", "--channels", 4, "--cells", 1, "--threads", 1)
SMALL = ("--data", "digits", "--limit-data", 240, "--batch-size", 32)


def settings(*words: object) -> Any:
    return document("search", "auto", *words, "--dry-run")["settings"]


def test_pictures_are_screened_by_scores_of_untrained_networks_and_the_best_are_trained() -> None:
    found = settings(*SPACE, *SMALL, "--budget", "24epochs")
    estimator = found["estimator"]
    assert (found["method"], found["trials"], estimator["name"]) == ("evolution", SCORED, SCORES)
    assert (estimator["finals"], estimator["epochs"]) == (FINALISTS, 24 // FINALISTS)
    assert settings(*SPACE, *SMALL, "--budget", "90steps")["steps"] == 90
    assert settings(*SPACE, *SMALL)["seconds"] == budget_of(BUDGET)[0]
    assert settings(*SPACE, *SMALL, "--trials", 20, "--set", "estimator.finals=3")["trials"] == 20, "what the user sets counts"


def test_what_reads_tokens_shares_weights() -> None:
    code, out, err = called("search", "auto", "--space", "darts-rnn", "--budget", "8steps", "--dry-run", "--json")
    assert code == 0, err
    found = json.loads(out)["settings"]
    assert (found["method"], found["steps"], found["estimator"]["finals"]) == ("one-shot", 8, 4)
    assert [line for line in err.splitlines() if "auto takes" in line] == [f"note: {ADVICE[1].said}"]
    assert "note: auto cannot take evolution: synflow is a score by inputs that are numbers" in err


def test_a_run_goes_on_by_the_method_that_was_taken_to_the_same_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("search", "auto", *SPACE, *SMALL, "--budget", "8epochs", "--trials", 10, "--max-params", 400_000, "--json", "--out")
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
    assert first["finals"]["trained"] == FINALISTS and first["limits"] == {"params": {"bound": 400_000.0, "holds": True}}
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
