from __future__ import annotations

from random import Random

import pytest
import torch
from torch import nn

from supernet import (
    ElasticConv1d,
    ElasticConv2d,
    ElasticKernel2d,
    ElasticLinear,
    ElasticNorm,
    InputError,
    OneOf,
    SomeOf,
    Supernet,
    UpTo,
    derive,
)
from supernet.layers.base import searchable
from supernet.mixture import Mix, one_hot
from supernet.ops import Zero


def conv(c: int, k: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(c, c, k, padding=k // 2), nn.BatchNorm2d(c), nn.ReLU())


class Nested(nn.Module):
    """A OneOf in an UpTo in a OneOf, a SomeOf, and elastic layers that follow a width."""

    def __init__(self) -> None:
        super().__init__()
        block = [OneOf({"k3": conv(4, 3), "k5": conv(4, 5)}) for _ in range(3)]
        self.outer = OneOf({"deep": UpTo(block, (1, 2, 3)), "skip": nn.Identity()})
        self.node = SomeOf([conv(4, 1), OneOf({"a": conv(4, 3), "b": nn.Identity()}), nn.Identity()], pick=(1, 2), name="node")
        self.widen = ElasticConv2d(4, (4, 6, 8), 1, bias=False, name="width")
        self.norm = ElasticNorm(8)
        self.kernel = ElasticKernel2d(8, (3, 5))
        self.head = ElasticLinear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.outer(x)
        x = self.node([x, x, x])
        x = self.kernel(self.norm(self.widen(x)))
        out: torch.Tensor = self.head(x.mean((2, 3)))
        return out


@pytest.mark.usefixtures("double")
def test_derived_network_equals_supernet_under_one_hot() -> None:
    torch.manual_seed(0)
    net = Supernet(Nested())
    x = torch.randn(3, 4, 7, 9)
    with torch.no_grad():  # running statistics away from their start
        for seed in range(5):
            net(one_hot(net.space, net.space.sample(Random(seed))), torch.randn(8, 4, 7, 9))
    net.eval()
    seen = set()
    for seed in range(40):
        arch = net.space.sample(Random(seed))
        plain = derive(net, arch, x)
        assert not searchable(plain) and not any(isinstance(m, ElasticNorm) for m in plain.modules())
        assert (plain(x) - net(one_hot(net.space, arch), x)).abs().max() < 1e-9
        seen.add(net.space.key(arch))
    assert len(seen) > 20


def test_conditions_come_from_nesting() -> None:
    space = Supernet(Nested()).space
    assert space["outer"].when == ()
    assert space["outer.branches.0"].when == (("outer", "deep"),)
    assert space["outer.branches.0.blocks.0"].when == (("outer", "deep"),)
    assert space["outer.branches.0.blocks.2"].when == (("outer.branches.0", 3),)
    assert space["node"].pick == (1, 2)
    assert [c.when for n, c in space.items() if n.startswith("node.")] == [(("node", 1),)]


def test_architectures_that_differ_in_what_does_not_matter_have_one_key() -> None:
    net = Supernet(Nested())
    arch = {**net.space.sample(Random(0)), "outer": "skip"}
    keys = {net.space.key({**arch, "outer.branches.0": d, "outer.branches.0.blocks.0": k}) for d in (1, 2, 3) for k in ("k3", "k5")}
    assert len(keys) == 1


def test_a_decision_that_cannot_matter_may_be_left_out() -> None:
    net = Supernet(Nested())
    arch = {"outer": "skip", "node": (0, 2), "width": 6, "kernel": 3}
    assert derive(net, arch, torch.randn(1, 4, 8, 8))(torch.randn(2, 4, 8, 8)).shape == (2, 5)


def test_layers_that_share_a_name_share_the_choice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = OneOf({"up": nn.Identity(), "tanh": nn.Tanh()}, name="both")
            self.b = OneOf({"up": nn.Identity(), "tanh": nn.Tanh()}, name="both")

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.a(x) + self.b(x)
            return out

    net = Supernet(Twice())
    assert list(net.space) == ["both"]
    assert derive(net, {"both": "up"}, torch.ones(1))(torch.ones(1)) == 2


def test_a_shared_module_is_derived_once_so_that_tying_survives() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(5, 4)
            self.body = OneOf({"id": nn.Identity(), "tanh": nn.Tanh()})
            self.again = self.body
            self.out = nn.Linear(4, 5, bias=False)
            self.out.weight = self.embed.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.out(self.again(self.body(self.embed(x))))
            return out

    plain = derive(Supernet(Tied()), {"body": "tanh"}, torch.tensor([1]))
    assert plain.out.weight is plain.embed.weight and plain.again is plain.body


@pytest.mark.usefixtures("double")
def test_a_soft_blend_is_the_weighted_sum() -> None:
    torch.manual_seed(0)
    a, b = nn.Linear(3, 3), nn.Linear(3, 3)
    net = Supernet(OneOf({"a": a, "b": b}, name="c"))
    x, w = torch.randn(2, 3), torch.tensor([0.3, 0.7])
    assert torch.allclose(net({"c": Mix(w, (0, 1))}, x), 0.3 * a(x) + 0.7 * b(x))
    up = Supernet(UpTo([nn.Linear(3, 3), nn.Linear(3, 3)], (0, 1, 2), name="d"))
    w = torch.tensor([0.2, 0.3, 0.5])
    first = up.model.blocks[0](x)
    assert torch.allclose(up({"d": Mix(w, (0, 1, 2))}, x), 0.2 * x + 0.3 * first + 0.5 * up.model.blocks[1](first))


@pytest.mark.usefixtures("double")
def test_a_blend_of_kernels_is_the_blend_of_the_convolutions() -> None:
    torch.manual_seed(0)
    layer = ElasticKernel2d(2, (3, 5), name="k")
    layer.matrices["3"].data.normal_()
    net, x = Supernet(layer), torch.randn(1, 2, 6, 6)
    single = [net({"k": Mix(None, (i,))}, x) for i in (0, 1)]
    assert torch.allclose(net({"k": Mix(torch.tensor([0.4, 0.6]), (0, 1))}, x), 0.4 * single[0] + 0.6 * single[1])


@pytest.mark.usefixtures("double")
def test_a_blend_of_widths_masks_channels_and_has_a_gradient() -> None:
    net, x = Supernet(ElasticConv1d(2, (1, 3), 3, padding=1, name="w")), torch.randn(2, 2, 5)
    w = torch.tensor([0.25, 0.75], requires_grad=True)
    out = net({"w": Mix(w, (0, 1))}, x)
    full = net({"w": Mix(None, (1,))}, x)
    assert torch.allclose(out, full * torch.tensor([1.0, 0.75, 0.75]).view(1, 3, 1))
    out.sum().backward()
    assert w.grad is not None and (w.grad != 0).all()
    assert net({"w": Mix(None, (0,))}, x).shape == (2, 1, 5)


def test_elastic_layers_of_derived_networks_have_the_chosen_sizes() -> None:
    net = Supernet(
        nn.Sequential(ElasticConv2d(3, (4, 8), 3, padding=1, name="w"), ElasticNorm(8), ElasticConv2d(8, 8, 3, padding=1, depthwise=True))
    )
    plain = derive(net, {"w": 4}, torch.randn(2, 3, 6, 6))
    assert [tuple(p.shape) for p in plain.parameters()] == [(4, 3, 3, 3), (4,), (4,), (4,), (4, 1, 3, 3), (4,)]
    assert type(plain[1]) is nn.BatchNorm2d


def test_the_state_of_layers_is_put_back_after_a_forward_pass() -> None:
    net = Supernet(Nested())
    x = torch.randn(2, 4, 6, 6)
    net(one_hot(net.space, net.space.sample(Random(1))), x)
    assert all(layer.mix is None for layer in net.layers)
    with pytest.raises(RuntimeError, match="outside a supernet"):
        net.model(x)


def test_restrict_gives_a_smaller_supernet_and_leaves_the_first() -> None:
    net = Supernet(OneOf({"a": nn.Identity(), "b": nn.Tanh(), "none": Zero(1)}, name="c", search_only=("none",)))
    small = net.restrict({"c": ("b", "none")})
    assert small.space["c"].options == ("b", "none") and small.space["c"].search_only == ("none",)
    assert net.space["c"].options == ("a", "b", "none")
    with pytest.raises(InputError, match="cannot drop options"):
        Supernet(ElasticConv2d(1, (1, 2), 1, name="w")).restrict({"w": (1,)})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Supernet(nn.Linear(2, 2)), "has no choices"),
        (lambda: UpTo([nn.Identity()], (1, 2)), "ascending depths"),
        (lambda: SomeOf([nn.Identity()], pick=(1, 2)), "pick"),
        (lambda: OneOf({}), "at least one branch"),
        (lambda: ElasticKernel2d(2, (2, 3)), "odd"),
        (lambda: ElasticConv2d(2, (2, 4), 3, depthwise=True), "as wide as its input"),
    ],
)
def test_layers_refuse_what_makes_no_sense(make: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()  # type: ignore[operator]
