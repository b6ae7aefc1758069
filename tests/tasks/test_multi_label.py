"""Several labels an image: the metric against scikit-learn's, the pictures that labels.csv describes, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from PIL import Image
from sklearn.metrics import average_precision_score

from supernet.data.multi_label import load
from supernet.errors import InputError
from supernet.tasks.multi_label import average_precisions, mean_average_precision


@pytest.mark.parametrize("levels", [3, 10_000])  # with and without scores that are alike
def test_average_precision_is_scikit_learns(levels: int) -> None:
    rng = torch.Generator().manual_seed(0)
    scores = torch.randint(levels, (200, 4), generator=rng).float()
    right = (torch.rand(200, 4, generator=rng) < torch.tensor([0.1, 0.3, 0.5, 0.0])).float()
    expected = [average_precision_score(right[:, i], scores[:, i]) for i in range(3)]
    assert average_precisions(scores, right)[:3].tolist() == pytest.approx(expected, abs=1e-12)
    assert float(mean_average_precision((scores, right))) == pytest.approx(sum(expected) / 3)  # the last label never holds
    assert float(mean_average_precision((scores, torch.zeros_like(right)))) == 0


def test_pairs_of_digits_are_always_the_same_and_share_no_digit_between_splits() -> None:
    found, again = load(), load()
    assert found.x_train.shape == (1437, 1, 8, 16) and found.x_test.shape == (360, 1, 8, 16)
    assert torch.equal(found.x_train, again.x_train) and torch.equal(found.y_test, again.y_test)
    assert set(found.y_train.sum(1).tolist()) == {1.0, 2.0}
    train, test = ({x.numpy().tobytes() for x in part[..., :8]} for part in (found.x_train, found.x_test))
    assert len(train & test) == 0


def pictures(folder: Path, text: str, names: tuple[str, ...] = ("a", "b", "c")) -> Path:
    (folder / "of").mkdir(parents=True)
    for i, name in enumerate(names):
        Image.fromarray(numpy.full((6, 8, 3), 10 * i, numpy.uint8)).save(folder / "of" / f"{name}.png")
    (folder / "labels.csv").write_text(text)
    return folder


def test_a_folder_is_described_by_its_labels(tmp_path: Path) -> None:
    lines = "file,split,cat,dog\nof/a.png,train,1,0\nof/b.png,test,1,1\nof/c.png,train,0,0\n"
    found = load(pictures(tmp_path / "pets", lines))
    assert (found.name, found.classes, found.shape) == ("pets", ("cat", "dog"), (3, 6, 8))
    assert found.y_train.tolist() == [[1, 0], [0, 0]] and found.y_test.tolist() == [[1, 1]]
    assert found.x_train[1].unique().tolist() == [20]
    assert load(tmp_path / "pets", (3, 4)).shape == (3, 3, 4)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("file,cat\nof/a.png,1\nof/b.png,2\n", "labels must be 0 or 1; there is 2"),
        ("file,cat\nof/a.png,1\nof/b.png,x\n", "line 3: cat must be a number; got 'x'"),
        ("file,cat\nof/a.png,1\nof/b.png\n", "line 3: 1 values for 2 columns"),
        ("file,cat\nof/a.png,1\nof/z.png,1\n", "z.png"),
        ("file,split,cat\nof/a.png,train,1\nof/b.png,val,1\n", "line 3: split must be train or test; got 'val'"),
        ("name,cat\nof/a.png,1\nof/b.png,1\n", "unknown column"),
        ("file,cat,cat\nof/a.png,1,1\nof/b.png,1,1\n", "every column needs a heading of its own"),
        ("file\nof/a.png\nof/b.png\n", "a column of numbers is needed"),
        ("file,cat\n", "at least 2 examples"),
    ],
)
def test_what_is_wrong_with_the_labels_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        load(pictures(tmp_path / "pets", text))


@pytest.mark.parametrize(("source", "says"), [("digit-pair", "digit-pairs"), ("none/of", "labels.csv does not exist")])
def test_a_set_that_is_not_there_is_refused(source: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        load(source)
