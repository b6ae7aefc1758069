"""Widths that several layers share, over residual sums and into squeeze-and-excitation, in a plain module as a user writes it."""

from __future__ import annotations

from random import Random

import pytest
import torch
from torch import Tensor, nn

from supernet import ElasticConv2d, ElasticLinear, ElasticNorm, ElasticSqueezeExcite, InputError, Supernet, UpTo, Width, derive
from supernet.costs.count import macs, params
from supernet.costs.table import count_tables
from supernet.mixture import Mix, expected, one_hot
from supernet.modules.squeeze_excite import SqueezeExcite

STAGES = {"first": (8, 12, 16), "second": (12, 20)}
RATIOS = (0.5, 1.0, 1.5)


def quarter(channels: int) -> int:
    return max(channels // 4, 2)


class Block(nn.Module):
    """A bottleneck whose outputs are as wide as its stage and whose inside is a ratio of that."""

    def __init__(self, inputs: int, width: Width, stride: int, name: str):
        super().__init__()
        inner = width.times(RATIOS, name=f"{name}.ratio")
        self.reduce, self.norm_1 = ElasticConv2d(inputs, inner, 1, bias=False), ElasticNorm(inner.largest)
        self.depth = ElasticConv2d(inner.largest, inner.largest, 3, stride, 1, bias=False, depthwise=True)
        self.squeeze = ElasticSqueezeExcite(inner.largest, quarter)
        self.widen, self.norm_2 = ElasticConv2d(inner.largest, width, 1, bias=False), ElasticNorm(width.largest)
        self.short = nn.Identity() if stride == 1 else ElasticConv2d(inputs, width, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        inside = torch.relu(self.norm_1(self.reduce(x)))
        return self.short(x) + self.norm_2(self.widen(self.squeeze(self.depth(inside))))


class Net(nn.Module):
    """Two stages, each with a width that all its residual sums share."""

    def __init__(self) -> None:
        super().__init__()
        inputs, stages = 3, []
        for name, sizes in STAGES.items():
            width = Width(sizes, name=f"{name}.width")
            blocks = [Block(inputs if i == 0 else width.largest, width, 1 if i else 2, f"{name}.{i}") for i in range(2)]
            stages.append(UpTo(blocks, (1, 2), name=f"{name}.depth"))
            inputs = width.largest
        self.stages, self.head = nn.Sequential(*stages), ElasticLinear(inputs, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stages(x).mean((2, 3)))


class FreshBlock(nn.Module):
    """The same block of fixed sizes, of plain layers."""

    def __init__(self, inputs: int, width: int, inner: int, stride: int):
        super().__init__()
        self.reduce, self.norm_1 = nn.Conv2d(inputs, inner, 1, bias=False), nn.BatchNorm2d(inner)
        self.depth = nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False)
        self.squeeze = SqueezeExcite(inner, quarter(inner))
        self.widen, self.norm_2 = nn.Conv2d(inner, width, 1, bias=False), nn.BatchNorm2d(width)
        self.short = nn.Identity() if stride == 1 else nn.Conv2d(inputs, width, 1, stride)

    forward = Block.forward


class Fresh(nn.Module):
    """The network of an architecture, built anew."""

    def __init__(self, taken: dict[str, float]):
        super().__init__()
        inputs, stages = 3, []
        for name in STAGES:
            blocks, width = [], int(taken[f"{name}.width"])
            for i in range(int(taken[f"{name}.depth"])):
                blocks.append(FreshBlock(inputs, width, round(width * taken[f"{name}.{i}.ratio"]), 1 if i else 2))
                inputs = width
            stages.append(nn.Sequential(*blocks))
        self.stages, self.head = nn.Sequential(*stages), nn.Linear(inputs, 5)

    forward = Net.forward


def slices_copied(network: nn.Module, supernet: nn.Module) -> nn.Module:
    """``network`` with the first entries, along every axis, of the tensors of the same name."""
    source = {name.replace(".plain", "").replace(".blocks", ""): tensor for name, tensor in supernet.state_dict().items()}
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            tensor.copy_(source[name][tuple(slice(n) for n in tensor.shape)])
    return network.eval()


@pytest.fixture
def net() -> Supernet:
    torch.manual_seed(0)
    found = Supernet(Net())
    with torch.no_grad():  # running statistics away from their start
        for seed in range(4):
            found(one_hot(found.space, found.space.sample(Random(seed))), torch.randn(8, 3, 8, 8))
    return found.eval()


@pytest.mark.usefixtures("double")
def test_supernet_derived_and_a_fresh_network_with_copied_slices_agree(net: Supernet) -> None:
    x, seen = torch.randn(2, 3, 8, 8), set()
    for seed in range(6):
        arch = net.space.sample(Random(seed))
        derived, fresh = derive(net, arch, x), slices_copied(Fresh(arch), net.model)  # type: ignore[arg-type]
        whole = net(one_hot(net.space, arch), x)
        assert (derived(x) - whole).abs().max() < 1e-9 and (fresh(x) - whole).abs().max() < 1e-9
        assert params(derived) == params(fresh) and macs(derived, (3, 8, 8)) == macs(fresh, (3, 8, 8))
        seen.add(net.space.key(arch))
    assert len(seen) > 5


def test_the_choices_are_the_widths_their_ratios_and_the_depths(net: Supernet) -> None:
    assert net.space["first.width"].options == (8, 12, 16) and net.space["first.width"].when == ()
    assert net.space["first.1.ratio"].when == (("first.depth", 2),)
    assert len(net.space) == 2 * (1 + 1 + 2)


def test_tables_of_costs_are_exact_where_widths_meet(net: Supernet) -> None:
    tables = count_tables(net, torch.zeros(1, 3, 8, 8))
    for seed in range(6):
        arch = net.space.sample(Random(seed))
        fresh, mixture = Fresh(arch), one_hot(net.space, arch)  # type: ignore[arg-type]
        assert float(expected(net.space, mixture, tables["params"])) == params(fresh)
        assert float(expected(net.space, mixture, tables["macs"])) == macs(fresh, (3, 8, 8))


@pytest.mark.usefixtures("double")
def test_a_blend_of_a_width_and_its_ratio_weighs_channels_by_both() -> None:
    width = Width((2, 4), name="width")
    net = Supernet(nn.Sequential(ElasticConv2d(1, width, 1), ElasticConv2d(4, width.times((0.5, 1.0), name="ratio"), 1)))
    x, one = torch.randn(1, 1, 3, 3), Mix(None, (1,))
    shares = torch.tensor([0.25, 0.75])
    whole = net({"width": one, "ratio": one}, x)
    out = net({"width": one, "ratio": Mix(shares, (0, 1))}, x)
    assert torch.allclose(out, whole * torch.tensor([1, 1, 0.75, 0.75]).view(1, 4, 1, 1))
    assert net.model[1].width.running(Mix(shares, (0, 1)), Mix(shares, (0, 1)))[0][0] == 1


def test_options_may_have_other_names_than_their_sizes() -> None:
    layer = ElasticConv2d(24, {6: 144, 3: 72}, 1, name="expansion")
    assert layer.width is not None and layer.width.options == (3, 6)
    assert derive(Supernet(layer), {"expansion": 3}, torch.zeros(1, 24, 2, 2)).out_channels == 72


def test_widths_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InputError, match="whole numbers of at least 1"):
        Width((0, 4))
    with pytest.raises(InputError, match="must differ"):
        Width((4, 4))
    with pytest.raises(InputError, match="needs a name"):
        shared = Width((2, 4))
        nn.Sequential(ElasticConv2d(1, shared, 1), ElasticConv2d(4, shared, 1))
    with pytest.raises(InputError, match="with a name"):
        Width((2, 4)).times((1, 2))
    with pytest.raises(InputError, match="name it there"):
        ElasticConv2d(1, Width((2, 4), name="a"), 1, name="b")
    with pytest.raises(InputError, match="follows the choice 'a', and no layer has it"):
        Supernet(ElasticConv2d(1, Width((2, 4), name="a").times((1, 2)), 1))


def masked(width: int, *sizes: tuple[int, float]) -> Tensor:
    """What each channel weighs under a blend of sizes: (1, width, 1, 1)."""
    return sum((weight * (torch.arange(width) < size) for size, weight in sizes), torch.zeros(width)).view(1, -1, 1, 1)


@pytest.mark.usefixtures("double")
def test_a_batch_norm_does_not_undo_what_channels_weigh() -> None:
    """FBNetV2, section 3.1: the mask comes behind the norm; where the next layer reads."""
    first, norm, last = ElasticConv2d(3, (4, 8), 3, name="w"), ElasticNorm(8), ElasticConv2d(8, 5, 1)
    net, x = Supernet(nn.Sequential(first, norm, nn.Hardswish(), last)), torch.randn(4, 3, 6, 6)
    shares = torch.tensor([0.25, 0.75], requires_grad=True)
    out = net({"w": Mix(shares, (0, 1))}, x)
    hidden = nn.functional.hardswish(nn.functional.batch_norm(first.plain(x), None, None, training=True))
    assert torch.allclose(out, last.plain(hidden * masked(8, (4, 0.25), (8, 0.75))))
    out.square().sum().backward()
    assert shares.grad is not None and (shares.grad.abs() > 1e-3).all()


class Sums(nn.Module):
    """A stage of a width whose channels are added up, squeezed, flattened and read twice."""

    def __init__(self, joined: bool = False) -> None:
        super().__init__()
        width, self.joined = Width((4, 6), name="width"), joined
        self.stem, self.norm = ElasticConv2d(3, width, 3, padding=1), ElasticNorm(6)
        self.block = nn.Sequential(ElasticConv2d(6, width.times((1, 2), name="ratio"), 1), ElasticNorm(12), ElasticConv2d(12, width, 1))
        self.squeeze, self.out = ElasticSqueezeExcite(6, lambda n: n // 2), ElasticLinear(6 * 16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.stem(x))
        x = x + torch.relu(self.norm(self.block(x)))
        return self.out(torch.cat([x[:, :3], x[:, 3:]], 1).flip(1).flatten(1) if self.joined else self.squeeze(x).flatten(1))


@pytest.mark.usefixtures("double")
def test_channels_of_residual_sums_weigh_the_same_wherever_they_are_read() -> None:
    model = Sums().eval()
    net, x, shares = Supernet(model), torch.randn(2, 3, 4, 4), torch.tensor([0.25, 0.75])
    out = net({"width": Mix(shares, (0, 1)), "ratio": Mix(shares, (0, 1))}, x)
    wide, inside = masked(6, (4, 0.25), (6, 0.75)), masked(12, (4, 1 / 16), (6, 3 / 16), (8, 3 / 16), (12, 9 / 16))
    first, norm, last = model.block
    sum_ = model.norm(model.stem.plain(x))
    sum_ = sum_ + torch.relu(model.norm(last.plain(norm(first.plain(sum_ * wide)) * inside)))
    weights = model.squeeze(sum_ * wide) / (sum_ * wide)  # which are of what it reads
    assert torch.allclose(out, model.out.plain((sum_ * weights * wide).flatten(1)))


@pytest.mark.usefixtures("double")
def test_channels_that_something_else_reads_are_weighed_where_they_are_given() -> None:
    model = Sums(joined=True).eval()
    net, x, full = Supernet(model), torch.randn(2, 3, 4, 4), Mix(None, (1,))
    out = net({"width": Mix(torch.tensor([0.25, 0.75]), (0, 1)), "ratio": full}, x)
    wide, inside = masked(6, (4, 0.25), (6, 0.75)), masked(12, (8, 0.25), (12, 0.75))
    stem, (first, norm, last) = model.norm(model.stem.plain(x) * wide), model.block
    block = torch.relu(model.norm(last.plain(norm(first.plain(stem)) * inside) * wide))
    assert torch.allclose(out, model.out.plain((stem + block).flip(1).flatten(1)))
