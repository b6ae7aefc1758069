"""What an architecture costs by a table, on plain numbers."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
import torch
from torch import Tensor, nn

from supernet import OneOf, SomeOf, Supernet
from supernet.costs.table import cost_of, count_tables
from supernet.mixture import expected, one_hot
from supernet.spaces import mobile_small, single_path

SMALL = {"shape": (3, 8, 8), "classes": 3, "width": 0.25, "head": 8}


class Node(nn.Module):
    """Subsets of edges, each with options."""

    def __init__(self) -> None:
        super().__init__()
        edges = [OneOf({"one": nn.Conv2d(3, 4, 1), "three": nn.Conv2d(3, 4, 3, padding=1)}) for _ in range(3)]
        self.node = SomeOf(edges, pick=(1, 3))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.node([x, x, x])
        return out


SUPERNETS: dict[str, Callable[[], Supernet]] = {
    "subsets": lambda: Supernet(Node()),
    "depths": lambda: mobile_small.supernet(**SMALL, depths=(2, 2, 1)),
    "joint sizes": lambda: single_path.supernet(**SMALL, last=8, depths=(2, 1, 1, 1, 1)),
}


@pytest.mark.parametrize("name", SUPERNETS)
def test_the_cost_of_an_architecture_is_what_its_one_hot_mixture_is_expected_to_cost(name: str) -> None:
    net, rng = SUPERNETS[name](), Random(0)
    table = count_tables(net, torch.zeros(1, 3, 8, 8))["macs"]
    cost = cost_of(net.space, table)
    for _ in range(6):
        architecture = net.space.sample(rng)
        assert cost(architecture) == pytest.approx(float(expected(net.space, one_hot(net.space, architecture), table)), rel=1e-12)
