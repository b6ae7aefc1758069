"""What every task promises, over the table of tasks: each goes all the way from data to a file that computes the same.

A task that is added gives its smallest settings here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from supernet import InputError
from supernet.commands import evaluate, export
from supernet.costs.count import params
from supernet.metrics import SHARE
from supernet.naming.catalogue import catalogue
from supernet.plan.retrain import plan_retrain
from supernet.plan.search import plan_search
from supernet.settings.commands import Retrain, Search
from supernet.settings.given import settled
from supernet.spaces import SPACES
from supernet.spaces import space as space_named
from supernet.tasks import TASKS, kind_for, task_kind
from supernet.workflow.delivery import load
from supernet.workflow.retraining import retrain_run
from supernet.workflow.searching import search_run

CELLS = {"space": "nasbench201", "supernet.channels": 4, "supernet.cells": 1, "network.channels": 4, "network.cells": 1}
SMALL: dict[str, dict[str, Any]] = {  # task -> its space and sizes
    "classification": CELLS,
    "multi-label": CELLS,
    "segmentation": {"space": "unet", "supernet.channels": 4, "supernet.levels": 2},
    "regression": {"space": "mlp", "supernet.channels": 8, "supernet.layers": 2},
    "tabular-classification": {"space": "mlp", "supernet.channels": 8, "supernet.layers": 2},
    "language": {"space": "darts-rnn", "data.text.steps": 12, "supernet.hidden": 8, "supernet.nodes": 2, "network.hidden": 8},
}
LIMIT = {"language": 6000}


def settings(task: str, method: str, **more: Any) -> Search:
    flags = {"method": method, "task": task, **SMALL[task], "data.limit": LIMIT.get(task, 120), "data.batch_size": 16}
    shared = {"supernet.batch_statistics": True} if task == "language" and method == "one-shot" else {}
    return settled(Search, None, [], {**flags, **shared, "threads": 1, "steps": 2, "estimator.calibration": 1, **more})


def stored(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "architecture.json").read_text())
    return found


def test_the_table_names_its_classes_and_every_space_its_tasks() -> None:
    assert {name: task_kind(name).name for name in TASKS} == {name: name for name in TASKS} == {name: name for name in SMALL}
    for space in SPACES:
        assert space_named(space).tasks and set(space_named(space).tasks) <= set(TASKS)
        assert kind_for(space).name == space_named(space).tasks[0]
    assert [entry["name"] for entry in catalogue("tasks")] == list(TASKS)
    with pytest.raises(InputError, match="classification"):
        task_kind("clasification")


LONG = ("classification", "language", "multi-label", "regression", "segmentation")


@pytest.mark.parametrize("task", [pytest.param(task, marks=pytest.mark.slow if task in LONG else ()) for task in TASKS])
def test_a_search_by_gradients_leads_to_a_delivered_network(tmp_path: Path, task: str) -> None:
    kind = task_kind(task)
    found = search_run(plan_search(settings(task, "darts")), tmp_path / "s")
    searched = stored(tmp_path / "s")
    judged = kind.judged_by()
    assert searched["task"] == task and found["validation"] == searched["scores"][f"validation_{judged.name}"]
    sizes = {name: value for name, value in SMALL[task].items() if not name.startswith(("supernet.", "space"))}
    flags = {"architecture": str(tmp_path / "s"), "data.limit": LIMIT.get(task, 120), "data.batch_size": 16, "epochs": 1, "threads": 1}
    trained = retrain_run(plan_retrain(settled(Retrain, None, [], {**sizes, **flags})), tmp_path / "r")
    assert stored(tmp_path / "r")["task"] == task  # as the run says
    assert set(trained["test"]) == {"loss", *kind.scored} and params(load(tmp_path / "r"), without=()) == trained["params"]
    other = None if task == "language" else 7  # other batches, the same numbers; of a text their number is part of the run
    scored = evaluate.run(evaluate.Evaluate(run=tmp_path / "r", batch_size=other))
    assert {name: scored[name] for name in trained["test"]} == pytest.approx(trained["test"], rel=1e-4) and scored["n"] > 0
    written = export.run(export.Export(run=tmp_path / "r", out=tmp_path / "x", formats=["onnx", "safetensors"]))
    assert written["onnx"]["difference"] < 1e-4
    about = json.loads((tmp_path / "x" / "model.json").read_text())
    assert about["inputs"][0]["shape"][kind.dimension] == "batch" and set(about["metadata"]["metrics"]) >= {f"test_{judged.name}"}
    assert set(kind.meant) <= set(about["metadata"]) and set(stored(tmp_path / "r")["preprocessing"]) <= set(about["metadata"])
    report = (tmp_path / "r" / "report.html").read_text()
    called = kind.scored[judged.name].label or judged.name.replace("_", " ")
    assert f"Test {called}" in report and ("%" in report or judged.unit != SHARE)


@pytest.mark.parametrize("task", TASKS)
def test_evolution_over_a_one_shot_supernet_finds_the_best_of_its_trials(tmp_path: Path, task: str) -> None:
    found = search_run(plan_search(settings(task, "one-shot", trials=3)), tmp_path / "s")
    judged = task_kind(task).judged_by()
    lines = [json.loads(line) for line in (tmp_path / "s" / "history.jsonl").read_text().splitlines()]
    tried = [line["scores"] for line in lines if line.get("outcome") == "scored"]
    assert len(tried) == 3 and found["validation"] == min(tried, key=lambda scores: scores["loss"])[judged.name]
