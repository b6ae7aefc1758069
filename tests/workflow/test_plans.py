"""What a dry run prints and refuses, what config.yaml holds, and that a run goes on under the same settings alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
import yaml
from pydantic import BaseModel
from safetensors.torch import save_file

from command_line import called, document
from supernet.recipes import recipe
from supernet.settings.commands import Compare, Profile, Retrain, Search
from supernet.settings.given import NOT_FOR_USERS, defaults, keywords
from supernet.settings.sections import SEARCHER
from supernet.spaces import space as space_named
from supernet.strategies import STRATEGIES
from supernet.strategies.weights import Weights

BENCH = ("--space", "nasbench201", "--channels", 4, "--cells", 1, "--limit-data", 64, "--batch-size", 16, "--threads", 1)
CELLS = ("--space", "darts", "--channels", 12, "--cells", 5, "--limit-data", 64, "--batch-size", 16, "--threads", 1)
CELLS += ("--set", "supernet.nodes=1", "--set", "network.cells=3")
TEXT = ("--space", "darts-rnn", "--limit-data", 4000, "--batch-size", 4, "--set", "supernet.hidden=8", "--set", "network.hidden=8")


pytestmark = pytest.mark.usefixtures("untold")


def plan(*words: object) -> Any:
    return document(*words, "--dry-run")


def home(method: str) -> tuple[object, ...]:
    """Words for a small search by a method, in a space that it is for."""
    if method in ("fbnet", "proxyless", "proxyless-rl"):
        return ("--space", "fbnet", "--set", "supernet.width=0.25", "--limit-data", 64, "--batch-size", 16, "--threads", 1)
    if method in ("single-path", "densenas"):
        return ("--space", method, "--set", "supernet.width=0.25", "--limit-data", 64, "--batch-size", 16, "--threads", 1)
    if method in ("bignas", "attentive"):  # which need sizes
        return ("--space", "mobile-small", "--set", "supernet.width=0.25", "--limit-data", 64, "--batch-size", 16, "--threads", 1)
    if method == "smash":
        return ("--space", "smash", "--set", "supernet.layers=2", "--limit-data", 64, "--batch-size", 16, "--threads", 1)
    if method == "ofa":
        return ("--space", "ofa-proxyless", "--set", "supernet.width=0.25", "--limit-data", 64, "--batch-size", 16, "--threads", 1)
    return CELLS


@pytest.mark.parametrize("method", [name for name in STRATEGIES if name not in ("gdas-frc", "beta-darts", "darts-plus", "sdarts-adv")])
def test_a_dry_run_prints_every_setting_of_every_method_with_its_value(method: str) -> None:
    settings = plan("search", method, *home(method))["settings"]
    found, space = settings["resolved"], settings["space"]
    strategy = STRATEGIES[method].load(space)
    assert found["strategy"].keys() == keywords(strategy, NOT_FOR_USERS["strategy"]).keys()
    usual = {name: value for name, value in defaults(strategy, NOT_FOR_USERS["strategy"]).items() if value is not None}
    assert found["strategy"].items() >= json.loads(json.dumps(usual)).items()
    assert found["supernet"].keys() == keywords(space_named(space).supernet.sizes).keys()
    assert found["network"].keys() == keywords(space_named(space).network.sizes).keys()
    assert found["weights"].items() >= {k: v for k, v in strategy.recipe.items() if v is not None}.items()
    able = {*keywords(Weights, NOT_FOR_USERS["weights"]), *keywords(strategy.trainer)}
    assert found["weights"].keys() <= able and found["weights"]["lr"] > 0
    assert found["data"]["crop"] is not None and found["data"]["flip"] is not None
    assert ("searcher" in found) == (not strategy.decides)
    assert strategy.decides or found["searcher"]["name"] == {"spos": "genetic", "smash": "perturbation"}.get(method, SEARCHER)


@pytest.mark.parametrize(
    "words",
    [
        ("search", "darts", *BENCH, "--steps", 1, "--set", "alarm.every=0", "--set", "weights.lr=0.1"),
        ("search", "evolution", *BENCH, "--trials", 2),
        ("search", "one-shot", *TEXT, "--steps", 1, "--trials", 1, "--threads", 1),
        ("retrain", "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|", *BENCH[2:], "--epochs", 1),
    ],
    ids=["gradient", "searcher", "text", "retrain"],
)
def test_config_of_a_run_is_what_its_dry_run_printed_and_starts_an_equal_one(words: tuple[object, ...], tmp_path: Path) -> None:
    printed = plan(*words, "--out", tmp_path / "r")["settings"]
    assert not (tmp_path / "r").exists()
    code, _, err = called(*words, "--out", tmp_path / "r")
    assert code == 0, err
    assert yaml.safe_load((tmp_path / "r/config.yaml").read_text()) == printed
    again = plan(*words[:2], "--config", tmp_path / "r/config.yaml", "--out", tmp_path / "s")["settings"]
    assert again == printed


CHANGED = {"weights.lr": 0.5, "strategy.alpha_lr": 0.1, "supernet.channels": 8, "data.crop": 2, "steps": 3, "limits.params": 1e6}
ALSO_CHANGED = {
    **{"weights.accumulate": 2, "strategy.warmup": 1, "network.cells": 2, "data.validation": 0.4, "seed": 1, "estimator.calibration": 3},
    **{"judge.every": 2, "baseline.trials": 5, "autocast": "bfloat16", "trials": 3},
}


@pytest.mark.parametrize("changes", [CHANGED, pytest.param(ALSO_CHANGED, marks=pytest.mark.slow)], ids=["some", "others"])
def test_a_search_resumed_with_any_other_setting_is_refused_by_name_and_without_any_goes_on(
    changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("search", "darts", *BENCH, "--steps", 2, "--set", "alarm.every=0", "--out", tmp_path / "r")
    assert called(*words)[0] == 0
    resumed = ("search", "darts", "--space", "nasbench201", "--out", tmp_path / "r", "--resume")
    for name, value in changes.items():
        code, _, err = called(*resumed, "--set", f"{name}={value}")
        assert code == 2 and f"({name})" in err, (name, err)
    before = (tmp_path / "r/config.yaml").read_text()
    code, _, err = called(*resumed)
    assert code == 0, err
    assert (tmp_path / "r/config.yaml").read_text() == before
    monkeypatch.setattr(Weights, "usual", {**Weights.usual, "momentum": 0.5})
    code, _, err = called(*resumed)
    assert code == 2 and "(resolved.weights.momentum)" in err, err


def test_a_budget_is_the_length_of_a_training_whatever_a_file_says_of_it(tmp_path: Path) -> None:
    (tmp_path / "long.yaml").write_text("steps: 500\nseconds: 60\n")
    words = ("search", "one-shot", *BENCH, "--dry-run", "--config", tmp_path / "long.yaml", "--budget")
    lengths = {"3epochs": (3, None, None), "7steps": (50, 7, None), "90s": (50, None, 90.0)}
    for budget, length in lengths.items():
        settings = document(*words, budget)["settings"]
        assert (settings["epochs"], settings["steps"], settings["seconds"]) == length


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("one-shot", "--budget", "3evals"), "unknown unit of --budget 'evals'; known: epochs, steps, s"),
        (("one-shot", "--budget", "long"), "--budget is a number with a unit (epochs, steps, s), for example 300epochs"),
        (("one-shot", "--budget", "3epochs", "--steps", 5), "--budget and --steps both say how long the training is"),
        (("evolution", "--budget", "3epochs"), "evolution trains no supernet; --trials says how many"),
    ],
)
def test_a_budget_that_says_nothing_of_a_training_is_refused(words: tuple[str, ...], said: str) -> None:
    code, _, err = called("search", *words, *BENCH, "--dry-run")
    assert code == 2 and said in err, err


def test_each_method_of_a_comparison_has_its_own_recipe_under_what_the_user_sets() -> None:
    words = ("compare", "fbnet,proxyless", "--space", "fbnet", "--data", "digits", "--budget", "2epochs", "--dry-run", "--recipe", "short")
    sizes = ("--set", "supernet.stem=cifar", "--set", "supernet.width=0.25", "--set", "supernet.depths=[1,1,1,1,1,1,1]")
    plan = document(*words, *sizes, "--batch-size", 16)
    assert plan["settings"]["recipe"] == "short"
    rates = {name: plan["methods"][name]["weights"]["lr"] for name in ("fbnet", "proxyless")}
    assert rates == {"fbnet": recipe("short", "fbnet", "fbnet")["weights"]["lr"], "proxyless": 0.025}
    assert {own["data"]["batch_size"] for own in plan["methods"].values()} == {16}
    assert {own["data"]["limit"] for own in plan["methods"].values()} == {5000}


def test_a_retraining_resumed_with_any_other_setting_is_refused_by_name_and_without_any_goes_on(tmp_path: Path) -> None:
    text = "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"
    assert called("retrain", text, *BENCH[2:], "--epochs", 1, "--out", tmp_path / "r")[0] == 0
    for name, value in {"weights.lr": 0.5, "network.cells": 2, "data.cutout": 1, "epochs": 2}.items():
        code, _, err = called("retrain", text, "--out", tmp_path / "r", "--resume", "--set", f"{name}={value}")
        assert code == 2 and f"({name})" in err, (name, err)
    code, _, err = called("retrain", text, "--out", tmp_path / "r", "--resume")
    assert code == 0, err


@pytest.mark.parametrize("more", [(), ("--dry-run",)], ids=["run", "plan"])
@pytest.mark.parametrize("name", ["auxiliary", "drop_path"])
def test_a_setting_of_a_retraining_that_its_network_has_no_part_for_is_refused(name: str, more: tuple[str, ...], tmp_path: Path) -> None:
    text = "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"
    words = ("retrain", text, *BENCH[2:], "--epochs", 1, "--out", tmp_path / "r", *more)
    code, _, err = called(*words, "--set", f"retrain.{name}=0.1")
    assert code == 2 and f"error: retrain.{name}" in err, err
    assert not (tmp_path / "r").exists()
    assert called(*words, "--set", f"retrain.{name}=0")[0] == 0


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what mistakes are about: tables of other spaces, a run, files."""
    folder = tmp_path_factory.mktemp("mistakes")
    numpy.savez(folder / "other.npz", ops=numpy.array([[0], [1]]), op_names=numpy.array(["a", "b"]), val=numpy.ones(2), test=numpy.ones(2))
    table = {"format": 1, "kind": "latency", "space": "fbnet", "settings": {}, "shape": [3, 32, 32], "choices": {"a": ["x"]}}
    table |= {"machine": {}, "costs": {"latency": {"unit": "ms", "entries": []}}}
    (folder / "latency.json").write_text(json.dumps(table))
    (folder / "file").write_text("text")
    (folder / "run").mkdir()
    (folder / "run/config.yaml").write_text("command: search\n")
    save_file({"x": torch.zeros(1)}, folder / "other.safetensors")
    numpy.savez(folder / "one.npz", x_train=numpy.zeros((1, 1, 8, 8), "uint8"), y_train=numpy.zeros(1, "int64"))
    return folder


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("search", "darts", *BENCH, "--data", "{}/nowhere"), "does not exist"),
        (("search", "darts", *BENCH, "--data", "{}/one.npz"), "at least 2"),
        (("search", "darts", *BENCH, "--out", "{}/run"), "already holds a run"),
        (("search", "darts", *BENCH, "--out", "{}/file/run"), "cannot be written"),
        (("search", "darts", *BENCH, "--out", "{}/none", "--resume"), "nothing to resume"),
        (("search", "random", *BENCH[:6], "--table", "{}/other.npz"), "the space has 6 choices, the table 1"),
        (("search", "darts", *BENCH, "--judge", "{}/other.npz"), "the space has 6 choices, the table 1"),
        (("search", "darts", *BENCH, "--max-latency", "1ms", "--latency-table", "{}/latency.json"), "another network"),
        (("search", "darts", *BENCH, "--max-latency", "1ms", "--latency-table", "{}/file"), "not a latency table"),
        (("search", "darts", *BENCH, "--max-latency", "1ms", "--latency-table", "{}/nowhere"), "does not exist"),
        (("search", "darts", *BENCH, "--set", "initial={}/other.safetensors"), "fits the model"),
        (("search", "darts", *BENCH, "--set", "initial={}/nowhere"), "cannot be read"),
        (("search", "random", *BENCH, "--set", "initial={}/other.safetensors"), "would have no effect"),
        (("search", "random", *BENCH, "--baseline", "random"), "random is the baseline itself"),
        (("search", "evolution", *BENCH[:6], "--table", "{}/other.npz", "--baseline", "random"), "compared by supernet compare"),
        (("search", "darts", *BENCH, "--max-params", 9e5, "--set", "limits.least=0.9"), "strategy.fill says how it uses a bound"),
        (("search", "random", *BENCH, "--set", "limits.least=0.9"), "nothing is bound"),
        (("search", "random", *BENCH, "--max-params", 9e5, "--set", "limits.least=1.5"), "limits.least"),
        (("search", "random", *BENCH[:6], "--table", "{}/other.npz", "--steps", 3), "steps would have no effect"),
        (("search", "darts", *BENCH, "--steps", 3, "--set", "seconds=3"), "give one of them"),
        (("search", "darts", *BENCH, "--set", "network.channels=1000000000"), "must be at most"),
        (("search", "darts", "--space", "nasbench201", "--channels", 60_000), "GB of memory"),
        (("search", "darts", *BENCH, "--set", "strategy.hessian=x"), "hessian"),
        (("search", "darts", *BENCH, "--set", "strategy.stops=[x]"), "unknown"),
        (("search", "drnas", "--space", "darts", "--channels", 6, "--cells", 3), "channels"),
        (("search", "p-darts", *CELLS, "--set", "strategy.stages=[{cells: 5}, {cells: 1}, {cells: 6}]"), "stage 2"),
        (("search", "p-darts", *CELLS, "--set", "strategy.stages=[{cells: 5}, {cels: 1}, {cells: 6}]"), "did you mean 'cells'"),
        (("search", "single-path", *BENCH), "SuperKernelBlock"),
        (("retrain", "darts-v2", "--data", "{}/nowhere"), "does not exist"),
        (("retrain", "darts-v2", "--out", "{}/run"), "already holds a run"),
        (("retrain", "darts-v2", "--set", "initial={}/other.safetensors"), "fits the model"),
        (("retrain", "darts-v2", "--set", "network.cells=0"), "cells must be at least 1"),
        (("compare", "darts", *BENCH, "--budget", "1epochs", "--data", "{}/nowhere"), "does not exist"),
        (("compare", "darts", *BENCH, "--budget", "1epochs", "--set", "final.weights.lr=-1"), "lr must be above 0"),
        (("compare", "darts", *BENCH, "--budget", "1epochs", "--set", "methods.dart.epochs=1"), "did you mean 'darts'"),
        (("compare", "random", *BENCH[:6], "--table", "{}/other.npz", "--budget", "3evals"), "the space has 6 choices"),
        (("compare", "random", *BENCH[:6], "--table", "{}/other.npz", "--set", "limits.storage=1"), "the space has 6 choices"),
        (("profile", "--space", "nasbench201", "--out", "l.json", "--collect", "{}/nowhere.csv"), "cannot be read"),
        (("profile", "--space", "nasbench201", "--out", "{}/file/l.json"), "cannot be written"),
        (("profile", "--space", "nasbench201", "--out", "l.json", "--backend", "tensorrt"), "unknown backend"),
        (("profile", "--space", "nasbench201", "--out", "l.json", "--channels", 0), "channels must be at least 1"),
    ],
    ids=lambda value: value.replace("{}/", "") if isinstance(value, str) else None,
)
def test_a_dry_run_refuses_what_the_command_would_in_one_line(
    words: tuple[object, ...], message: str, there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = called(*(word.replace("{}", str(there)) if isinstance(word, str) else word for word in words), "--dry-run")
    last = err.splitlines()[-1]
    assert code in (1, 2) and out == "" and last.startswith("error: ") and message in last
    assert [line for line in err.splitlines() if not line.startswith(("error: ", "note: ", "warning: "))] == []
    assert not list(tmp_path.iterdir())


def test_defaults_of_a_signature_are_those_that_its_class_takes() -> None:
    assert defaults(STRATEGIES["darts-2nd"].load())["order"] == 2 and defaults(STRATEGIES["darts"].load())["order"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("command", ["search", "retrain", "compare", "profile"])
def test_odd_values_of_every_setting_end_in_one_line_or_a_plan(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way of a command, up to its first step; each setting meets a part of the odd values, by turns."""
    monkeypatch.chdir(tmp_path)
    words: dict[str, tuple[type[BaseModel], tuple[object, ...]]] = {
        "search": (Search, ("search", "darts", *BENCH)),
        "retrain": (Retrain, ("retrain", "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|", *BENCH[2:])),
        "compare": (Compare, ("compare", "darts", *BENCH, "--budget", "2steps")),
        "profile": (Profile, ("profile", *BENCH[:6], "--out", "l.json")),
    }
    odd = ("[1]", "{}", "x", "null", "true", "-1", "0", "1.5", "nan", "inf", "1e30", "1000000000000", "9" * 6000, "'\\0'", "/")
    model, given = words[command]
    flat = [f"{n}.{m}" if m else n for n, v in model().model_dump().items() for m in (v if isinstance(v, dict) and v else [""])]
    for i, name in enumerate(flat):
        for value in (odd[(i + j) % len(odd)] for j in range(0, len(odd), 3)):
            code, out, err = called(*given, "--set", f"{name}={value}", "--dry-run")
            assert code == 0 or (code == 2 and out == "" and err.splitlines()[-1].startswith("error: ")), (name, value[:40], err[-300:])
