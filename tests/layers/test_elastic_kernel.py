"""Kernels against numbers that the official implementation of Once-for-All (DynamicSeparableConv2d) gives for the same weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from supernet import ElasticKernel2d, Supernet, derive
from supernet.mixture import one_hot

pytestmark = pytest.mark.usefixtures("double")


def wave(n: int, step: float = 1.0, of: Any = torch.sin) -> Tensor:
    return of(step * torch.arange(float(n)))


@pytest.fixture
def layer() -> ElasticKernel2d:
    """Two channels, kernels 3, 5 and 7, with matrices near the identity."""
    found = ElasticKernel2d(2, (3, 5, 7), name="kernel")
    with torch.no_grad():
        found.weight.copy_(wave(98, 0.1).view(2, 1, 7, 7))
        found.matrices["5"].add_(0.01 * wave(625).view(25, 25))
        found.matrices["3"].add_(0.01 * wave(81, of=torch.cos).view(9, 9))
    return found


def test_kernels_are_transformed_one_after_the_other_as_by_once_for_all(layer: ElasticKernel2d) -> None:
    row = [0.7308425676224954, 0.7953211126359596, 0.8517618835810501, 0.8996138926540631, 0.9384133446817423]
    assert layer.kernel(5)[0, 0, 0].tolist() == pytest.approx(row, abs=1e-12)
    small = [
        [1.0044373874748163, 0.9860889263594206, 0.9782191095665297],
        [0.7297026064514038, 0.6710019863290712, 0.5819927924235209],
        [0.1265445415689841, 0.02671018155770941, -0.07975573905776553],
    ]
    assert layer.kernel(3)[0, 0].flatten().tolist() == pytest.approx([x for line in small for x in line], abs=1e-12)
    assert layer.kernel(3).sum().item() == pytest.approx(11.495145340187765, abs=1e-12)
    assert torch.equal(layer.kernel(7), layer.weight)


@pytest.mark.parametrize(
    ("size", "total", "squares"), [(5, 45.494136279415244, 274.506985471836), (7, 45.02643319525069, 338.4150635369971)]
)
def test_the_convolution_and_what_is_derived_of_it_give_what_once_for_all_gives(
    layer: ElasticKernel2d, size: int, total: float, squares: float
) -> None:
    net, x = Supernet(layer), wave(72, 0.3, torch.cos).view(1, 2, 6, 6)
    plain = derive(net, {"kernel": size}, x)
    for out in (net(one_hot(net.space, {"kernel": size}), x), plain(x)):
        assert out.sum().item() == pytest.approx(total, abs=1e-9)
        assert out.pow(2).sum().item() == pytest.approx(squares, abs=1e-9)
    assert isinstance(plain, nn.Conv2d) and plain.kernel_size == (size, size)


def test_fewer_channels_take_the_first_kernels_and_share_the_matrices(layer: ElasticKernel2d) -> None:
    net, x = Supernet(layer), wave(72, 0.3, torch.cos).view(1, 2, 6, 6)
    both = net(one_hot(net.space, {"kernel": 3}), x)
    assert torch.allclose(net(one_hot(net.space, {"kernel": 3}), x[:, :1]), both[:, :1])
    assert sum(matrix.numel() for matrix in layer.matrices.values()) == 25 * 25 + 9 * 9
