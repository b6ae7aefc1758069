"""A user's own loader under our protocol."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from torch.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler
from torch.utils.data.distributed import DistributedSampler

from supernet.data.replayed import Replayed
from supernet.errors import InputError


class Noisy(Dataset[tuple[int, float, float, float]]):
    """Draws from all three global generators, as augmenting data sets do."""

    def __len__(self) -> int:
        return 11

    def __getitem__(self, i: int) -> tuple[int, float, float, float]:
        return i, torch.rand(()).item(), random.random(), numpy.random.rand()


def plain() -> DataLoader[object]:
    return DataLoader(Noisy(), batch_size=3, shuffle=True)


def with_generator() -> DataLoader[object]:
    return DataLoader(Noisy(), batch_size=3, shuffle=True, generator=torch.Generator().manual_seed(99))


def with_replacement() -> DataLoader[object]:
    sampler = RandomSampler(Noisy(), replacement=True, num_samples=11, generator=torch.Generator())
    return DataLoader(Noisy(), batch_size=3, sampler=sampler)


def distributed() -> DataLoader[object]:
    return DataLoader(Noisy(), batch_size=2, sampler=DistributedSampler(Noisy(), num_replicas=2, rank=0, shuffle=True))


LOADERS = [plain, with_generator, with_replacement, distributed]


def flat(batch: object) -> list[list[float]]:
    return [part.tolist() for part in batch]  # type: ignore[attr-defined]


def several(loader: Replayed, count: int) -> list[list[list[float]]]:
    taken: list[list[list[float]]] = []
    while len(taken) < count:
        for batch in loader:
            taken.append(flat(batch))
            if len(taken) == count:
                break
    return taken


@pytest.mark.parametrize("make", LOADERS)
@settings(deadline=None, max_examples=15)
@given(taken=some.integers(0, 9), seed=some.integers(0, 5))
def test_a_state_taken_after_any_batch_gives_the_same_rest(make: object, taken: int, seed: int) -> None:
    replayed, resumed = (Replayed(make(), seed) for _ in "ab")  # type: ignore[operator]
    several(replayed, taken)
    torch.rand(taken + 1)  # the program goes on drawing
    resumed.load_state_dict(replayed.state_dict())
    assert several(replayed, 6) == several(resumed, 6)


@pytest.mark.parametrize("make", LOADERS)
def test_passes_differ_and_are_functions_of_the_seed(make: object) -> None:
    first, again, other = (Replayed(make(), seed) for seed in (1, 1, 2))  # type: ignore[operator]
    passes = [[flat(batch) for batch in first] for _ in range(3)]
    assert passes[0] != passes[1] != passes[2] != passes[0]
    assert [[flat(batch) for batch in again] for _ in range(3)] == passes
    assert flat(next(iter(other)))[1:] != passes[0][0][1:]


def test_the_programs_random_numbers_are_the_same_with_and_without_the_loader() -> None:
    def drawn(use: bool) -> list[object]:
        torch.manual_seed(5)
        random.seed(5)
        numpy.random.seed(5)
        numbers: list[object] = []
        batches = iter(Replayed(plain(), 0))
        for _ in range(4):
            if use:
                next(batches)
            numbers += [torch.rand(()).item(), random.random(), numpy.random.rand()]
        return numbers
    assert drawn(True) == drawn(False)


@pytest.mark.parametrize("make", LOADERS)
def test_drawing_in_between_does_not_change_a_pass(make: object) -> None:
    quiet = several(Replayed(make(), 3), 4)  # type: ignore[operator]
    loud = []
    replayed = Replayed(make(), 3)  # type: ignore[operator]
    for batch in replayed:
        loud.append(flat(batch))
        torch.rand(3)
        random.random()
        numpy.random.rand()
        assert len(list(replayed.in_order())) == len(replayed)
    assert loud == quiet[: len(loud)] and len(loud) == len(replayed)


@pytest.mark.parametrize("persistent", [False, True])
def test_worker_processes_are_replayed_too(persistent: bool) -> None:
    def made() -> Replayed:
        return Replayed(DataLoader(Noisy(), batch_size=4, shuffle=True, num_workers=1, persistent_workers=persistent), 0)
    whole, resumed = several(made(), 6), made()
    resumed.load_state_dict({"turn": 1, "at": 1})
    assert several(resumed, 2) == whole[4:]


def test_batches_of_any_kind_pass_through_untouched() -> None:
    batches: list[object] = [{"image": 1}, "two", [3]]
    assert all(a is b for a, b in zip(Replayed(batches), batches, strict=True))


class Endless(IterableDataset[int]):
    def __iter__(self) -> Iterator[int]:
        return iter(range(10**9))


@pytest.mark.parametrize(("loader", "said"), [
    (DataLoader(Endless()), "must have a length"),
    (iter([1, 2]), "this is an iterator"),
    ([], "has no batches"),
])
def test_what_cannot_be_replayed_is_refused(loader: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Replayed(loader)  # type: ignore[arg-type]


class Overstated(list[int]):
    def __len__(self) -> int:
        return 5


def test_a_pass_that_ends_early_is_followed_by_the_next() -> None:
    replayed = Replayed(Overstated([1, 2]))
    assert list(replayed) == [1, 2] and replayed.state_dict() == {"turn": 1, "at": 0}
