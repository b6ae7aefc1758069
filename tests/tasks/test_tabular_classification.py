"""Rows of a table and their classes: the metrics against scikit-learn's, what a table may be, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss
from torch import nn

from supernet.data.tabular_classification import load
from supernet.errors import InputError
from supernet.settings.sections import Machine
from supernet.tasks.tabular_classification import TabularClassification

DATA: dict[str, Any] = {"source": "breast-cancer", "limit": None, "batch_size": 50, "validation": 0.5}


def task(**more: Any) -> TabularClassification:
    found = TabularClassification.read({**DATA, **more}, Machine(), testing=True)
    assert isinstance(found, TabularClassification)
    return found


def test_scores_are_scikit_learns_over_the_whole_split() -> None:
    torch.manual_seed(1)
    made, model = task(), nn.Linear(30, 2)
    scored = made.evaluate(model, "test")
    with torch.no_grad():
        logits = torch.cat([model(x) for x, _ in made.data.each("test")])
    y = load().y_test
    assert scored["accuracy"] == pytest.approx(accuracy_score(y, logits.argmax(1)), abs=1e-6)
    assert scored["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(y, logits.argmax(1)), abs=1e-6)
    assert scored["loss"] == pytest.approx(log_loss(y, logits.double().softmax(1)), rel=1e-4)
    assert made.sizes == {"classes": 2, "shape": (30,)} and made.about["classes"] == ["malignant", "benign"]
    assert made.preprocessing["columns"][:2] == ["mean radius", "mean texture"]
    assert made.judged.name == "accuracy" and made.judged.counted


def test_every_split_keeps_the_proportions_of_the_classes() -> None:
    made = task()
    assert sum(made.counts.values()) == 569
    for split in ("train", "validation", "test"):
        benign = torch.cat([y for _, y in made.data.each(split)]).float().mean()
        assert benign == pytest.approx(357 / 569, abs=0.01)


def test_a_class_that_a_batch_lacks_counts_in_the_pass() -> None:
    metric = TabularClassification.scored["balanced_accuracy"]
    outputs, targets = torch.eye(3)[[0, 0, 1, 1, 0]], torch.tensor([0, 0, 0, 1, 1])  # two of three, one of two, none of the third class
    parts = [metric.taken("b", outputs[at], targets[at]) for at in (slice(0, 3), slice(3, 5))]
    assert metric.of_pass("b", parts, [3, 2]) == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_a_csv_file_names_its_classes(tmp_path: Path) -> None:
    rows = [("1", "5", "oak"), ("2", "6", "elm"), ("3", "7", "oak"), ("4", "8", "ash"), ("5", "9", "elm"), ("6", "0", "ash")]
    (tmp_path / "last.csv").write_text("\n".join(["height,girth,tree", *map(",".join, rows)]))
    found = load(tmp_path / "last.csv")
    assert found.classes == ("ash", "elm", "oak") and found.columns == ("height", "girth") and found.shape == (2,)
    assert len(found.y_train) + len(found.y_test) == 6 and "rows, are held out" in found.notes[0]
    (tmp_path / "named.csv").write_text("target,height,split\noak,1,train\nash,2,train\noak,3,test\n")
    found = load(tmp_path / "named.csv")
    assert (found.x_train.tolist(), found.y_train.tolist(), found.y_test.tolist()) == ([[1], [2]], [1, 0], [1])
    assert task(source=str(tmp_path / "last.csv")).sizes == {"classes": 3, "shape": (2,)}


def test_classes_that_are_numbers_stand_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,class\n" + "\n".join(f"{i},{1 + i % 10}" for i in range(20)))
    assert load(tmp_path / "t.csv").classes == tuple(map(str, range(1, 11)))


def test_arrays_have_rows_and_labels(tmp_path: Path) -> None:
    x, y = numpy.arange(24.0).reshape(12, 2), numpy.arange(12) % 3
    numpy.savez(tmp_path / "t.npz", x=x, y=y, classes=["low", "middle", "high"])
    found = load(tmp_path / "t.npz")
    assert found.columns == ("x_0", "x_1") and found.classes == ("low", "middle", "high") and found.x_train.dtype == torch.float32
    numpy.savez(tmp_path / "split.npz", x_train=x, y_train=y, x_test=x[:3], y_test=y[:3])
    assert load(tmp_path / "split.npz").x_test.tolist() == x[:3].tolist()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("class\na\nb\n", "a column is needed beside class"),
        ("x,class\n1,a\nred,b\n", "line 3: x must be a number; got 'red'"),
        ("x,class\n1,a\n2,\n", "line 3: class is empty; it must name a class"),
        ("x,target_a,target_b\n1,a,b\n2,a,b\n", "one column is the class, not 2: target_a, target_b"),
        ("x,class,split\n1,a,train\n2,b,test\n", "label 'b' is no class; the classes are a"),
    ],
)
def test_what_is_wrong_with_a_table_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=says):
        load(tmp_path / "t.csv")


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    numpy.savez(tmp_path / "short.npz", x=numpy.zeros((10, 2)), y=numpy.zeros(9, int))
    numpy.savez(tmp_path / "images.npz", x=numpy.zeros((10, 4, 4)), y=numpy.zeros(10, int))
    for source, says in (
        (tmp_path / "short.npz", "9 labels for 10 rows"),
        (tmp_path / "images.npz", r"rows are \(N, columns\)"),
        ("breast-cancr", "breast-cancer"),
        ("no/such.csv", "does not exist"),
    ):
        with pytest.raises(InputError, match=says):
            load(source)
