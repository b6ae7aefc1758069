"""What is derived computes what the supernet computes: every built-in space, sampled architectures, float64."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import torch

from supernet import derive
from supernet.layers.base import searchable
from supernet.mixture import one_hot
from supernet.spaces import cell, nasbench201, nasbench_macro

SUPERNETS = {
    "darts": lambda: cell.supernet(channels=4, cells=3, shape=(3, 16, 16)),
    "darts, odd size": lambda: cell.supernet(channels=4, cells=3, nodes=2, shape=(1, 9, 13)),
    "darts, partial channels": lambda: cell.supernet(channels=8, cells=3, nodes=2, partial=4, shape=(3, 16, 16)),
    "darts, skip dropout": lambda: cell.supernet(channels=4, cells=3, nodes=2, skip_dropout=True, shape=(3, 16, 16)),
    "darts, fixed reduction": lambda: cell.supernet(channels=8, cells=3, nodes=2, fixed_reduction=True, shape=(3, 16, 16)),
    "nasbench201": lambda: nasbench201.supernet(channels=4, cells=1, shape=(3, 16, 16)),
    "nasbench-macro": lambda: nasbench_macro.supernet(channels=4, shape=(3, 16, 16)),
}
SHAPES = {"darts, odd size": (1, 9, 13)}


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow if "skip" in name else ()) for name in SUPERNETS])
def test_derived_network_equals_supernet_under_one_hot(name: str) -> None:
    torch.manual_seed(0)
    net: Any = SUPERNETS[name]()
    shape = SHAPES.get(name, (3, 16, 16))
    with torch.no_grad():
        for seed in range(3):
            net(one_hot(net.space, net.space.sample(Random(seed))), torch.randn(4, *shape))
    net.eval()
    x = torch.randn(2, *shape)
    for seed in range(4):
        arch = net.space.sample(Random(seed))
        plain = derive(net, arch, x)
        assert not searchable(plain)
        assert (plain(x) - net(one_hot(net.space, arch), x)).abs().max() < 1e-6
