"""Deterministic values for tests against numbers that the official implementations gave for the same ones, in float64."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn


def fractions(n: int, salt: float = 0.0) -> Tensor:
    """``n`` scattered numbers in [0, 1)."""
    i = torch.arange(1, n + 1, dtype=torch.float64)
    v = torch.sin(12.9898 * i + 78.233 * salt) * 43758.5453
    return v - torch.floor(v)


def inputs(*shape: int, salt: float = 0.0) -> Tensor:
    """A tensor of scattered numbers in [-1, 1)."""
    return (2 * fractions(math.prod(shape), salt) - 1).view(*shape)


def fill(module: nn.Module) -> nn.Module:
    """Give every parameter a value that depends on its shape alone; returns the module in float64."""
    module = module.double()
    for part in module.modules():
        for name, p in part._parameters.items():
            if p is None:
                continue
            n = p.numel()
            v = 2 * fractions(n, float(n)) - 1
            v = v * math.sqrt(3 * p.shape[0] / n) if p.dim() > 1 else 0.1 * v
            if name == "weight" and isinstance(part, nn.modules.batchnorm._BatchNorm):
                v = v + 1
            p.data.copy_(v.view(p.shape))
    return module


def sines(rows: int, columns: int) -> Tensor:
    """sin(1), sin(2), ... as a table."""
    return torch.sin(torch.arange(1, rows * columns + 1, dtype=torch.float64)).view(rows, columns)


def cosines(rows: int, columns: int) -> Tensor:
    """cos(1), cos(2), ... as a table."""
    return torch.cos(torch.arange(1, rows * columns + 1, dtype=torch.float64)).view(rows, columns)


def assert_signature(tensor: Tensor, expected: Mapping[str, Any]) -> None:
    """Assert a tensor's shape, sum, abs, sq, wsum (weighted by cos(0.01 i)), first3 and last, as far as ``expected`` has them."""
    flat = tensor.detach().double().reshape(-1)
    i = torch.arange(flat.numel(), dtype=torch.float64)
    found: dict[str, Any] = {
        "shape": tuple(tensor.shape),
        "sum": flat.sum().item(),
        "abs": flat.abs().sum().item(),
        "sq": (flat * flat).sum().item(),
        "wsum": (flat * torch.cos(0.01 * i)).sum().item(),
        "first3": flat[:3].tolist(),
        "last": flat[-1].item(),
    }
    for name, value in expected.items():
        assert found[name] == (value if name == "shape" else pytest.approx(value, rel=2e-9, abs=2e-9)), name
