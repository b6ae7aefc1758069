"""Batch statistics taken anew, as Once-for-All and as Single Path One-Shot do, against numbers of the official implementations."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from supernet import ElasticNorm, InputError, recalibrate

pytestmark = pytest.mark.usefixtures("double")


def scattered(n: int, a: int = 7919, b: int = 104729, p: int = 1000003) -> Tensor:
    """``n`` numbers in [-0.5, 0.5), for which the official statistics were found."""
    i = torch.arange(n, dtype=torch.int64)
    return (i * (a * i + b) % p).double() / p - 0.5


BATCHES = [4 * scattered(24).reshape(3, 2, 2, 2), 2 * scattered(16, 3571, 7927, 999983).reshape(2, 2, 2, 2) + 1]
OFFICIAL = {
    "weighted": ([-0.09169591331826292, 0.25898717018739104], [0.8519080316358447, 0.8642856119660124]),
    "running": ([0.0033035829877503115, 0.07558382003576528], [0.9571140673686712, 0.9709777919637559]),
}


@pytest.mark.parametrize("kind", [nn.BatchNorm2d, ElasticNorm])
@pytest.mark.parametrize("way", OFFICIAL)
def test_statistics_are_those_of_the_official_implementations(way: str, kind: type[nn.BatchNorm2d]) -> None:
    norm = kind(2)
    recalibrate(norm, norm, BATCHES, way)  # type: ignore[arg-type]
    assert norm.running_mean is not None and norm.running_var is not None
    assert norm.running_mean.tolist() == pytest.approx(OFFICIAL[way][0], abs=1e-12)
    assert norm.running_var.tolist() == pytest.approx(OFFICIAL[way][1], abs=1e-12)
    assert norm.momentum == 0.1 and norm.training and not norm._forward_hooks


def test_by_default_every_batch_counts_alike() -> None:
    norm = nn.BatchNorm2d(2)
    recalibrate(norm, norm, BATCHES)
    assert norm.running_mean is not None and norm.running_var is not None
    assert torch.allclose(norm.running_mean, sum(batch.mean((0, 2, 3)) for batch in BATCHES) / 2)  # type: ignore[arg-type]
    assert torch.allclose(norm.running_var, sum(batch.var((0, 2, 3)) for batch in BATCHES) / 2)  # type: ignore[arg-type]


@pytest.mark.parametrize("way", ["mean", "weighted", "running"])
def test_a_batch_of_which_a_norm_sees_one_value_does_not_count(way: str) -> None:
    nets = [nn.Sequential(nn.BatchNorm2d(2), nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(2)) for _ in range(2)]
    recalibrate(nets[0], nets[0], BATCHES, way)  # type: ignore[arg-type]
    recalibrate(nets[1], nets[1], [BATCHES[0], BATCHES[0][:1], BATCHES[1]], way)  # type: ignore[arg-type]
    assert all(torch.equal(a, b) for a, b in zip(nets[0].buffers(), nets[1].buffers(), strict=True))


def test_only_the_channels_that_arrive_are_counted_and_another_way_is_refused() -> None:
    norm = ElasticNorm(3)
    recalibrate(norm, norm, BATCHES, "weighted")
    assert norm.running_mean is not None and norm.running_mean[2] == 0
    with pytest.raises(InputError, match="way to recalibrate"):
        recalibrate(norm, norm, BATCHES, "median")  # type: ignore[arg-type]
