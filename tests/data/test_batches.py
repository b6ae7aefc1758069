"""Batches that stay in memory: what comes next is a function of the seed and two whole numbers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from torch import Tensor

from far_device import FAR, FarDevice
from supernet.data.augment import Augment
from supernet.data.batches import KNOWN, Batches, mean_std, pinned
from supernet.errors import InputError

Batch = tuple[Tensor, Tensor]


def made(n: int = 23, size: int = 5, **settings: object) -> Batches:
    x = torch.randint(0, 256, (n, 3, 6, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    arguments = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4), "augment": Augment(crop=2, cutout=3), "seed": 1, **settings}
    return Batches(x, torch.arange(n), size, **arguments)  # type: ignore[arg-type]


def several(batches: Batches, count: int) -> list[Batch]:
    taken: list[Batch] = []
    while len(taken) < count:
        for batch in batches:
            taken.append(batch)
            if len(taken) == count:
                break
    return taken


def same(first: list[Batch], second: list[Batch]) -> bool:
    pairs = zip(first, second, strict=True)
    return all(torch.equal(x, z) and torch.equal(y, w) for (x, y), (z, w) in pairs)


@given(some.integers(1, 40), some.integers(1, 12), some.integers(0, 30), some.booleans(), some.booleans())
def test_a_state_taken_after_any_batch_gives_the_same_rest(n: int, size: int, taken: int, train: bool, drop_last: bool) -> None:
    batches = made(n, size, train=train, drop_last=drop_last)
    several(batches, taken)
    resumed = made(n, size, train=train, drop_last=drop_last)
    resumed.load_state_dict(batches.state_dict())
    assert set(batches.state_dict()) == {"turn", "at"}
    assert same(several(batches, 7), several(resumed, 7))


@given(some.integers(1, 40), some.integers(1, 12), some.booleans(), some.booleans())
def test_a_pass_has_as_many_batches_as_its_length_and_no_image_twice(n: int, size: int, train: bool, drop_last: bool) -> None:
    batches = made(n, size, train=train, drop_last=drop_last)
    for _ in range(2):
        labels = [y.tolist() for _, y in batches]
        flat = [label for batch in labels for label in batch]
        assert len(labels) == len(batches) >= 1 and len(set(flat)) == len(flat)
        assert all(len(y) == size for y in labels[:-1]) and len(labels[-1]) <= size
        assert len(flat) == (max(n // size * size, min(n, size)) if train and drop_last else n)


def test_what_fits_is_held_on_the_device_and_gives_the_same_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = made()
    held = sum(tensor.numel() * tensor.element_size() for tensor in (batches.x, batches.y))
    for capacity, there in ((8 * held, FAR), (8 * held - 8, torch.device("cpu"))):
        monkeypatch.setattr("supernet.data.batches.capacity", lambda device, capacity=capacity: capacity)
        with FarDevice():
            near = made().near(FAR)
            assert {near.x.device, near.y.device, next(iter(near))[0].device} == {there}
            moved = [(x.cpu(), y.cpu()) for x, y in made().near(FAR)]
        assert same(moved, list(made()))


def test_batches_for_cuda_alone_are_pinned_on_their_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tensor, "pin_memory", lambda x: x + 1)
    x = torch.zeros(2)
    assert pinned(x, torch.device("cuda", 0)).tolist() == [1, 1]
    assert pinned(x, torch.device("mps")) is x and pinned(x, torch.device("cpu")) is x


def test_evaluation_is_in_order_whole_and_unchanged() -> None:
    batches = made(train=False)
    x, y = (torch.cat(parts) for parts in zip(*batches, strict=True))
    mean, std = (torch.tensor(v)[:, None, None] for v in ((0.5, 0.4, 0.3), (0.2, 0.3, 0.4)))
    assert torch.equal(y, torch.arange(23)) and x.dtype == torch.float32
    assert torch.allclose(x, (batches.x / 255 - mean) / std, atol=1e-5)


def test_passes_and_seeds_differ_in_order_and_augmentation() -> None:
    batches = made(20, 20, seed=1)
    first, second = several(batches, 2)
    other = several(made(20, 20, seed=2), 1)[0]
    assert sorted(first[1].tolist()) == sorted(second[1].tolist()) == list(range(20))
    assert len({tuple(y.tolist()) for y in (first[1], second[1], other[1])}) == 3
    unmoved = several(made(20, 20, seed=1, augment=None), 1)[0]
    assert torch.equal(unmoved[1], first[1]) and not torch.equal(unmoved[0], first[0])
    single = several(made(1, 1, augment=Augment(crop=3)), 12)
    assert len({tuple(x.flatten().tolist()) for x, _ in single}) > 6


def test_pixels_outside_the_image_are_black_before_and_cut_squares_zero_after_normalisation() -> None:
    x = torch.full((64, 1, 8, 8), 255, dtype=torch.uint8)
    padded = next(iter(Batches(x, torch.zeros(64), 64, mean=[0.5], std=[0.25], augment=Augment(crop=2, flip=False))))[0]
    assert padded.unique().tolist() == [-2.0, 2.0]
    cut = next(iter(Batches(x, torch.zeros(64), 64, mean=[0.5], std=[0.25], augment=Augment(crop=0, cutout=4))))[0]
    assert cut.unique().tolist() == [0.0, 2.0]


def test_a_pass_in_order_leaves_the_state_alone() -> None:
    batches = made()
    several(batches, 2)
    before = batches.state_dict()
    assert torch.cat([y for _, y in batches.in_order()]).tolist() == list(range(23))
    assert batches.state_dict() == before


def test_neither_order_nor_augmentation_touches_the_global_generator() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = several(made(), 6)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(4)
    assert same(first, several(made(), 6))


def test_batches_move_to_a_device_at_the_place_where_they_are() -> None:
    batches = made()
    several(batches, 2)
    moved = batches.to("meta")
    x, y = next(iter(moved))
    assert x.device.type == y.device.type == "meta" and x.shape == (5, 3, 6, 4) and batches.state_dict() == {"turn": 0, "at": 2}
    assert same(several(batches.to("cpu"), 3), several(batches, 3))


def test_statistics_normalise_the_images_that_they_are_of() -> None:
    x = made().x
    for values in (x, x.float() * 3 - 100):
        mean, std = mean_std(values)
        normalised = next(iter(Batches(values, torch.arange(23), 23, train=False, mean=mean, std=std)))[0]
        assert torch.allclose(normalised.mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
        assert torch.allclose(normalised.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5)


def test_a_constant_channel_can_be_normalised() -> None:
    for x in (torch.full((9, 1, 2, 2), 7, dtype=torch.uint8), torch.full((9, 1, 2, 2), 0.1)):
        mean, std = mean_std(x)
        assert std == (1.0,)
        assert next(iter(Batches(x, torch.zeros(9), 9, mean=mean, std=std)))[0].abs().max() < 1e-6


def test_known_statistics_have_a_number_a_channel() -> None:
    assert {name: len(mean) for name, (mean, _) in KNOWN.items()} == {"mnist": 1, "fashion-mnist": 1, "cifar10": 3, "cifar100": 3}
    assert all(len(mean) == len(std) for mean, std in KNOWN.values())


@pytest.mark.parametrize(("wrong", "said"), [
    ({"size": 0}, "batch size 0"),
    ({"n": 0}, "N at least 1"),
    ({"mean": (0.5,)}, "one a channel"),
    ({"std": (0.1, 0.0, 0.2)}, "no 0"),
])
def test_arguments_that_do_not_fit_are_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        made(**wrong)  # type: ignore[arg-type]


def test_a_state_of_a_longer_pass_is_refused() -> None:
    with pytest.raises(InputError, match="batch 9 of a pass of 4"):
        made().load_state_dict({"turn": 0, "at": 9})
