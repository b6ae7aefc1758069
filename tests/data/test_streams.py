"""The streams of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from supernet.data.augment import Augment
from supernet.data.batches import Batches
from supernet.data.streams import Data
from supernet.errors import InputError


def images(n: int = 13, seed: int = 0, train: bool = True) -> Batches:
    x = torch.randint(0, 256, (n, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Batches(x, torch.arange(n), 4, seed=seed, train=train, augment=Augment(crop=1), mean=[0.5], std=[0.2])


def of_batches() -> Data:
    return Data(train=images(13, 1), validation=images(7, 2), test=images(9, train=False))


def of_loaders() -> Data:
    train, validation = (DataLoader(TensorDataset(torch.arange(n), torch.arange(n) * 2), 4, shuffle=True) for n in (13, 7))
    return Data(3, train=train, validation=validation, test=[(torch.zeros(1), torch.ones(1))])


class Own:
    """A loader with a state of its own and nothing else."""

    def __init__(self, n: int = 5):
        self.n, self.place = n, 0

    def __len__(self) -> int:
        return self.n

    def __iter__(self) -> Iterator[Tensor]:
        while self.place % self.n or self.place == 0:
            self.place += 1
            yield torch.tensor([self.place])
        self.place = 0

    def state_dict(self) -> dict[str, int]:
        return {"place": self.place}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.place = state["place"]


def of_own_loaders() -> Data:
    return Data(train=Own(5), validation=Own(3), test=Own(2))


def seen(batch: object) -> list[object]:
    parts = batch if isinstance(batch, (tuple, list)) else [batch]
    return [part.tolist() for part in parts]


@pytest.mark.parametrize("make", [of_batches, of_loaders, of_own_loaders])
@settings(deadline=None, max_examples=25)
@given(pulls=some.lists(some.sampled_from(["train", "validation"]), max_size=12))
def test_a_killed_run_goes_on_at_exactly_the_next_batch(make: Callable[[], Data], pulls: list[str]) -> None:
    going, resumed = make(), make()
    for name in pulls:
        going.next(name)
    resumed.next("train")  # what was under way is dropped
    resumed.load_state_dict(going.state_dict())
    for name in ["train", "validation"] * 5:
        assert seen(going.next(name)) == seen(resumed.next(name))


@pytest.mark.parametrize("make", [of_batches, of_loaders, of_own_loaders])
@settings(deadline=None, max_examples=10)
@given(pulled=some.integers(0, 6), looked_at=some.integers(0, 3))
def test_evaluation_does_not_disturb_what_is_next(make: Callable[[], Data], pulled: int, looked_at: int) -> None:
    quiet, evaluated = make(), make()
    for _ in range(pulled):
        quiet.next("train")
        evaluated.next("train")
    for _ in range(6):
        whole = [seen(batch) for batch in evaluated.each("train")]
        broken_off = evaluated.each("train")
        assert [seen(next(broken_off)) for _ in range(looked_at)] == whole[:looked_at]
        assert len(whole) >= evaluated.steps("train")
        assert seen(quiet.next("train")) == seen(evaluated.next("train"))


def test_evaluation_of_training_images_is_in_order_complete_and_not_augmented() -> None:
    data = of_batches()
    data.next("train")
    batches = list(data.each("train"))
    assert torch.cat([y for _, y in batches]).tolist() == list(range(13))
    assert torch.equal(batches[0][0], next(iter(images().in_order()))[0])


def test_next_begins_a_new_pass_where_one_ends() -> None:
    data = of_batches()
    labels = [data.next("train")[1].tolist() for _ in range(2 * data.steps("train"))]
    first, second = ([label for batch in part for label in batch] for part in (labels[:3], labels[3:]))
    assert data.steps("train") == 3 and len(set(first)) == len(set(second)) == 12 and first != second


def test_streams_of_loaders_shuffle_apart_and_by_the_seed() -> None:
    def order(seed: int, name: str) -> list[int]:
        data = Data(seed, **{name: DataLoader(TensorDataset(torch.arange(50)), 50, shuffle=True)})
        return list(data.next(name)[0])
    assert order(0, "train") == order(0, "train") != order(0, "validation") and order(0, "train") != order(1, "train")


def test_every_batch_that_leaves_is_prepared() -> None:
    data = Data(0, lambda batch: ("prepared", batch), train=images(), own=Own(2), plain=[1, 2])
    for name in ("train", "own", "plain"):
        assert {first for first, _ in [data.next(name), *data.each(name)]} == {"prepared"}


def test_unknown_streams_are_named() -> None:
    data = of_batches()
    assert data.has("validation") and not data.has("valid")
    for use in (data.next, data.steps, data.each):
        with pytest.raises(InputError, match="did you mean 'validation'"):
            use("valid")
    with pytest.raises(InputError, match="known: train"):
        Data(train=images()).next("x")


def test_a_state_of_other_streams_is_refused() -> None:
    with pytest.raises(InputError, match="saved data streams are test, train, validation; these are train"):
        Data(train=images()).load_state_dict(of_batches().state_dict())


def test_streams_without_data_are_refused() -> None:
    with pytest.raises(InputError, match="no data"):
        Data()
    with pytest.raises(InputError, match="no batches"):
        Data(train=[])
    with pytest.raises(InputError, match="no batches"):
        Data(train=Own(0))
