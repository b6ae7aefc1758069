"""What tests of chains share: deterministic weights and images, for which official code gave numbers in float64, and an oracle."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import torch
from torch import Tensor, nn

from supernet.costs.count import macs, params
from supernet.costs.table import count_tables
from supernet.derive import derive
from supernet.layers.base import Supernet
from supernet.mixture import expected, one_hot


def hash_values(n: int, a: int = 7919, b: int = 104729, p: int = 1000003) -> Tensor:
    """``n`` scattered numbers in [-0.5, 0.5)."""
    i = torch.arange(n, dtype=torch.int64)
    return (i * (a * i + b) % p).double() / p - 0.5


def fill(network: nn.Module) -> nn.Module:
    """Give every weight a value that depends on its shape alone, no shifts, fresh batch statistics; returns it in float64, evaluating."""
    network = network.double().eval()
    for part in network.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.reset_running_stats()
            if part.affine:
                nn.init.ones_(part.weight)
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.modules.conv._ConvNd | nn.Linear):
            weight = part.weight
            gain = 12 if isinstance(part, nn.Linear) else 24
            values = hash_values(weight.numel()) * math.sqrt(gain * len(weight) / weight.numel())
            weight.data.copy_(values.view_as(weight))
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    return network


def images(resolution: int) -> Tensor:
    """One image (1, 3, resolution, resolution)."""
    values = hash_values(3 * resolution * resolution, 3571, 7927, 999983)
    return (values * math.sqrt(12)).view(1, 3, resolution, resolution)


def assert_alone_as_within(net: Supernet, space: Any, sizes: dict[str, Any]) -> None:
    """What is derived from a supernet, and what ``space`` builds alone, compute what it does, and cost what its tables say; in float64."""
    shape = sizes["shape"]
    tables = count_tables(net, torch.randn(1, *shape))
    with torch.no_grad():
        for seed in range(2):  # statistics of their own for the batch norms
            net(one_hot(net.space, net.space.sample(Random(seed))), torch.randn(4, *shape))
        net.eval()
        x = torch.randn(2, *shape)
        for seed in range(3):
            architecture = net.space.sample(Random(seed))
            mixture = one_hot(net.space, architecture)
            plain, alone = derive(net, architecture, x), space.network(architecture, **sizes)
            alone.load_state_dict(plain.state_dict())
            assert torch.allclose(plain(x), net(mixture, x), rtol=0, atol=1e-12)
            assert torch.allclose(alone.eval()(x), net(mixture, x), rtol=0, atol=1e-12)
            assert expected(net.space, mixture, tables["macs"]) == macs(plain, shape) > 0
            assert expected(net.space, mixture, tables["params"]) == params(plain) == params(alone)
