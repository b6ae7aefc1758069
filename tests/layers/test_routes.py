"""Blocks with routes: a user's small network, two of whose three blocks may be passed by."""

from __future__ import annotations

from random import Random

import pytest
import torch
from torch import Tensor, nn

from supernet import InputError, OneOf, Supernet, derive
from supernet.costs.count import macs, params
from supernet.costs.table import count_tables
from supernet.layers.base import searchable
from supernet.layers.routes import Fork, Join
from supernet.mixture import Mix, Mixture, expected, one_hot


def conv(inputs: int, outputs: int, kernel: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.BatchNorm2d(outputs))


class Own(nn.Module):
    """stem -> a, b; a -> b, c, end; b -> c, end; c -> end. Blocks a and c choose an operation, and so does the head of a -> b."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 4, 3)
        forks = [
            Fork({"a": conv(4, 5), "b": conv(4, 6)}, "after stem"),
            Fork({"b": OneOf({"k1": conv(5, 6), "k3": conv(5, 6, 3)}, "a to b"), "c": conv(5, 7), "end": conv(5, 3)}, "after a"),
            Fork({"c": conv(6, 7), "end": conv(6, 3)}, "after b"),
            Fork({"end": conv(7, 3)}, "after c"),
        ]
        self.first = forks[0]
        self.a = Join("a", forks, nn.Sequential(OneOf({"conv": conv(5, 5, 3), "skip": nn.Identity()}, "in a"), forks[1]))
        self.b = Join("b", forks, nn.Sequential(nn.Tanh(), conv(6, 6), forks[2]))
        self.c = Join("c", forks, nn.Sequential(OneOf({"conv": conv(7, 7, 3), "skip": nn.Identity()}, "in c"), forks[3]))
        self.end = Join("end", forks, nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        sent = [self.first(self.stem(x))]
        for block in (self.a, self.b, self.c):
            out = block(sent)
            if out is not None:
                sent.append(out)
        return self.end(sent).mean((2, 3))


ROUTE = {"after stem": "a", "in a": "skip", "after a": "c", "in c": "conv", "after c": "end", "a to b": "k1", "after b": "end"}


def soft(net: Supernet, seed: int = 0) -> Mixture:
    torch.manual_seed(seed)
    return {n: Mix(torch.randn(len(c.options)).softmax(-1), tuple(range(len(c.options)))) for n, c in net.space.items()}


@pytest.mark.usefixtures("double")
def test_derived_network_equals_supernet_under_one_hot() -> None:
    torch.manual_seed(0)
    net = Supernet(Own())
    x = torch.randn(2, 3, 6, 6)
    for seed in range(4):
        net(one_hot(net.space, net.space.sample(Random(seed))), torch.randn(4, 3, 6, 6))
    net.eval()
    for seed in range(12):
        arch = net.space.sample(Random(seed))
        plain = derive(net, arch, x)
        assert not searchable(plain)
        assert (plain(x) - net(one_hot(net.space, arch), x)).abs().max() < 1e-12


def test_a_choice_matters_where_a_route_leads_to_its_block() -> None:
    space = Supernet(Own()).space
    assert set(space.matters(ROUTE)) == {"after stem", "in a", "after a", "in c", "after c"}
    assert set(space.matters({**ROUTE, "after stem": "b"})) == {"after stem", "after b"}
    # through a, with two operations: to b by two heads (and on to c, or not), to c, or to the end; through b at once: to c or to the end
    through_b, through_c = 2 + 1, 2
    assert space.size() == 2 * (2 * through_b + through_c + 1) + through_b


def test_a_block_that_nothing_reaches_is_not_run_and_not_kept() -> None:
    net = Supernet(Own()).eval()
    ran: list[str] = []
    for name in ("a", "b", "c"):
        getattr(net.model, name).body.register_forward_hook(lambda *_, name=name: ran.append(name))
    x = torch.randn(2, 3, 6, 6)
    net(one_hot(net.space, ROUTE), x)
    assert ran == ["a", "c"]
    kept = {name.split(".")[0] for name, _ in derive(net, ROUTE, x).named_parameters()}
    assert kept == {"stem", "first", "a", "c"}


@pytest.mark.usefixtures("double")
def test_a_blocks_input_is_what_arrives_by_every_route_each_weighed_once() -> None:
    net = Supernet(Own()).eval()
    mixture, model, x = soft(net), net.model, torch.randn(2, 3, 6, 6)
    weights = {n: dict(zip(net.space[n].options, mix.weights, strict=True)) for n, mix in mixture.items()}  # type: ignore[arg-type]
    heads = {n: dict(zip(f.choice.options, f.heads, strict=True)) for f in model.end.forks for n in [f.choice.name]}
    arrived: list[Tensor] = []
    model.b.body.register_forward_pre_hook(lambda _, inputs: arrived.append(inputs[0]))
    net(mixture, x)
    stem = model.stem(x)
    a = weights["after stem"]["a"] * heads["after stem"]["a"](stem)
    a = weights["in a"]["conv"] * model.a.body[0].branches[0](a) + weights["in a"]["skip"] * a
    by_a = sum(w * branch(a) for w, branch in zip(mixture["a to b"].weights, heads["after a"]["b"].branches, strict=True))  # type: ignore[arg-type]
    by_stem = weights["after stem"]["b"] * heads["after stem"]["b"](stem)
    assert torch.allclose(arrived[0], by_stem + weights["after a"]["b"] * by_a)


def test_a_route_of_weight_zero_that_runs_gives_its_weight_a_gradient() -> None:
    net = Supernet(Own()).eval()
    x = torch.randn(2, 3, 6, 6)
    gates = torch.tensor([1.0, 0.0], requires_grad=True)
    hard = one_hot(net.space, ROUTE)
    out = net({**hard, "after stem": Mix(gates, (0, 1), (1,))}, x)
    out.sum().backward()
    assert gates.grad is not None and gates.grad[1] != 0
    assert net.model.first.heads[1][0].weight.grad is None


def test_the_counted_cost_of_an_architecture_is_that_of_its_derived_network() -> None:
    net = Supernet(Own())
    tables, x = count_tables(net, torch.zeros(1, 3, 6, 6)), torch.randn(2, 3, 6, 6)
    for seed in range(8):
        arch = net.space.sample(Random(seed))
        plain = derive(net, arch, x)
        cost = {name: expected(net.space, one_hot(net.space, arch), tables[name]).item() for name in ("params", "macs")}
        assert cost == {"params": params(plain), "macs": macs(plain, (3, 6, 6))}


@pytest.mark.usefixtures("double")
def test_a_fork_can_forget_routes() -> None:
    torch.manual_seed(0)
    net = Supernet(Own()).eval()
    less, x = net.restrict({"after a": ("c", "end")}), torch.randn(2, 3, 6, 6)
    assert less.space["after a"].options == ("c", "end") and net.space["after a"].options == ("b", "c", "end")
    assert torch.equal(less(one_hot(less.space, ROUTE), x), net(one_hot(net.space, ROUTE), x))
    assert count_tables(less, torch.zeros(1, 3, 6, 6))["params"][("after a",)].shape == (2,)
    assert "in c" in less.space.matters(ROUTE) and "a to b" not in less.space


def test_a_place_that_no_route_leads_to_is_refused() -> None:
    net = Supernet(Own())
    with pytest.raises(InputError, match="no fork leads to 'a'"):
        net.restrict({"after stem": ("b",)})
    with pytest.raises(InputError, match="no fork leads to 'd'"):
        Join("d", net.model.end.forks, nn.Identity())
    with pytest.raises(InputError, match="leads nowhere"):
        Fork({}, "after d")


def test_a_fork_outside_a_supernet_says_so() -> None:
    with pytest.raises(RuntimeError, match="after d ran outside a supernet"):
        Fork({"end": nn.Identity()}, "after d")(torch.ones(1))
