"""Recurrent cells from the command's settings to a report: search, resume, retrain beside an LSTM, evaluate, load, draw."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from command_line import document
from supernet import InputError, load
from supernet.commands import evaluate
from supernet.estimators.shared import SharedWeights
from supernet.naming.catalogue import catalogue
from supernet.naming.lookup import design
from supernet.naming.supernets import describe_space
from supernet.plan.chosen import choose
from supernet.plan.compare import plan_compare
from supernet.plan.profile import plan_profile
from supernet.plan.recipe import recipe_of
from supernet.plan.retrain import plan_retrain
from supernet.plan.search import plan_search
from supernet.settings.commands import Compare, Profile, Retrain, Search
from supernet.settings.given import settled
from supernet.spaces import lstm
from supernet.spaces import space as space_named
from supernet.stopping import Interrupted
from supernet.strategies import strategy
from supernet.strategies.by_length import ByLength
from supernet.strategies.clipped_darts import ClippedDARTS
from supernet.strategies.retrain import Retrain as Retraining
from supernet.tasks.language import LanguageModelling
from supernet.workflow.children import Children
from supernet.workflow.comparing import compare_run
from supernet.workflow.delivery import draw_design
from supernet.workflow.retraining import retrain_run
from supernet.workflow.searching import search_run

CELL = "Genotype(recurrent=[('relu', 0), ('tanh', 1)], concat=range(1, 3))"
SMALL = {"threads": 1, "data.limit": 8000, "data.batch_size": 16, "data.text.steps": 12}


def settings(method: str = "darts", **more: Any) -> Search:
    flags = {"method": method, "space": "darts-rnn", "supernet.hidden": 8, "supernet.nodes": 3, "network.hidden": 8}
    return settled(Search, None, [], {**SMALL, **flags, "steps": 4, "estimator.calibration": 2, **more})


def retraining(architecture: str | Path = CELL, **more: Any) -> Retrain:
    flags = {"architecture": str(architecture), "epochs": 1, "network.hidden": 8, "data.limit": 2500}
    return settled(Retrain, None, [], {**SMALL, **flags, **more})


def history(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "measured"} for line in lines]


def same_runs(a: Path, b: Path) -> bool:
    names = ("architecture.json", "weights.safetensors", "vocabulary.json")
    return history(a) == history(b) and all((a / n).read_bytes() == (b / n).read_bytes() for n in names)


@pytest.mark.parametrize("method", ["darts", pytest.param("darts-2nd", marks=pytest.mark.slow)])
def test_a_search_reads_the_embedded_text_by_the_papers_recipe(tmp_path: Path, method: str) -> None:
    result = search_run(plan_search(settings(method)), tmp_path / "s")
    stored = json.loads((tmp_path / "s" / "architecture.json").read_text())
    scores = stored["scores"]
    assert result["genotype"].startswith("Genotype(recurrent=[") and len(result["choices"]) == 6
    assert result["validation"] == scores["validation"] == scores["validation_perplexity"] == math.exp(scores["validation_loss"])
    assert result["params"] == stored["costs"]["params"] == design(str(tmp_path / "s")).describe()["params"]
    line = history(tmp_path / "s")[-1]
    assert line["learning_rate"] == 20.0 and set(line["validation"]) == {"loss", "perplexity"}
    assert "tokens" not in result.get("counted", "")  # both networks have the vocabulary of the text
    tokens = json.loads((tmp_path / "s" / "vocabulary.json").read_text())
    network = load(tmp_path / "s")
    assert network(torch.tensor([[tokens.index("t")], [tokens.index("h")]])).logits.shape == (2, 1, len(tokens))
    draw_design(str(tmp_path / "s"), tmp_path / "cell.svg")
    assert "Recurrent cell" in (tmp_path / "cell.svg").read_text()
    report = (tmp_path / "s" / "report.html").read_text()
    assert "Recurrent cell" in report and "Validation perplexity" in report and "sigmoid" in report


def test_second_order_on_recurrent_cells_clips_its_look_ahead() -> None:
    assert strategy("darts-2nd").load("darts-rnn") is ClippedDARTS
    with pytest.raises(InputError, match="order must be 2; got 1"):
        plan_search(settings("darts-2nd", **{"strategy.order": 1}))


def killed_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends at step ``steps``, whatever network is trained."""
    taken, step = [], ByLength.step

    def once(self: ByLength, data: Any) -> Any:
        if len(taken) == steps:
            raise KeyboardInterrupt
        taken.append(1)
        return step(self, data)

    monkeypatch.setattr(ByLength, "step", once)


@pytest.mark.slow
def test_a_killed_search_goes_on_to_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = settings("darts-2nd", save_every=0.0, steps=6)
    search_run(plan_search(wanted), tmp_path / "whole")
    with monkeypatch.context() as patched, pytest.raises(Interrupted):
        killed_after(3, patched)
        search_run(plan_search(wanted), tmp_path / "killed")
    search_run(plan_search(wanted), tmp_path / "killed", resume=True)
    assert same_runs(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.parametrize(
    "steps", [pytest.param(5, marks=pytest.mark.slow), 17]
)  # an epoch has 11: while the cell is trained, and while the LSTM is
def test_a_killed_retraining_goes_on_to_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    wanted = retraining(save_every=0.0)
    whole = retrain_run(plan_retrain(wanted), tmp_path / "whole")
    with monkeypatch.context() as patched, pytest.raises(Interrupted):
        killed_after(steps, patched)
        retrain_run(plan_retrain(wanted), tmp_path / "killed")
    assert (tmp_path / "killed" / "lstm" / "checkpoint.pt").exists() == (steps > 11)
    killed = retrain_run(plan_retrain(wanted), tmp_path / "killed", resume=True)
    assert same_runs(tmp_path / "whole", tmp_path / "killed")
    assert history(tmp_path / "whole" / "lstm") == history(tmp_path / "killed" / "lstm")
    assert all(whole[k] == killed[k] for k in ("test", "validation", "lstm"))


@pytest.mark.slow
def test_an_lstm_as_large_and_trained_as_long_stands_beside_a_retrained_cell(tmp_path: Path) -> None:
    search_run(plan_search(settings()), tmp_path / "s")
    found = retrain_run(plan_retrain(retraining(tmp_path / "s", **{"epochs": 2, "network.hidden": 12})), tmp_path / "r")
    beside = found["lstm"]
    assert abs(beside["params"] / found["params"] - 1) < 0.05
    assert sum(p.numel() for p in load(tmp_path / "r").parameters()) == found["params"]
    assert set(found["validation"]) == set(found["test"]) == set(beside["validation"]) == set(beside["test"]) == {"loss", "perplexity"}
    assert [line["epoch"] for line in history(tmp_path / "r" / "lstm")] == [line["epoch"] for line in history(tmp_path / "r")] == [1, 2]
    assert history(tmp_path / "r")[0]["learning_rate"] == 20.0 and history(tmp_path / "r")[0]["averaging"] is False
    report = (tmp_path / "r" / "report.html").read_text()
    assert "LSTM validation perplexity" in report and "Test perplexity" in report and (tmp_path / "r" / "lstm" / "report.html").exists()
    for split in ("test", "validation"):
        scored = evaluate.run(evaluate.Evaluate(run=tmp_path / "r", split=split))
        assert scored["perplexity"] == pytest.approx(found[split]["perplexity"], rel=1e-5) and scored["n"] > 0
    sizes = json.loads((tmp_path / "r" / "lstm" / "architecture.json").read_text())["settings"]
    loaded = load(tmp_path / "r" / "lstm", lstm.network(**sizes))  # a plain module: built anew, it takes its weights
    assert sum(p.numel() for p in loaded.parameters()) == beside["params"]


def test_the_lstm_does_not_depend_on_the_cell_that_was_trained_before(tmp_path: Path) -> None:
    other = CELL.replace("relu", "sigmoid").replace("tanh", "identity")
    first, second = (retrain_run(plan_retrain(retraining(cell)), tmp_path / str(i)) for i, cell in enumerate((CELL, other)))
    assert first["lstm"] == second["lstm"] and first["test"] != second["test"]


def test_a_batch_size_of_an_evaluation_is_refused_of_text() -> None:
    with pytest.raises(InputError, match="--batch-size would have no effect: a language model reads as many strands"):
        LanguageModelling.evaluated({}, 64)
    assert LanguageModelling.evaluated({"batch_size": 8}, None) == {"batch_size": 8}


def test_a_network_is_not_evaluated_on_a_text_of_other_tokens(tmp_path: Path) -> None:
    search_run(plan_search(settings(steps=1)), tmp_path / "s")
    (tmp_path / "other.txt").write_text("a quite different text. " * 200)
    with pytest.raises(InputError, match="another vocabulary"):
        evaluate.run(evaluate.Evaluate(run=tmp_path / "s", data=str(tmp_path / "other.txt")))


@pytest.mark.slow
def test_random_search_of_equal_cost_lowers_perplexity(tmp_path: Path) -> None:
    found = search_run(plan_search(settings(**{"baseline.name": "random", "baseline.trials": 2})), tmp_path / "s")
    tried = [line["scores"] for line in history(tmp_path / "s" / "baseline")]
    assert found["baseline"]["validation"] == min(scores["perplexity"] for scores in tried)
    assert found["baseline"]["found_trained_alike"] > 1


def test_a_searcher_trains_recurrent_networks_from_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = set()
    step = Retraining.step

    def noted(self: Retraining, data: Any) -> Any:
        rates.add(round(self.weights.lr, 6))
        return step(self, data)

    monkeypatch.setattr(Retraining, "step", noted)
    found = search_run(plan_search(settings("random", trials=2, steps=12)), tmp_path / "r")
    assert found["validation"] == min(line["scores"]["perplexity"] for line in history(tmp_path / "r"))
    assert rates <= {20.0, 10.0} and 20.0 in rates  # chunks of half the length take steps of half the rate


def test_scores_that_are_no_numbers_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SharedWeights, "__call__", lambda self, architecture: {"loss": math.nan, "perplexity": math.inf})
    found = search_run(plan_search(settings(steps=1)), tmp_path / "s")
    assert found["validation"] is None and json.dumps(found, allow_nan=False, default=str)
    assert "NaN" not in (tmp_path / "s" / "architecture.json").read_text()


@pytest.mark.parametrize(("name", "params", "macs"), [("darts-rnn-v1", 22_960_000, 22_950_000), ("enas-rnn", 27_295_000, 27_285_000)])
def test_published_cells_have_the_official_counts(tmp_path: Path, name: str, params: int, macs: int) -> None:
    described = design(name).describe()
    assert (described["params"], described["macs"]) == (params, macs)
    (tmp_path / "cell.txt").write_text(described["genotype"])
    for text in (described["genotype"], str(tmp_path / "cell.txt")):
        assert design(text).describe() == described
    assert name in [entry["name"] for entry in catalogue("architectures")]


def test_the_supernet_has_the_official_counts() -> None:
    described = describe_space("darts-rnn", "darts", {})
    assert (described["supernet_params"], described["alphas"]) == (4_810_000, 180)


def test_methods_are_compared_by_perplexity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Children, "run", lambda children, words, log, who: json.dumps(document(*words)))  # not in processes of their own
    monkeypatch.setattr("signal.signal", lambda number, handler: None)  # which a command in a thread cannot have
    flags = {"space": "darts-rnn", "supernet.hidden": 8, "supernet.nodes": 3, "final.epochs": 1, "estimator.calibration": 2}
    wanted = settled(Compare, None, [], {**SMALL, **flags, "trials": 2})
    found = compare_run(plan_compare(wanted, ["darts"], "3steps", 1), tmp_path / "c")
    assert found["metric"] == {"name": "perplexity", "larger": False, "unit": ""}
    line = json.loads((tmp_path / "c" / "results.jsonl").read_text().splitlines()[0])
    assert line["validation"] == found["methods"]["darts"]["validation"]["mean"] > 1
    assert not (tmp_path / "c" / "darts-0" / "final" / "lstm").exists()  # which has no part in the comparison
    assert "Perplexity, smaller is better" in (tmp_path / "c" / "report.html").read_text()


def test_recipes_lie_under_what_the_user_sets() -> None:
    images, text = space_named("darts"), space_named("darts-rnn")
    plain = choose(settled(Search, flags={"method": "darts", "space": "darts-rnn"}))
    data, weights = plain.recipe.data, plain.recipe.weights
    assert data["source"] == "shakespeare" and data["batch_size"] == 256 and "crop" not in data
    assert plain.strategy == {"alpha_lr": 3e-3, "alpha_betas": [0.9, 0.999]} and weights["decay"] == 5e-7
    flags = {"method": "one-shot", "space": "darts-rnn"}
    own = choose(settled(Search, sets=["weights.lr=5", "data.batch_size=8"], flags=flags))
    weights = own.recipe.weights
    assert (weights["lr"], weights["lr_min"], own.recipe.data["batch_size"], own.strategy) == (5, 5, 8, {})
    found = recipe_of(settled(Search), images)
    assert (found.data["source"], found.data["batch_size"], found.weights) == ("digits", 64, {}) and "text" not in found.data
    assert recipe_of(settled(Retrain), images).data["batch_size"] == 96
    assert recipe_of(settled(Retrain), text).data["batch_size"] == 64


def test_what_cannot_work_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="limits choose nothing in darts-rnn"):
        search_run(plan_search(settings(**{"limits.params": 1e6})), tmp_path / "s")
    with pytest.raises(InputError, match="unknown setting of a network of darts-rnn 'channels'"):
        retrain_run(plan_retrain(retraining(**{"network.channels": 4})), tmp_path / "s")
    with pytest.raises(InputError, match="unknown setting of retrain 'drop_path'"):
        retrain_run(plan_retrain(retraining(**{"retrain.drop_path": 0.1})), tmp_path / "s")
    with pytest.raises(InputError, match="latencies choose nothing in darts-rnn"):
        plan_profile(settled(Profile, flags={"space": "darts-rnn"}), tmp_path / "latency.json")
    with pytest.raises(InputError, match=r"data\.crop would have no effect: of data, the task language reads source, limit"):
        search_run(plan_search(settings(**{"data.crop": 4})), tmp_path / "s")
    with pytest.raises(InputError, match="the networks of darts-rnn are for language, not for classification"):
        search_run(plan_search(settings(task="classification")), tmp_path / "s")
    assert not (tmp_path / "s").exists()
