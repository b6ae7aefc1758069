"""The multiply-adds of a training, of which not every step is looked at."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from supernet.costs.passes import Passes, Uncounted, counting_now

STEPS = 120


def looked_at(passes: Passes, examples: Callable[[int], int], begin: int = 0, end: int = STEPS) -> int:
    """Take steps that multiply so many rows; how many ran while they were looked at."""
    seen = 0
    for at in range(begin, end):
        with passes.step(at, STEPS):
            before = passes.total
            torch.ones(examples(at), 8) @ torch.ones(8, 4)
            seen += passes.total > before
    return seen


def test_steps_that_are_alike_are_counted_exactly_though_few_are_looked_at() -> None:
    passes = Passes()
    seen = looked_at(passes, lambda at: {0: 50, STEPS - 1: 3}.get(at, 10))
    assert passes.total == 32 * (50 + 3 + 10 * (STEPS - 2))
    assert seen < STEPS / 6


@pytest.mark.parametrize("period", [2, 3, 4, 5, 6])
def test_what_alternates_has_its_share(period: int) -> None:
    passes = Passes()
    looked_at(passes, lambda at: 30 if at % period == 0 else 10)
    assert passes.total == pytest.approx(32 * STEPS * (10 + 20 / period), rel=0.12)


def test_few_steps_are_all_looked_at() -> None:
    passes = Passes()
    for at in range(40):
        with passes.step(at, 40):
            torch.ones(at + 1, 8) @ torch.ones(8, 4)
    assert passes.total == 32 * sum(range(1, 41))


@pytest.mark.parametrize("stop", [1, 4, 60, 118])
def test_a_count_goes_on_in_the_middle_of_an_epoch(stop: int) -> None:
    whole, first, second = Passes(), Passes(), Passes()
    looked_at(whole, lambda at: at % 11 + 1)
    looked_at(first, lambda at: at % 11 + 1, end=stop)
    second.restore(first.state())
    looked_at(second, lambda at: at % 11 + 1, begin=stop)
    assert second.total == whole.total


def test_a_training_inside_of_what_is_counted_is_not_counted_twice() -> None:
    passes = Passes()
    assert isinstance(counting_now(), Uncounted)
    with passes.counting():
        inner = counting_now()
        torch.ones(2, 8) @ torch.ones(8, 4)
        seen = looked_at(inner, lambda at: 10)
        torch.ones(2, 8) @ torch.ones(8, 4)
    assert inner is passes and passes.total == 32 * (4 + 10 * STEPS)
    assert seen < STEPS / 6 and isinstance(counting_now(), Uncounted)
