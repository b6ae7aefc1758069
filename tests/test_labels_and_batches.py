"""Data that a training cannot use is refused in one line, before the search where it can be known; a batch of one calibrates nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from supernet import InputError, OneOf, Supernet, Task, recalibrate, search
from supernet.data.batches import Batches
from supernet.data.images import load
from supernet.data.streams import Data
from supernet.estimators.shared import SharedWeights
from supernet.settings.sections import DataSettings
from supernet.tasks.classification import Classification


def net(norm: bool = False) -> Supernet:
    torch.manual_seed(0)
    options = {"linear": nn.Linear(4, 4), "skip": nn.Identity()}
    return Supernet(nn.Sequential(OneOf(options, name="a"), nn.BatchNorm1d(4) if norm else nn.Identity(), nn.Linear(4, 3)))


def loader(labels: Tensor, size: int = 4, **settings: Any) -> DataLoader[Any]:
    return DataLoader(TensorDataset(torch.randn(len(labels), 4), labels), size, **settings)


GOOD = torch.arange(12) % 3


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (torch.cat([GOOD, torch.tensor([7])]), "labels of the train data go from 0 to 7, and the network has 3 outputs, for labels 0 to 2"),
        (GOOD + 1, "go from 1 to 3, .*: number them from 0"),
        (GOOD - 1, "go from -1 to 1"),
        (GOOD.float(), "must be whole numbers .*; got float32 of shape"),
        (F.one_hot(GOOD), "loss of outputs .* and labels .int64 of shape .2, 3., from 0 to 1. cannot be taken"),
    ],
)
def test_labels_that_a_loss_cannot_index_are_refused_before_the_search(labels: Tensor, said: str) -> None:
    seen: list[Any] = []
    with pytest.raises(InputError, match=said) as caught:
        search(net(), Task(loader(labels), loader(GOOD), loss=F.cross_entropy), "darts", epochs=1, watch=lambda *given: seen.append(given))
    assert "\n" not in str(caught.value) and not seen


def test_labels_of_the_validation_data_are_looked_at_too() -> None:
    with pytest.raises(InputError, match="labels of the validation data go from 0 to 5"):
        search(net(), Task(loader(GOOD), loader(torch.arange(6)), loss=F.cross_entropy), "darts", epochs=1)


def test_a_bad_label_that_only_a_late_batch_has_is_said_in_one_line() -> None:
    batches = [(torch.randn(4, 4), torch.tensor([0, 1, 2, label])) for label in (0, 9)]
    with pytest.raises(InputError, match="Target 9 is out of bounds"):
        search(net(), Task(batches, batches[:1], loss=F.cross_entropy), "darts", epochs=1)


@pytest.mark.parametrize("labels", [torch.where(GOOD == 2, -100, GOOD), F.one_hot(GOOD).float()])
def test_ignored_labels_and_probabilities_are_taken(labels: Tensor) -> None:
    task = Task(loader(labels), loader(labels), loss=F.cross_entropy, metrics={})
    assert search(net(), task, "darts", epochs=1).architecture


def test_looking_at_the_data_first_changes_nothing_of_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for check in (Task.check, lambda *given: None):
        monkeypatch.setattr(Task, "check", check)
        torch.manual_seed(0)
        task = Task(loader(GOOD, shuffle=True), loader(GOOD), loss=F.cross_entropy)
        result = search(net(norm=True), task, "darts", epochs=2, seed=1)
        found.append([*result.supernet.state_dict().values()])  # type: ignore[union-attr]
    assert all(map(torch.equal, *found))


def last_of_one() -> list[tuple[Tensor, Tensor]]:
    return [(torch.randn(n, 4), torch.arange(n) % 3) for n in (4, 4, 1)]


@pytest.mark.parametrize(
    ("train", "before"),
    [
        (lambda: loader(GOOD, size=11), True),  # 11 and 1
        (lambda: loader(GOOD, size=1), True),
        (lambda: Batches(torch.randn(1, 4, 1, 1), torch.tensor([0]), 8, mean=(0,) * 4, std=(1,) * 4), True),
        (last_of_one, False),
    ],
)
def test_training_batch_norms_on_one_example_is_refused_in_one_line(train: Callable[[], Any], before: bool) -> None:
    model = Supernet(nn.Sequential(nn.Flatten(), *net(norm=True).model))
    task, stepped = Task(train(), loader(GOOD), loss=F.cross_entropy), []
    measure = task.measure
    task.measure = lambda *given: stepped.append(1) or measure(*given)  # type: ignore[func-returns-value, method-assign]
    buffers = [b.clone() for b in model.buffers()]
    with pytest.raises(InputError, match="batch of one example: use a larger batch size"):
        search(model, task, "darts", epochs=1)
    assert bool(stepped) != before
    assert not before or all(map(torch.equal, buffers, model.buffers()))


def test_single_examples_train_a_network_without_batch_norm() -> None:
    assert search(net(), Task(loader(GOOD, size=1), loader(GOOD), loss=F.cross_entropy), "darts", epochs=1).architecture


def test_a_loader_that_drops_all_it_has_says_why() -> None:
    with pytest.raises(InputError, match="batch size 64 is above what it has"):
        Task(loader(GOOD, size=64, drop_last=True), loss=F.cross_entropy)


def test_a_last_batch_of_one_calibrates_nothing() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4), nn.BatchNorm1d(4))
    batches = [torch.randn(8, 4), torch.randn(8, 4), torch.randn(1, 4)]
    states = []
    for used in (batches, batches[:2]):
        recalibrate(model, model, used)
        states.append({n: b.clone() for n, b in model.named_buffers()})
    assert all(torch.equal(b, states[1][n]) for n, b in states[0].items()) and int(states[0]["1.num_batches_tracked"]) == 2
    with pytest.raises(InputError, match="at least 2 examples"):
        recalibrate(model, model, batches[2:])


def test_shared_weights_are_scored_on_the_batches_that_training_has() -> None:
    x, y = torch.randn(33, 1, 2, 2), torch.arange(33) % 3
    flat = Supernet(nn.Sequential(nn.Flatten(), *net(norm=True).model))
    how: dict[str, Any] = {"mean": (0.0,), "std": (1.0,)}
    task = Task(Batches(x, y, 16, **how), Batches(x, y, 16, **how), loss=F.cross_entropy)
    estimate = SharedWeights(flat, task)
    assert [len(batch[1]) for batch in estimate.calibration] == [16, 16]
    assert estimate({"a": "skip"})["loss"] > 0
    every = Data(0, train=Batches(x, y, 16, drop_last=False, **how))
    assert [len(batch[1]) for batch in every.calibrating("train")] == [16, 16, 1]
    few = Data(0, train=Batches(x, y, 64, **how))
    assert [len(batch[1]) for batch in few.calibrating("train")] == [33]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["one-shot", "fbnet", "darts"])
def test_a_search_ends_where_one_image_is_left_over(cli: Callable[..., Any], method: str) -> None:
    space = "nasbench-macro" if method != "fbnet" else "fbnet"
    small = ["--channels", 4] if space == "nasbench-macro" else ["--recipe", "short"]
    given = ["--data", "digits", "--limit-data", 66, "--epochs", 1, "--trials", 3, "--batch-size", 32, "--out", "run"]
    done = cli("search", method, "--space", space, *small, *given)
    assert done.returncode == 0, done.stderr


def test_a_batch_larger_than_the_data_is_mentioned(capsys: pytest.CaptureFixture[str]) -> None:
    own = {**DataSettings().model_dump(), "source": "digits", "limit": 60}
    (said,) = Classification(load(), {**own, "batch_size": 31}, seed=0).before_training
    assert "the batch size 31 is above the 30 training examples" in said
    assert "batch size" not in capsys.readouterr().err  # which a command that trains prints
    assert not Classification(load(), {**own, "batch_size": 30}, seed=0).before_training
