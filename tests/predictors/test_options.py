"""Architectures as rows: how alike two are is in how many choices they agree."""

from __future__ import annotations

import numpy as np
import pytest

from supernet.predictors.options import Options
from supernet.space import Choice, SearchSpace

SPACE = SearchSpace(
    [
        Choice("op", ("conv", "skip"), search_only=()),
        Choice("kernel", (3, 5, 7), when=(("op", "conv"),)),
        Choice("inputs", ("a", "b", "c"), pick=(0, 2)),
    ]
)


def alike(one, other):
    first, second = Options(SPACE).rows([one, other])
    return float(first @ second)


def test_every_choice_has_length_one_in_every_row_but_an_empty_subset():
    options = Options(SPACE)
    rows = options.rows(list(SPACE.enumerate()))
    assert rows.shape == (SPACE.size(), options.width) == (28, 2 + 4 + 3)
    lengths = np.stack([(rows[:, columns] ** 2).sum(1) for columns in options.groups], 1)
    assert lengths[:, :2] == pytest.approx(1) and set(lengths[:, 2].round(9)) == {0.0, 1.0}


def test_two_agree_by_options_shared_by_nearness_of_numbers_and_where_neither_matters():
    base = {"op": "conv", "kernel": 3, "inputs": ("a", "b")}
    assert alike(base, base) == pytest.approx(3)
    assert alike(base, {**base, "kernel": 5}) == pytest.approx(2.5)
    assert alike(base, {**base, "kernel": 7}) == pytest.approx(2.25)
    assert alike(base, {**base, "inputs": ("a", "c")}) == pytest.approx(2.5)
    assert alike({**base, "op": "skip"}, {**base, "op": "skip", "kernel": 7}) == pytest.approx(3)
    assert alike(base, {**base, "op": "skip"}) == pytest.approx(1)
