"""The space of One-Shot: its size, its notation, and that what is derived computes what the supernet does."""

from __future__ import annotations

from random import Random

import pytest
import torch

from supernet.derive import derive
from supernet.errors import InputError
from supernet.mixture import one_hot
from supernet.spaces import one_shot_cell

SMALL = {"channels": 4, "cells": 3, "shape": (3, 9, 8)}
CELL = "one-shot-cell: 0 1 > skip_connect avg_pool_3x3 | 2 > sep_conv_5x5 | 1 2 > conv_7x1_1x7 | 1 4 > max_pool_3x3"


def test_there_are_one_or_two_of_the_states_and_of_seven_operations() -> None:
    with torch.device("meta"):
        size = one_shot_cell.supernet().space.size()
    assert size == (3 * 6 * 10 * 15) * (7 + 21) ** 4 == 1_659_571_200


def test_derived_network_equals_supernet_under_one_hot() -> None:
    torch.manual_seed(0)
    net, x, rng = one_shot_cell.supernet(**SMALL).double().eval(), torch.randn(2, 3, 9, 8, dtype=torch.float64), Random(0)
    for _ in range(5):
        architecture = net.space.sample(rng)
        plain, alone = derive(net, architecture, x), one_shot_cell.network(architecture, **SMALL).double().eval()
        alone.load_state_dict(plain.state_dict())
        with torch.no_grad():
            expected = net(one_hot(net.space, architecture), x)
            torch.testing.assert_close(plain(x), expected, rtol=0, atol=1e-6)
            torch.testing.assert_close(alone(x), expected, rtol=0, atol=1e-6)


def test_notation_is_read_and_written() -> None:
    assert one_shot_cell.notation(one_shot_cell.parse(CELL)) == CELL
    assert one_shot_cell.parse(CELL)["block.2.operations"] == (0, 6)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("one-shot-cell: 0 > skip_connect", "expected 'one-shot-cell:' and 4 blocks"),
        (CELL.replace("1 4 >", "1 5 >"), "block 5 of one-shot-cell takes one or two of the states 0 to 4"),
        (CELL.replace("1 4 >", "4 4 >"), "block 5"),
        (CELL.replace("1 4 >", ">"), "block 5"),
        (CELL.replace("1 2 >", "0 1 2 >"), "block 4"),
        (CELL.replace("sep_conv_5x5", "sep_conv_9x9"), "operation of one-shot-cell"),
    ],
)
def test_what_is_no_cell_is_refused(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        one_shot_cell.parse(text)
