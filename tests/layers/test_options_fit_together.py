"""What open layers ask of the modules of a user: that one does not spoil what others get, and that their outputs can be added up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from supernet import InputError, OneOf, SomeOf, Supernet, UpTo, derive
from supernet.layers.auxiliary_skip import AuxiliarySkip
from supernet.layers.blend import comparing
from supernet.layers.partial import Partial
from supernet.layers.routes import Fork, Join
from supernet.mixture import Mix, one_hot
from supernet.modules.memo import memo, once
from supernet.ops import MaxPool


class Routes(nn.Module):
    """One fork, whose input goes to either of two joins."""

    def __init__(self, first: nn.Module, second: nn.Module, body: nn.Module | None = None):
        super().__init__()
        self.fork = Fork({"a": first, "b": second}, name="x")
        self.ends = nn.ModuleList([Join(place, [self.fork], body or nn.Identity()) for place in ("a", "b")])

    def forward(self, x: Any, *others: Any, **named: Any) -> Any:
        sent = self.fork(x, *others, **named)
        return sum(out for end in self.ends if (out := end([sent])) is not None)


class Twice(nn.Module):
    """An open layer that is given its input twice."""

    def __init__(self, *edges: nn.Module):
        super().__init__()
        self.sum = SomeOf(edges, pick=(1, len(edges)), name="x")

    def forward(self, x: Any, *others: Any, **named: Any) -> Any:
        return self.sum([x, x], *others, **named)


class After(nn.Module):
    """Adds its input after ``inside`` ran on it."""

    def __init__(self, inside: nn.Module):
        super().__init__()
        self.inside = inside

    def forward(self, x: Tensor) -> Tensor:
        return self.inside(x) + x


LAYERS: dict[str, Callable[[nn.Module, nn.Module], nn.Module]] = {
    "OneOf": lambda a, b: OneOf({"a": a, "b": b}, name="x"),
    "SomeOf": Twice,
    "UpTo": lambda a, b: UpTo([a, b], depths=(0, 1, 2), name="x"),
    "UpTo from its first block": lambda a, b: After(UpTo([a, b], depths=(1, 2), name="x")),
    "Fork": Routes,
    "AuxiliarySkip": lambda a, b: _with_skip(OneOf({"a": a}, name="x"), b),
    "Partial": lambda a, b: OneOf({"a": Partial(a, 8, 2), "b": Partial(nn.Identity(), 8, 2)}, name="x"),
}


def _with_skip(edge: nn.Module, skip: nn.Module) -> nn.Module:
    layer = AuxiliarySkip(edge, skip)
    layer.strength = 0.5
    return layer


def convolution(channels: int, inplace: bool) -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Identity(), nn.Sequential(nn.ReLU(inplace=inplace), nn.Conv2d(channels, channels, 1)))


def all_options(net: Supernet) -> dict[str, Mix]:
    return {n: Mix(torch.linspace(0.3, 0.7, len(c.options)).requires_grad_(), tuple(range(len(c.options)))) for n, c in net.space.items()}


@pytest.mark.parametrize("layer", LAYERS)
def test_a_candidate_that_begins_in_place_gives_the_blend_and_the_gradients_of_one_that_does_not(layer: str) -> None:
    torch.manual_seed(0)
    x, results = torch.randn(2, 8, 4, 4), []
    channels = 4 if layer == "Partial" else 8
    for inplace in (False, True):
        h = (x.clone().requires_grad_()) * 1
        h.retain_grad()
        net = Supernet(LAYERS[layer](convolution(channels, inplace), nn.Identity()))
        mixture = all_options(net)
        out = net(mixture, h)
        out.square().sum().backward()
        results.append([out.detach(), h.grad, *(mix.weights.grad for mix in mixture.values()), *(p.grad for p in net.parameters())])
        assert torch.equal(h, x)
        for taken in net.space["x"].takes() if layer != "AuxiliarySkip" else ():  # whose skip is gone in a derived network
            arch = net.space.check({"x": taken})
            assert torch.equal(derive(net, arch, x)(x.clone()), net.eval()(one_hot(net.space, arch), x.clone()))
    for plain, inplace in zip(*results, strict=True):
        assert torch.equal(plain, inplace)


class Writes(nn.Module):
    """Changes what it is given."""

    def forward(self, x: Tensor) -> Tensor:
        return x.relu_() + 1


@pytest.mark.parametrize("layer", sorted(LAYERS.keys() - {"AuxiliarySkip"}))
def test_an_option_that_writes_into_what_others_get_is_refused_by_name(layer: str) -> None:
    net = Supernet(LAYERS[layer](Writes(), nn.Identity()))
    with pytest.raises(InputError, match=r"option .* of 'x' changes its input in place, .* use inplace=False"):
        net(all_options(net), torch.randn(2, 8, 4, 4))


def test_the_module_that_works_in_place_is_named() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = nn.ReLU(inplace=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.act(x)

    net = Supernet(OneOf({"block": Block(), "skip": nn.Identity()}, name="x"))
    with pytest.raises(InputError, match=r"'block' of 'x' .* in its 'act'"):
        net(all_options(net), torch.randn(2, 8))


def test_an_option_may_change_in_place_what_is_its_own() -> None:
    own = nn.Sequential(nn.Linear(8, 8), nn.ReLU(inplace=True))
    net = Supernet(OneOf({"own": own, "skip": nn.Identity()}, name="x"))
    net(all_options(net), torch.randn(2, 8)).sum().backward()
    assert own[1].inplace


def test_a_shared_result_that_is_changed_in_place_is_refused_with_the_operation_it_is_of() -> None:
    pools = [nn.Sequential(MaxPool(1), nn.ReLU(inplace=True)), nn.Sequential(MaxPool(1), nn.Conv2d(8, 8, 1))]
    net = Supernet(OneOf(dict(zip("ab", pools, strict=True)), name="x"))
    with pytest.raises(InputError, match=r"'max_pool'.*changed in place"):
        net(all_options(net), torch.randn(2, 8, 4, 4))


def test_a_tensor_that_changed_in_place_is_computed_anew() -> None:
    x = torch.ones(3)
    with memo():
        first = once("double", x, lambda x: 2 * x)
        assert once("double", x, lambda x: 2 * x) is first
        x.add_(1)
        assert torch.equal(once("double", x, lambda x: 2 * x), 2 * x)


class Branch(nn.Module):
    """Several inputs, by place and by name; outputs in a tuple and a dict."""

    def __init__(self, times: float):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(times))

    def forward(self, x: Tensor, edges: Tensor, *, mask: Tensor | None = None) -> Any:
        out = self.weight * x[edges]
        return out if mask is None else out * mask


class Several(nn.Module):
    def forward(self, x: Tensor, scale: float = 1.0) -> Any:
        return scale * x, {"half": x / 2, "mask": x.new_ones((), dtype=torch.bool), "name": "h"}


@pytest.mark.parametrize("layer", ["OneOf", "SomeOf", "UpTo", "Fork", "AuxiliarySkip"])
def test_open_layers_take_several_inputs_and_names_as_the_modules_they_hold_and_derive_to_the_same(layer: str) -> None:
    torch.manual_seed(0)
    make = LAYERS[layer] if layer != "AuxiliarySkip" else lambda a, b: AuxiliarySkip(OneOf({"a": a, "b": b}, name="x"))
    net = Supernet(Named(make(Branch(2.0), Branch(3.0))))
    x, edges, mask = torch.randn(4, 3), torch.tensor([1, 0, 3, 2]), torch.tensor([[1.0], [0.0], [1.0], [1.0]])
    assert net(all_options(net), x, edges, mask=mask).shape == x.shape
    for taken in net.space["x"].takes():
        arch = net.space.check({"x": taken})
        model = derive(net, arch, x, edges, mask)
        assert torch.equal(model(x, edges, mask=mask), net(one_hot(net.space, arch), x, edges, mask=mask))


class Named(nn.Module):
    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, edges: Tensor, mask: Tensor) -> Tensor:
        out: Tensor = self.layer(x, edges, mask=mask)
        return out


def test_outputs_in_tuples_and_dicts_are_blended_tensor_by_tensor() -> None:
    net = Supernet(OneOf({"a": Several(), "b": Several()}, name="x"))
    x, weights = torch.randn(3), torch.tensor([0.25, 0.5])
    out, rest = net({"x": Mix(weights, (0, 1))}, x, scale=2.0)
    assert torch.equal(out, 1.5 * x) and torch.equal(rest["half"], 0.125 * x + 0.25 * x)
    assert rest["mask"].dtype == torch.bool and rest["name"] == "h"
    idle, _ = net({"x": Mix(weights, (0, 1), (1,))}, x.requires_grad_())
    (slope,) = torch.autograd.grad(idle.sum(), x)
    assert torch.equal(slope, torch.full((3,), 0.25))


class Gives(nn.Module):
    def __init__(self, value: Any):
        super().__init__()
        self.value = value

    def forward(self, x: Tensor) -> Any:
        return self.value


UNLIKE = [
    (torch.zeros(2, 8, 4), torch.zeros(2, 8, 1), r"a \(2, 8, 4\), b \(2, 8, 1\)"),
    (torch.zeros(2), (torch.zeros(2),), r"a \(2,\), b tuple of \(2,\)"),
    ((torch.zeros(2), torch.zeros(2)), (torch.zeros(2),), "tuple of"),
    ({"h": torch.zeros(2)}, {"c": torch.zeros(2)}, r"\{'h': \(2,\)\}, b \{'c'"),
    (torch.zeros(2), torch.zeros(2).double(), "float32 on cpu, b .* float64"),
    ((torch.zeros(2), "one"), (torch.zeros(2), "two"), "'one', b .*'two'"),
    (torch.tensor([1]), torch.tensor([2]), "int64"),
    (torch.zeros(2), None, "None"),
    (torch.zeros(2), torch.zeros(2, device="meta"), "meta"),
]


@pytest.mark.parametrize(("one", "other", "said"), UNLIKE)
def test_unlike_options_are_named_with_what_they_give(one: Any, other: Any, said: str) -> None:
    net = Supernet(OneOf({"a": Gives(one), "b": Gives(other)}, name="stage"))
    with comparing(), pytest.raises(InputError, match="the options of 'stage' must give outputs that are alike, and give .*" + said):
        net({"stage": Mix(None, (0, 1))}, torch.zeros(1))


@pytest.mark.parametrize("layer", ["SomeOf", "UpTo"])
def test_unlike_edges_and_depths_are_named_too(layer: str) -> None:
    net = Supernet(LAYERS[layer](nn.Linear(8, 8), nn.Linear(8, 1)))
    with comparing(), pytest.raises(InputError, match=r"the options of 'x' must give .* 1 \(2, 1\)|2 \(2, 1\)"):
        net(all_options(net), torch.zeros(2, 8))


def test_what_arrives_at_a_join_must_be_alike_and_what_goes_elsewhere_need_not() -> None:
    forks = [Fork({"c": nn.Linear(8, 4), "d": nn.Linear(8, width)}, name=f"f{width}") for width in (8, 1)]

    class Net(nn.Module):
        def __init__(self, place: str) -> None:
            super().__init__()
            self.forks, self.end = nn.ModuleList(forks), Join(place, forks, nn.Identity())

        def forward(self, x: Tensor) -> Tensor:
            return self.end([fork(x) for fork in self.forks])

    good, bad = Supernet(Net("c")), Supernet(Net("d"))
    with comparing():
        assert good(all_options(good), torch.zeros(2, 8)).shape == (2, 4)
        with pytest.raises(InputError, match=r"what leads to 'd' must give .* \(2, 8\), .* \(2, 1\)"):
            bad(all_options(bad), torch.zeros(2, 8))


MISTAKES: list[tuple[Callable[[], Any], str]] = [
    (lambda: OneOf([nn.Identity()]), "OneOf takes a dict of modules by name.*got a list"),  # type: ignore[arg-type]
    (lambda: OneOf(nn.Identity()), "OneOf takes a dict.*got a Identity"),  # type: ignore[arg-type]
    (lambda: OneOf({"a": (nn.Identity(), nn.ReLU())}), "option 'a' of OneOf must be a torch.nn.Module; got a tuple: put it in"),  # type: ignore[dict-item]
    (lambda: OneOf({"a": torch.relu}), "option 'a' of OneOf must be a torch.nn.Module; got a builtin"),  # type: ignore[dict-item]
    (lambda: OneOf({"a": nn.ReLU}), "option 'a' of OneOf must be a torch.nn.Module; got a type"),  # type: ignore[dict-item]
    (lambda: OneOf({None: nn.Identity()}), "named by text or a number; got None"),  # type: ignore[dict-item]
    (lambda: OneOf({(3, 1): nn.Identity()}), r"named by text or a number; got \(3, 1\)"),  # type: ignore[dict-item]
    (lambda: OneOf({"a": nn.Identity()}, name=3), "the name of a choice is text; got 3"),  # type: ignore[arg-type]
    (lambda: SomeOf({"a": nn.Identity()}, (1, 1)), "SomeOf takes a list of modules; got a dict"),  # type: ignore[arg-type]
    (lambda: SomeOf([nn.Identity(), "skip"], (1, 1)), "number 1 of SomeOf must be a torch.nn.Module; got a str"),  # type: ignore[list-item]
    (lambda: UpTo(nn.Identity(), (1,)), "UpTo takes a list of modules; got a Identity"),  # type: ignore[arg-type]
    (lambda: UpTo([None], (1,)), "number 0 of UpTo must be a torch.nn.Module; got a NoneType"),  # type: ignore[list-item]
    (lambda: Fork([nn.Identity()], "f"), "Fork takes a dict"),  # type: ignore[arg-type]
    (lambda: Fork({None: nn.Identity()}, "f"), "named by text or a number; got None"),  # type: ignore[dict-item]
]


@pytest.mark.parametrize(("make", "said"), MISTAKES)
def test_what_a_layer_cannot_hold_is_refused_in_one_line(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as refused:
        make()
    assert "\n" not in str(refused.value)
