"""The split of a training set into images that train and images that validate."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from supernet.data.split import split
from supernet.errors import InputError

LABELS = some.lists(some.integers(0, 4), min_size=2, max_size=80)
SEEDS = some.integers(-5, 2**40)


@given(LABELS, some.booleans(), some.floats(0, 0.99), some.none() | some.integers(2, 100), SEEDS)
def test_parts_are_disjoint_seeded_and_within_the_limit(
    labels: list[int], plain: bool, validation: float, limit: int | None, seed: int
) -> None:
    given_labels = len(labels) if plain else torch.tensor(labels)
    train, held = split(given_labels, validation, limit, seed)
    total = len(labels) if limit is None else min(limit, len(labels))
    every = torch.cat([train, held]).tolist()
    assert len(every) == len(set(every)) == total and set(every) <= set(range(len(labels)))
    assert abs(len(held) - total * validation) <= 1 and len(train) > 0 and (len(held) > 0 or validation == 0)
    assert train.dtype == held.dtype == torch.int64
    again = split(given_labels, validation, limit, seed)
    assert torch.equal(train, again[0]) and torch.equal(held, again[1])


@given(LABELS, some.integers(2, 80), SEEDS)
def test_a_limited_subset_holds_every_class_that_it_has_room_for(labels: list[int], limit: int, seed: int) -> None:
    train, _ = split(labels, 0.0, limit, seed)
    assert len({labels[i] for i in train}) == min(len(set(labels)), limit, len(labels))


def test_parts_keep_the_proportions_of_the_classes() -> None:
    labels = torch.arange(10).repeat(100)
    for limit, each in ((None, 50), (200, 10), (20, 1)):
        for part in split(labels, 0.5, limit, seed=3):
            assert labels[part].bincount(minlength=10).tolist() == [each] * 10


def test_another_seed_draws_another_split() -> None:
    parts = [tuple(split(torch.arange(10).repeat(20), 0.5, 100, seed)[0].tolist()) for seed in range(5)]
    assert len({tuple(sorted(part)) for part in parts}) == 5


def test_a_split_never_changes_from_version_to_version() -> None:
    assert [part.tolist() for part in split(8, 0.25, seed=0)] == FIXED[0]
    assert [part.tolist() for part in split([0, 0, 0, 1, 1, 1, 2, 2], 0.25, limit=6, seed=1)] == FIXED[1]


FIXED = [[[6, 3, 5, 0, 7, 2], [1, 4]], [[4, 6, 0, 1], [3, 7]]]


@pytest.mark.parametrize(("arguments", "said"), [
    ({"validation": 1.0}, "must be at least 0 and below 1"),
    ({"validation": -0.1}, "must be at least 0"),
    ({"validation": float("nan")}, "must be at least 0"),
    ({"limit": 0}, "must be at least 1"),
    ({"limit": 1}, "1 images are too few"),
])
def test_what_cannot_be_split_is_refused(arguments: dict[str, float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        split(10, **arguments)  # type: ignore[arg-type]
