"""What is loaded, evaluated and exported is what was trained."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

import supernet
from supernet.commands import evaluate, export
from supernet.data import images
from supernet.errors import InputError, RunError
from supernet.plan.retrain import plan_retrain
from supernet.settings.commands import Retrain
from supernet.settings.given import settled
from supernet.workflow import delivery
from supernet.workflow.retraining import retrain_run

CELL = "[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 0), ('skip_connect', 1)]"
SAME = f"Genotype(normal={CELL}, normal_concat=[2, 3], reduce={CELL}, reduce_concat=[2, 3])"  # the swapped edges have one operation
TURNED = f"Genotype(normal={CELL}, normal_concat=[3, 2], reduce={CELL}, reduce_concat=[3, 2])"
RECURRENT = "Genotype(recurrent=[('tanh', 0), ('relu', 1), ('tanh', 0)], concat=[3, 1, 2])"


def retrained(architecture: str, out: Path, **more: Any) -> dict[str, Any]:
    flags = {"architecture": architecture, "epochs": 1, "threads": 1, **more}
    small = {"data.source": "digits", "data.limit": 96, "data.batch_size": 16, "network": {"channels": 4, "cells": 3}}
    return retrain_run(plan_retrain(settled(Retrain, None, [], {**small, "weights": {"lr": 0.05}, **flags})), out)


@pytest.mark.parametrize(
    "architecture",
    [pytest.param("darts-v2", marks=pytest.mark.slow), SAME, TURNED, "fairdarts-a"],
    ids=["darts-v2", "one operation", "turned concatenation", "fairdarts"],
)
def test_a_retraining_is_evaluated_with_the_weights_of_its_own_edges(architecture: str, tmp_path: Path) -> None:
    result = retrained(architecture, tmp_path / "run")
    scored = evaluate.run(evaluate.Evaluate(run=tmp_path / "run", batch_size=64))
    assert scored["loss"] == pytest.approx(result["test"]["loss"], rel=1e-5)
    assert export.run(export.Export(run=tmp_path / "run", out=tmp_path / "out", formats=["safetensors"]))["safetensors"]["difference"] == 0
    again = retrained(str(tmp_path / "run"), tmp_path / "again", initial=str(tmp_path / "run" / "weights.safetensors"))
    assert again["genotype"] == result["genotype"]
    assert evaluate.run(evaluate.Evaluate(run=tmp_path / "again", batch_size=64))["loss"] == pytest.approx(again["test"]["loss"], rel=1e-5)


def test_a_retrained_recurrent_cell_keeps_the_order_of_its_average(tmp_path: Path) -> None:
    small = {"hidden": 8, "hidden_dropout": 0.0}
    flags = {"architecture": RECURRENT, "epochs": 1, "threads": 1, "network": small, "data.limit": 3000, "data.source": "shakespeare"}
    result = retrain_run(plan_retrain(settled(Retrain, None, [], flags)), tmp_path / "run")
    stored = json.loads((tmp_path / "run" / "architecture.json").read_text())
    assert stored["genotype"] == RECURRENT
    network: Any = delivery.load(tmp_path / "run")
    assert network.cell.recurrence.concat == (3, 1, 2)
    scored = evaluate.run(evaluate.Evaluate(run=tmp_path / "run"))
    assert scored["perplexity"] == pytest.approx(result["test"]["perplexity"], rel=1e-5)


def edited(folder: Path, **changes: Any) -> None:
    path = folder / "architecture.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_weights_are_not_taken_by_an_architecture_that_was_changed(tmp_path: Path) -> None:
    retrained(SAME, tmp_path / "run")
    stored = json.loads((tmp_path / "run" / "architecture.json").read_text())
    edited(tmp_path / "run", genotype=stored["genotype"].replace("3x3', 1), ('sep_conv_3x3', 0)", "3x3', 0), ('sep_conv_3x3', 1)"))
    with pytest.raises(RunError, match="is of another network: outputs differ"):
        delivery.load(tmp_path / "run")
    edited(tmp_path / "run", genotype=stored["genotype"].replace("skip_connect", "max_pool_3x3"))
    with pytest.raises(InputError, match="says two networks"):
        delivery.load(tmp_path / "run")
    edited(tmp_path / "run", genotype=stored["genotype"], settings={**stored["settings"], "pool_norm": True})
    delivery.load(tmp_path / "run")  # this cell has no pooling, so it is the same network


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b[:-9] + bytes([b[-9] ^ 64]) + b[-8:]], ids=["cut", "flipped"])
def test_damaged_weights_end_every_command_in_one_line(damage: Any, tmp_path: Path) -> None:
    retrained(SAME, tmp_path / "run")
    path = tmp_path / "run" / "weights.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    for use in (
        lambda: supernet.load(tmp_path / "run"),
        lambda: evaluate.run(evaluate.Evaluate(run=tmp_path / "run", batch_size=64)),
        lambda: export.run(export.Export(run=tmp_path / "run", out=tmp_path / "out", formats=["safetensors"])),
    ):
        with pytest.raises(RunError, match=r"weights\.safetensors") as error:
            use()
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match=r"weights\.safetensors"):
        retrained(SAME, tmp_path / "again", initial=str(path))


@pytest.mark.slow
def test_the_script_of_the_guide_names_the_class_of_a_picture_without_supernet(tmp_path: Path) -> None:
    retrained(SAME, tmp_path / "run", epochs=3)
    export.run(export.Export(run=tmp_path / "run", out=tmp_path / "exported", formats=["onnx"]))
    guide = (Path(__file__).parents[2] / "docs" / "guide.md").read_text()
    (script,) = re.findall(r"^```python\n(# classify.py.*?)^```$", guide, re.DOTALL | re.MULTILINE)
    (tmp_path / "classify.py").write_text("import sys\nsys.modules['supernet'] = sys.modules['torch'] = None  # not there\n" + script)
    digits = images.load("digits")
    network, (mean, std) = supernet.load(tmp_path / "run"), mean_std_of(tmp_path / "run")
    answers = []
    for i in (0, 7, 100):
        Image.fromarray(digits.x_test[i, 0].numpy()).save(tmp_path / "picture.png")
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        done = subprocess.run([sys.executable, "classify.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        with torch.no_grad():
            expected = network((digits.x_test[i : i + 1] / 255 - mean) / std).argmax()
        answers.append(done.stdout.strip())
        assert answers[-1] == digits.classes[int(expected)]
    assert len(set(answers)) > 1


def mean_std_of(folder: Path) -> tuple[float, float]:
    said = json.loads((folder / "architecture.json").read_text())["preprocessing"]
    return said["mean"][0], said["std"][0]


class Own(nn.Module):
    """A module of one's own whose ``sign`` shows in no name and no shape of a tensor."""

    def __init__(self, sign: float = 1.0):
        super().__init__()
        self.sign = sign
        self.first, self.head = nn.Linear(6, 6), nn.Linear(6, 3)
        self.node = supernet.OneOf({"a": nn.Linear(6, 6), "b": nn.Tanh()})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.sign * self.node(torch.relu(self.first(x))))
        return out


def test_the_run_of_ones_own_module_is_bound_to_it(tmp_path: Path) -> None:
    torch.manual_seed(0)
    batches = [(torch.randn(16, 6), torch.randint(3, (16,))) for _ in range(4)]
    task = supernet.Task(batches[:2], batches[2:], loss=F.cross_entropy)
    found = supernet.search(supernet.Supernet(Own()), task, "darts", epochs=1, out=tmp_path / "run")
    assert found.network is not None
    x = torch.randn(5, 6)
    assert torch.equal(supernet.load(tmp_path / "run", Own(), *task.example)(x), found.network(x))
    with pytest.raises(RunError, match="is of another network"):
        supernet.load(tmp_path / "run", Own(-1.0), *task.example)
    for content in ("", "[]", '{"choices": 3}'):
        (tmp_path / "run" / "architecture.json").write_text(content)
        with pytest.raises(InputError, match=r"architecture\.json"):
            supernet.load(tmp_path / "run", Own(), *task.example)


def test_a_drawing_that_cannot_be_written_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"file/cell\.svg cannot be written"):
        delivery.draw_design("darts-v2", tmp_path / "file" / "cell.svg")
