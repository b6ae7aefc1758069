"""Channels in the order of their importance: what the network computes stays, over residual sums too."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from supernet import ElasticConv2d, ElasticKernel2d, ElasticLinear, ElasticNorm, ElasticSqueezeExcite, InputError, OneOf, Supernet, Width
from supernet.layers import SuperKernelBlock, sort_channels
from supernet.layers.base import everything
from supernet.mixture import one_hot

pytestmark = pytest.mark.usefixtures("double")

# The orders that the official implementation of Once-for-All gives: DynamicMBConvLayer, re_organize_middle_weights, stages 0, 1 and 2.
ONCE_FOR_ALL = [
    [6, 17, 2, 0, 7, 15, 21, 5, 20, 10, 4, 12, 1, 14, 13, 8, 16, 22, 11, 19, 23, 3, 9, 18],
    [6, 2, 0, 7, 15, 5, 10, 4, 12, 1, 14, 13, 8, 11, 3, 9, 17, 21, 20, 16, 22, 19, 23, 18],
    [6, 2, 0, 7, 5, 4, 1, 3, 15, 10, 12, 14, 13, 8, 11, 9, 17, 21, 20, 16, 22, 19, 23, 18],
]


def scattered(n: int) -> Tensor:
    """``n`` numbers in [-0.5, 0.5), for which the official orders were found."""
    i = torch.arange(n, dtype=torch.int64)
    return (i * (7919 * i + 104729) % 1000003).double() / 1000003 - 0.5


class Mobile(nn.Module):
    """An inverted residual block with an expansion of 1, 2 or 3, a kernel to choose and squeeze-and-excitation."""

    def __init__(self) -> None:
        super().__init__()
        self.expand, self.norm_1 = ElasticConv2d(8, {1: 8, 2: 16, 3: 24}, 1, bias=False, name="expansion"), ElasticNorm(24)
        self.depth, self.norm_2 = ElasticKernel2d(24, (3, 5), name="kernel"), ElasticNorm(24)
        self.squeeze = ElasticSqueezeExcite(24, lambda n: n // 4)
        self.project = ElasticConv2d(24, 8, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        inside = nn.functional.hardswish(self.norm_1(self.expand(x)))
        return x + self.project(self.squeeze(nn.functional.relu6(self.norm_2(self.depth(inside)))))


class Stages(nn.Module):
    """Two stages whose residual sums share a width, blocks to choose among, maps that are flattened, a soft single-path block."""

    def __init__(self) -> None:
        super().__init__()
        first, second = Width((4, 6), name="first"), Width((6, 8, 12), name="second")
        self.stem, self.norm = ElasticConv2d(3, first, 3, padding=1), ElasticNorm(6)
        self.a = nn.Sequential(ElasticConv2d(6, first.times((1, 2), name="ratio"), 1), nn.ReLU(), ElasticConv2d(12, first, 3, padding=1))
        self.b = OneOf({"deep": ElasticConv2d(6, first, 3, padding=1), "flat": ElasticConv2d(6, first, 1), "skip": nn.Identity()}, name="b")
        self.down, self.c = ElasticConv2d(6, second, 3, 2, 1), ElasticConv2d(12, second, 1)
        self.head, self.out = ElasticLinear(12 * 9, (5, 7), name="features"), ElasticLinear(7, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.stem(x))
        x = x + self.a(x)
        x = torch.relu(self.down(x + self.b(x)))
        x = nn.functional.max_pool2d(x + self.c(x), 2, 1)
        return self.out(torch.relu(self.head(nn.functional.interpolate(x, (3, 3)).flatten(1))))


def drawn(module: nn.Module) -> Supernet:
    """A supernet in evaluation mode whose norms, too, differ by channel."""
    torch.manual_seed(0)
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point() and "matrices" not in name:
            tensor.copy_(torch.rand(tensor.shape) + 0.5 if "var" in name else torch.randn(tensor.shape))
    return Supernet(module).eval()


@pytest.mark.parametrize("apart", [0, 1, 2])
def test_channels_of_a_block_are_put_into_the_order_of_once_for_all(apart: int) -> None:
    net, x = drawn(Mobile()), torch.randn(2, 8, 7, 7)
    with torch.no_grad():
        net.model.project.plain.weight.copy_(scattered(192).view(8, 24, 1, 1))
    weight, before = net.model.expand.plain.weight.clone(), net(everything(net), x)
    orders = sort_channels(net, x, apart=apart)
    assert orders["expand"] == ONCE_FOR_ALL[apart]
    assert torch.equal(net.model.expand.plain.weight, weight[ONCE_FOR_ALL[apart]])
    assert (net(everything(net), x) - before).abs().max() < 1e-9
    hidden = net.model.squeeze.expand.weight.abs().sum((0, 2, 3))
    assert hidden.tolist() == sorted(hidden.tolist(), reverse=True)


def test_channels_of_residual_sums_are_sorted_together_and_nothing_else_changes() -> None:
    net, x = drawn(Stages()), torch.randn(2, 3, 8, 8)
    widest = {"first": 6, "second": 12, "ratio": 2, "features": 7}
    largest = [{**widest, "b": b} for b in ("deep", "flat", "skip")]
    before = [net(one_hot(net.space, arch), x) for arch in largest]
    orders = sort_channels(net, x)
    assert orders["stem"] == orders["a.2"] == orders["b.branches.0"] == orders["b.branches.1"] != list(range(6))
    assert orders["down"] == orders["c"] and len(orders) == 8
    for arch, out in zip(largest, before, strict=True):
        assert (net(one_hot(net.space, arch), x) - out).abs().max() < 1e-6 * out.abs().max()
    reading = [net.model.a[0], net.model.b.branches[0], net.model.b.branches[1], net.model.down]
    importance = sum(layer.plain.weight.abs().sum((0, 2, 3)) for layer in reading)
    assert importance.tolist() == sorted(importance.tolist(), reverse=True)


def test_the_most_important_channels_are_what_smaller_widths_keep() -> None:
    net = drawn(nn.Sequential(ElasticConv2d(2, (1, 3), 1, name="width"), ElasticNorm(3), ElasticConv2d(3, 2, 1)))
    with torch.no_grad():
        net.model[2].plain.weight[:, 2] *= 100
    x = torch.randn(4, 2, 3, 3)
    whole = net(one_hot(net.space, {"width": 3}), x)
    gaps = []
    for _ in range(2):
        gaps.append((net(one_hot(net.space, {"width": 1}), x) - whole).abs().mean())
        sort_channels(net, x)
    assert gaps[1] < gaps[0] / 5


def test_a_super_kernel_block_is_sorted_as_well() -> None:
    net, x = drawn(SuperKernelBlock(4, 4, name="block")), torch.randn(2, 4, 6, 6)
    before = net(everything(net), x)
    assert len(sort_channels(net, x)["expand.0"]) == 24
    assert (net(everything(net), x) - before).abs().max() < 1e-9 * before.abs().max()


class Joined(nn.Module):
    """Outputs of two widths, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = ElasticConv2d(2, (2, 4), 1, name="a"), ElasticConv2d(2, (2, 4), 1, name="b")
        self.last = ElasticConv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.cat([self.a(x), self.b(x)], 1))


class Scaled(nn.Module):
    """A parameter of the user's own, an entry a channel."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.last = ElasticConv2d(2, (2, 4), 1, name="a"), ElasticConv2d(4, 2, 1)
        self.scale = nn.Parameter(torch.ones(4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        return self.last(x * self.scale[: x.shape[1]].view(-1, 1, 1))


@pytest.mark.parametrize("model", [Joined, Scaled])
def test_channels_that_are_read_by_their_places_are_refused_and_nothing_is_changed(model: type[nn.Module]) -> None:
    net = drawn(model())
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(InputError, match="channels that a gives cannot be sorted"):
        sort_channels(net, torch.randn(2, 2, 3, 3))
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
