"""Finding an image set by name or by path."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
import torch

from supernet.data import SETS, images
from supernet.errors import InputError


@pytest.fixture
def no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("SUPERNET_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_digits_are_the_default_and_always_the_same() -> None:
    first, second = images.load(), images.load("digits")
    assert first.shape == (1, 8, 8) and first.x_train.dtype == torch.uint8 and len(first.classes) == 10
    assert len(first.x_train) + len(first.x_test) == 1797 and len(first.x_test) == 359
    assert torch.equal(first.x_test, second.x_test) and torch.equal(first.y_train, second.y_train)
    assert first.x_train.max() == 255 and first.x_train.unique().numel() == 17
    assert first.y_test.bincount().min() >= 34 and "359 of 1797" in first.notes[0]


def test_a_held_out_image_is_not_among_the_training_images() -> None:
    from sklearn.datasets import load_digits

    digits = images.load()
    rows = torch.cat([digits.x_train, digits.x_test]).flatten(1).tolist()
    original = numpy.rint(load_digits().data * (255 / 16)).astype(int).tolist()
    assert sorted(rows) == sorted(original)


@pytest.mark.parametrize("name", [name for name in SETS if name != "digits"])
def test_a_missing_set_says_where_it_was_looked_for_and_how_to_get_it(no_data: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("SUPERNET_DATA", "/nowhere/at-all")
    with pytest.raises(InputError) as error:
        images.load(name)
    said = str(error.value)
    assert f"{name} is not in /nowhere/at-all or data" in said and "\n" not in said
    assert SETS[name].folders[0] in said and ".gz" in said and "http" in said


def test_a_named_set_is_looked_for_in_the_environments_folder_before_the_local_one(no_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("data", "elsewhere"):
        (no_data / place / "cifar-10-batches-py").mkdir(parents=True)
    with pytest.raises(InputError, match=r"^data/cifar-10-batches-py/batches.meta is missing"):
        images.load("cifar10")
    monkeypatch.setenv("SUPERNET_DATA", str(no_data / "elsewhere"))
    with pytest.raises(InputError, match=r"elsewhere/cifar-10-batches-py/batches.meta is missing"):
        images.load("cifar10")


def test_unknown_names_and_missing_paths_are_told_apart(no_data: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'cifar10'"):
        images.load("cifar-10")
    for path in ("./cifar", "set.npz", str(no_data / "set")):
        with pytest.raises(InputError, match="does not exist"):
            images.load(path)
    with pytest.raises(InputError, match="unknown data set ''"):
        images.load("")
    (no_data / "set.csv").write_text("1,2")
    with pytest.raises(InputError, match=r"set\.csv is not a data set"):
        images.load("set.csv")


def test_a_folder_with_several_sets_asks_for_one(no_data: Path) -> None:
    (no_data / "cifar-10-batches-py").mkdir()
    (no_data / "cifar-100-python").mkdir()
    with pytest.raises(InputError, match=r"holds 2 data sets; name one: .*cifar-10-batches-py, .*cifar-100-python"):
        images.load(no_data)


def test_size_is_refused_where_it_would_be_ignored(no_data: Path) -> None:
    (no_data / "cifar-10-batches-py").mkdir()
    for source in ("digits", "cifar10", str(no_data)):
        with pytest.raises(InputError, match="size is for folders of pictures"):
            images.load(source, size=16)


def test_a_single_image_cannot_be_split(no_data: Path) -> None:
    numpy.savez(no_data / "one.npz", x=numpy.zeros((1, 4, 4), numpy.uint8), y=[0])
    with pytest.raises(InputError, match="one image cannot be split"):
        images.load("one.npz")


def test_every_known_set_says_in_one_line_what_it_is() -> None:
    assert next(iter(SETS)) == "digits"
    for known in SETS.values():
        assert known.about and known.cite and "\n" not in known.about + known.cite
