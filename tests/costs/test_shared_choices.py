"""Costs where one name, one module or one weight stands in several places: the table against the network that is derived."""

from __future__ import annotations

import itertools
from random import Random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from supernet import InputError, OneOf, SomeOf, Supernet, UpTo, derive
from supernet.costs.count import work
from supernet.costs.table import count_tables
from supernet.layers.elastic import ElasticConv2d
from supernet.layers.routes import Fork, Join
from supernet.mixture import Mix, expected, one_hot
from supernet.searchers.state import plain
from supernet.space import Architecture, SearchSpace

SHAPE = (4, 4, 4)
X = torch.zeros(1, *SHAPE)


def conv(kernel: int = 1) -> nn.Conv2d:
    return nn.Conv2d(4, 4, kernel, padding=kernel // 2)


def counted(network: nn.Module) -> dict[str, float]:
    done = work(network, X.to("meta"))
    held = {id(t): t for t in network.state_dict(keep_vars=True).values()}.values()
    storage = sum(t.numel() * t.element_size() for t in held if t.is_floating_point())
    params = sum(p.numel() for p in network.parameters())
    return {"params": params, "macs": done.macs, "activations": done.activations, "storage": storage}


def tabled(net: Supernet, architecture: Architecture) -> dict[str, float]:
    tables = count_tables(net, X)
    return {name: float(expected(net.space, one_hot(net.space, architecture), table)) for name, table in tables.items()}


def everything(space: SearchSpace) -> list[Architecture]:
    """Every way to fill in every choice, those that decide nothing too."""
    return [dict(zip(space, takes, strict=True)) for takes in itertools.product(*(list(c.takes()) for c in space.values()))]


def assert_tables_are_exact(net: Supernet, most: int = 40) -> None:
    tables = count_tables(net, X)
    able = everything(net.space)
    for arch in able if len(able) <= most else Random(0).sample(able, most):
        priced = {name: float(expected(net.space, one_hot(net.space, arch), table)) for name, table in tables.items()}
        assert priced == counted(derive(net, arch, X)), arch


def inner(name: str = "inner") -> OneOf:
    return OneOf({"k1": conv(1), "k3": conv(3)}, name=name)


class Parallel(nn.Module):
    """Two streams that each go to one of two places, so that a place may be reached by none, one or both."""

    def __init__(self) -> None:
        super().__init__()
        self.forks = nn.ModuleList(Fork({"left": conv(), "right": conv(3)}, name) for name in ("first", "second"))
        forks = [fork for fork in self.forks if isinstance(fork, Fork)]
        self.left, self.right = Join("left", forks, conv(3)), Join("right", forks, nn.Sequential(conv(), conv()))

    def forward(self, x: Tensor) -> Tensor:
        sent = [fork(x) for fork in self.forks]
        return sum((out for out in (self.left(sent), self.right(sent)) if out is not None), x)


class Sum(nn.Module):
    """Several edges of one input, some of which stay."""

    def __init__(self, edges: list[nn.Module], name: str | None):
        super().__init__()
        self.inputs, self.node = len(edges), SomeOf(edges, pick=(1, 2), name=name)

    def forward(self, x: Tensor) -> Tensor:
        return self.node([x] * self.inputs)


class Itself(nn.Module):
    """A convolution by its own weight around a module."""

    def __init__(self, inside: nn.Module):
        super().__init__()
        self.weight, self.inside = nn.Parameter(torch.randn(4, 4, 1, 1)), inside

    def forward(self, x: Tensor) -> Tensor:
        return self.inside(F.conv2d(x, self.weight))


def test_a_choice_shared_by_options_that_exclude_each_other_costs_what_it_costs_where_it_stands() -> None:
    net = Supernet(OneOf({"a": inner(), "b": nn.Sequential(inner(), conv()), "skip": nn.Identity()}, name="outer"))
    assert tabled(net, {"outer": "a", "inner": "k3"})["params"] == 148
    assert tabled(net, {"outer": "b", "inner": "k3"})["params"] == 168
    assert tabled(net, {"outer": "skip", "inner": "k3"})["params"] == 0
    assert_tables_are_exact(net)


def nests() -> dict[str, nn.Module]:
    one, two = conv(3), conv(1)
    tied = [nn.Sequential(conv(), nn.ReLU()), nn.Sequential(conv(), nn.Tanh())]
    tied[1][0].weight = tied[0][0].weight  # type: ignore[assignment]
    place = {"a": nn.Sequential(inner("shared")), "b": nn.Identity()}
    return {
        "under parents that do not exclude each other": nn.Sequential(
            OneOf({"a": inner(), "b": nn.Identity()}, name="p"), OneOf({"a": inner(), "b": conv()}, name="q")
        ),
        "always here and under an option there": nn.Sequential(inner(), OneOf({"a": inner(), "b": nn.Identity()}, name="p")),
        "in itself": OneOf({"a": OneOf({"a": conv(1), "b": conv(3)}, name="p"), "b": conv(1)}, name="p"),
        "below a shared one in one of its places": nn.Sequential(
            OneOf({"x": OneOf({"a": nn.Sequential(inner(), conv()), "b": conv()}, name="s"), "y": nn.Identity()}, name="p"),
            OneOf({"x": OneOf({"a": conv(3), "b": nn.Identity()}, name="s"), "y": nn.Identity()}, name="q"),
        ),
        "one module as two options": OneOf({"a": one, "b": nn.Sequential(one, conv()), "c": one, "skip": nn.Identity()}, name="p"),
        "one module in two places": nn.Sequential(
            OneOf({"a": two, "b": nn.Identity()}, name="p"), conv(), OneOf({"a": two, "b": conv(3)}, name="q")
        ),
        "one module at two sizes": nn.Sequential(two, nn.MaxPool2d(2), two, nn.Upsample(scale_factor=2), inner()),
        "tied weights": nn.Sequential(
            OneOf({"a": tied[0], "b": nn.Identity()}, name="p"), OneOf({"a": tied[1], "b": nn.Identity()}, name="q")
        ),
        "one block at every depth": UpTo([two] * 3, depths=(1, 2, 3), name="depth"),
        "shared depths": nn.Sequential(
            OneOf({"a": UpTo([inner(), conv(3)], (1, 2), name="depth"), "b": conv()}, name="p"),
            UpTo([conv(), nn.Sequential(inner(), conv())], (1, 2), name="depth"),
        ),
        "edges of a sum": nn.Sequential(Sum([inner(), nn.Sequential(inner(), conv()), nn.Identity()], "edges"), inner("other")),
        "one module on several edges": Sum([two, nn.Sequential(two, one), conv()], "edges"),
        "streams that meet or do not": Parallel(),
        "shared sizes": nn.Sequential(
            OneOf({"a": nn.Sequential(ElasticConv2d(4, (2, 4), 1, name="w"), ElasticConv2d(4, 4, 1)), "b": nn.Identity()}, name="p"),
            OneOf({"a": nn.Sequential(ElasticConv2d(4, (2, 4), 3, padding=1, name="w"), ElasticConv2d(4, 4, 1)), "b": conv()}, name="q"),
        ),
        "a convolution outside of any module": Itself(OneOf({"a": Itself(inner()), "b": nn.Identity()}, name="p")),
        "a module with one condition in two places of one option": OneOf(place, name="p"),
    }


@pytest.mark.parametrize("nest", nests())
def test_tables_give_the_counts_of_every_derived_network_where_things_are_shared(nest: str) -> None:
    torch.manual_seed(0)
    assert_tables_are_exact(Supernet(nests()[nest]))


NAMES = (None, "p", "q")


def nest(draw: Any, depth: int, pool: list[nn.Module]) -> nn.Module:
    """A random module that keeps shapes; ``pool``: modules that may be used again."""

    def below() -> nn.Module:
        return nest(draw, depth - 1, pool)

    kinds = ["conv", "skip", "again"] + (["one of"] * 3 + ["chain", "up to", "sum", "elastic", "itself"] if depth else [])
    kind = draw(st.sampled_from(kinds))
    if kind == "one of":
        return OneOf({"a": below(), "b": below()}, name=draw(st.sampled_from(NAMES)))
    if kind == "chain":
        return nn.Sequential(below(), below())
    if kind == "up to":
        return UpTo([below(), below()], draw(st.sampled_from([(1, 2), (0, 2)])), name=draw(st.sampled_from([None, "depth"])))
    if kind == "sum":
        return Sum([below(), below()], draw(st.sampled_from([None, "edges"])))
    if kind == "elastic":
        return nn.Sequential(ElasticConv2d(4, (2, 4), 1, name=draw(st.sampled_from([None, "w"]))), nn.ReLU(), ElasticConv2d(4, 4, 1))
    if kind == "itself":
        return Itself(below())
    if kind == "skip":
        return nn.Identity()
    if kind == "again" and pool:
        return draw(st.sampled_from(pool))
    pool.append(conv(draw(st.sampled_from([1, 3]))))
    return pool[-1]


@st.composite
def nets(draw: Any) -> Supernet | None:
    try:
        return Supernet(nn.Sequential(nest(draw, 3, []), OneOf({"a": nest(draw, 2, []), "b": nn.Identity()}, name="p")))
    except InputError:  # names that exclude or encircle each other
        return None


@settings(max_examples=30, deadline=None, derandomize=True)
@given(nets())
def test_tables_of_random_nests_with_shared_names_equal_the_counts_of_the_derived_networks(net: Supernet | None) -> None:
    if net is not None and net.space.size() < 5000:
        assert_tables_are_exact(net, most=6)


def layers_that_run(net: Supernet, arch: Architecture) -> set[str]:
    ran: set[str] = set()
    handles = [layer.register_forward_pre_hook(lambda m, x: ran.add(m.choice.name)) for layer in net.layers if layer.choice]
    with torch.no_grad():
        net(one_hot(net.space, arch), X)
    for handle in handles:
        handle.remove()
    return ran


@settings(max_examples=40, deadline=None, derandomize=True)
@given(nets())
def test_a_choice_matters_exactly_where_one_of_its_layers_runs(net: Supernet | None) -> None:
    if net is None or len(net.space) > 7:
        return
    able = everything(net.space)
    for arch in Random(0).sample(able, min(len(able), 12)):
        assert set(net.space.matters(arch)) == layers_that_run(net, arch)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(nets())
def test_the_expected_cost_of_a_blend_is_the_mean_over_its_architectures_where_things_are_shared(net: Supernet | None) -> None:
    if net is None or len(net.space) > 6 or any(c.pick for c in net.space.values()):
        return
    rng, table = torch.Generator().manual_seed(0), count_tables(net, X)["macs"]
    weights = {n: torch.randn(len(c.options), generator=rng).double().softmax(-1).requires_grad_() for n, c in net.space.items()}
    mean = torch.zeros((), dtype=torch.float64)
    for arch in everything(net.space):
        chance = torch.ones((), dtype=torch.float64)
        for name, option in arch.items():
            chance = chance * weights[name][net.space[name].options.index(option)]  # type: ignore[arg-type]
        mean = mean + chance * expected(net.space, one_hot(net.space, arch), table)
    cost = expected(net.space, {n: Mix(w, tuple(range(len(w)))) for n, w in weights.items()}, table)
    assert float(cost.detach()) == pytest.approx(float(mean.detach()))
    nothing = 0 * torch.cat(list(weights.values())).sum()  # so that every weight takes part
    ours, theirs = (torch.autograd.grad(total + nothing, list(weights.values()), retain_graph=True) for total in (cost, mean))
    for a, b in zip(ours, theirs, strict=True):
        # weights are probabilities: what counts is how the cost moves when probability moves from one option to another
        torch.testing.assert_close(a - a.mean(), b - b.mean(), rtol=1e-6, atol=1e-6)


def test_the_size_of_a_space_counts_networks_that_differ_where_names_are_shared() -> None:
    net = Supernet(nests()["below a shared one in one of its places"])
    keys = {net.space.key(arch) for arch in everything(net.space)}
    assert net.space.size() == len(keys) == len(list(net.space.enumerate()))
    assert plain(net.space.matters({"p": "y", "q": "x", "s": "a", "inner": "k3"})) == {"p": "y", "q": "x", "s": "a"}
