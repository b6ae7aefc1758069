"""Deterministic weights and images for tests of chains, against numbers that the official implementations gave for the same, in float64."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


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
