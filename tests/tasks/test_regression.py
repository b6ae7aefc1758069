"""Numbers that are predicted: the metrics against scikit-learn's, what a table may be, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from PIL import Image
from sklearn.metrics import mean_absolute_error, r2_score
from torch import nn

from supernet.data.regression import load
from supernet.errors import InputError
from supernet.settings.sections import Machine
from supernet.tasks.regression import Regression

DATA: dict[str, Any] = {"source": "diabetes", "limit": None, "batch_size": 30, "validation": 0.5, "size": None}
DATA |= {"crop": None, "flip": None, "cutout": 0}


def task(**more: Any) -> Regression:
    found = Regression.read({**DATA, **more}, Machine(), testing=True)
    assert isinstance(found, Regression)
    return found


def test_scores_are_scikit_learns_in_the_unit_of_the_targets() -> None:
    made, model = task(), nn.Linear(10, 1)
    scored = made.evaluate(model, "test")
    with torch.no_grad():
        outputs = torch.cat([model(x) for x, _ in made.data.each("test")])
    given, mean, std = load(), *(torch.tensor(made.about[name]) for name in ("target_mean", "target_std"))
    predicted = outputs * std + mean
    assert scored["r2"] == pytest.approx(r2_score(given.y_test, predicted), abs=1e-5)
    assert scored["mae"] == pytest.approx(mean_absolute_error(given.y_test, predicted), rel=1e-5)
    assert made.about["targets"] == ["progression"] and made.preprocessing["columns"][:2] == ["age", "sex"]
    assert made.counts == {"training": 176, "validation": 177, "test": 89} or sum(made.counts.values()) == 442
    assert made.judged.larger and not made.metrics["mae"].larger


def test_a_table_names_its_targets(tmp_path: Path) -> None:
    lines = ["a,target_low,b,split,target_high"] + [f"{i},{2 * i},1,{'test' if i > 3 else 'train'},{3 * i}" for i in range(6)]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    found = load(tmp_path / "t.csv")
    assert found.classes == ("target_low", "target_high") and found.columns == ("a", "b") and found.shape == (2,)
    assert found.x_train.tolist() == [[i, 1] for i in range(4)] and found.y_test.tolist() == [[8, 12], [10, 15]]
    (tmp_path / "last.csv").write_text("a,b,price\n" + "\n".join(f"{i},{i},{i}" for i in range(10)))
    assert load(tmp_path / "last.csv").classes == ("price",)
    made = task(source=str(tmp_path / "t.csv"))
    assert made.sizes == {"classes": 2, "shape": (2,)}
    assert made.evaluate(nn.Linear(2, 2), "test")["loss"] > 0  # a column that never changes divides by one


def test_arrays_may_be_tables_or_images(tmp_path: Path) -> None:
    numpy.savez(tmp_path / "t.npz", x=numpy.arange(20.0).reshape(10, 2), y=numpy.arange(10))
    assert load(tmp_path / "t.npz").columns == ("x_0", "x_1") and load(tmp_path / "t.npz").classes == ("target",)
    images = numpy.zeros((10, 6, 8, 3), numpy.uint8)
    numpy.savez(tmp_path / "i.npz", x_train=images, y_train=numpy.zeros((10, 2)), x_test=images[:4], y_test=numpy.ones((4, 2)))
    found = load(tmp_path / "i.npz")
    assert (found.shape, len(found.x_test), found.classes) == ((3, 6, 8), 4, ("target_0", "target_1"))


def test_pictures_have_numbers_in_labels_csv(tmp_path: Path) -> None:
    for i in range(4):
        Image.fromarray(numpy.full((6, 8), 10 * i, numpy.uint8)).save(tmp_path / f"{i}.png")
    (tmp_path / "labels.csv").write_text("file,age\n" + "\n".join(f"{i}.png,{30 + i}" for i in range(4)))
    made = task(source=str(tmp_path), batch_size=2)
    assert made.sizes == {"classes": 1, "shape": (1, 6, 8)} and made.about["targets"] == ["age"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("price\n1\n2\n", "a column is needed beside price"),
        ("a,price\n1,2\n1,nan\n", "line 3: price must be a finite number"),
        ("a,price\n1,2\n1,cheap\n", "line 3: price must be a number; got 'cheap'"),
        ("a,split,price\n1,train,2\n1,train,2\n", "must name lines of both"),
    ],
)
def test_what_is_wrong_with_a_table_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=says):
        load(tmp_path / "t.csv")


def test_what_cannot_be_read_or_would_not_act_is_refused(tmp_path: Path) -> None:
    numpy.savez(tmp_path / "t.npz", x=numpy.zeros((10, 2)), y=numpy.zeros(9))
    for source, says in ((tmp_path / "t.npz", "as many x as y"), ("diabete", "diabetes"), ("no/such.csv", "does not exist")):
        with pytest.raises(InputError, match=says):
            load(source)
    with pytest.raises(InputError, match=r"data\.flip would have no effect: diabetes is a table"):
        task(flip=True)
