"""Crop, flip and cutout of whole batches, against the same done one image at a time."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from supernet.data import SETS
from supernet.data.augment import Augment, crop, cutout, default_augment, flip
from supernet.errors import InputError

SHAPES = some.tuples(some.integers(1, 5), some.sampled_from([1, 3]), some.integers(2, 9), some.integers(2, 9))


def batch(shape: tuple[int, ...], kind: torch.dtype = torch.uint8) -> torch.Tensor:
    return torch.randint(1, 256, shape, generator=torch.Generator().manual_seed(0)).to(kind)


@given(SHAPES, some.integers(1, 6), some.integers(0, 99), some.sampled_from([torch.uint8, torch.float32]))
def test_crop_is_a_window_of_the_zero_padded_image(shape: tuple[int, ...], pad: int, seed: int, kind: torch.dtype) -> None:
    x, draw = batch(shape, kind), torch.Generator().manual_seed(seed)
    top, left = (torch.randint(2 * pad + 1, (len(x),), generator=draw) for _ in "ab")
    cropped, (height, width) = crop(x, top, left, pad), shape[2:]
    assert cropped.dtype == kind and cropped.shape == x.shape
    for i in range(len(x)):
        padded = torch.zeros(shape[1], height + 2 * pad, width + 2 * pad, dtype=kind)
        padded[:, pad : pad + height, pad : pad + width] = x[i]
        assert torch.equal(cropped[i], padded[:, top[i] : top[i] + height, left[i] : left[i] + width])


@given(SHAPES, some.lists(some.integers(0, 1), min_size=5, max_size=5))
def test_flip_mirrors_the_chosen_images_only(shape: tuple[int, ...], which: list[int]) -> None:
    x = batch(shape)
    flipped = flip(x, torch.tensor(which[: len(x)]))
    for image, chosen, result in zip(x, which, flipped):  # noqa: B905
        assert torch.equal(result, image[:, :, range(shape[3] - 1, -1, -1)] if chosen else image)


@given(SHAPES, some.integers(1, 12), some.integers(0, 99))
def test_cutout_zeroes_a_square_around_any_pixel_and_nothing_else(shape: tuple[int, ...], length: int, seed: int) -> None:
    x, draw = batch(shape, torch.float32), torch.Generator().manual_seed(seed)
    rows, columns = (torch.randint(side, (len(x),), generator=draw) for side in shape[2:])
    result = cutout(x, rows, columns, length)
    for i in range(len(x)):
        expected = x[i].clone()
        top, left = int(rows[i]) - length // 2, int(columns[i]) - length // 2
        expected[:, max(top, 0) : max(top + length, 0), max(left, 0) : max(left + length, 0)] = 0
        assert torch.equal(result[i], expected)


def test_draws_reach_every_place_and_both_sides() -> None:
    drawn = Augment(crop=2).draw(2000, 6, 3, torch.Generator().manual_seed(0))
    assert [row.unique().tolist() for row in drawn] == [[*range(5)], [*range(5)], [0, 1], [*range(6)], [*range(3)]]


def test_switching_a_part_off_leaves_the_draws_of_the_others() -> None:
    both, one = (Augment(2, which, 4).draw(9, 8, 8, torch.Generator().manual_seed(1)) for which in (True, False))
    assert torch.equal(both, one)


def test_no_augmentation_changes_nothing() -> None:
    x, nothing = batch((3, 1, 4, 6)), Augment(crop=0, flip=False, cutout=0)
    drawn = nothing.draw(3, 4, 6, torch.Generator())
    assert torch.equal(nothing.move(x, drawn), x) and torch.equal(nothing.erase(x, drawn), x)


def test_negative_sizes_are_refused() -> None:
    for wrong in ({"crop": -1}, {"cutout": -2}):
        with pytest.raises(InputError):
            Augment(**wrong)  # type: ignore[arg-type]


def test_digits_that_mirror_into_no_digit_are_not_flipped() -> None:
    assert default_augment("digits", 8) == Augment(crop=1, flip=False)
    assert default_augment("cifar10") == Augment(crop=4, flip=True, cutout=0)
    assert {name for name in SETS if default_augment(name).flip} == {"fashion-mnist", "cifar10", "cifar100"}
    assert not default_augment("photos/of/letters").flip
