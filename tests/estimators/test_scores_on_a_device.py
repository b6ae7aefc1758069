"""Scores of untrained networks on a device without double precision, which is played by the CPU."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from far_device import FAR, FarDevice
from supernet import Task
from supernet.estimators import ESTIMATORS
from supernet.estimators.untrained import Untrained

SCORES = [name for name, known in ESTIMATORS.items() if isinstance(known.load(), type) and issubclass(known.load(), Untrained)]


def network(_: Any) -> nn.Module:
    parts = [nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)]
    return nn.Sequential(*parts)


def score(name: str, device: Any) -> float:
    generator = torch.Generator().manual_seed(0)
    batches = [(torch.randn(8, 1, 6, 6, generator=generator), torch.randint(3, (8,), generator=generator)) for _ in range(2)]
    made = ESTIMATORS[name].load()(network, Task(batches, batches, loss=F.cross_entropy, device=device))
    return made({})[made.name]


@pytest.mark.parametrize("name", SCORES)
def test_a_score_on_a_device_without_double_precision_is_that_of_the_cpu(name: str) -> None:
    with FarDevice():
        far = score(name, FAR)
    assert far == pytest.approx(score(name, "cpu"), rel=1e-4)
