"""The spaces of FBNet and ProxylessNAS: their choices, sizes and builds."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from supernet.costs.count import params
from supernet.derive import derive
from supernet.errors import InputError
from supernet.layers.base import searchable
from supernet.mixture import Mix, one_hot
from supernet.spaces import fbnet, proxyless
from supernet.spaces.chain_network import Chain, Place

SPACES: dict[str, Any] = {"fbnet": fbnet, "proxyless": proxyless}
SMALL: dict[str, tuple[str, dict[str, Any]]] = {  # what a space is built with for a few milliseconds a pass
    "fbnet, cifar": ("fbnet", {"stem": "cifar", "depths": (1, 2, 2, 1, 1, 1, 1), "width": 0.25, "head": 24, "shape": (3, 16, 16)}),
    "fbnet, imagenet": (
        "fbnet",
        {"stem": "imagenet", "depths": (1, 2, 1, 2, 1, 2, 1), "width": 0.25, "head": 24, "shape": (1, 37, 41), "classes": 7},
    ),
    "fbnet, other stages": ("fbnet", {"stem": "cifar", "depths": (2, 1, 1, 1, 1, 1, 1), "widths": (8, 8, 8, 12, 12, 16, 24), "head": 9}),
    "proxyless, cifar": ("proxyless", {"stem": "cifar", "depths": (2, 2, 1, 1, 1, 1), "width": 0.25, "head": 24, "shape": (3, 16, 16)}),
    "proxyless, imagenet": (
        "proxyless",
        {"stem": "imagenet", "depths": (2, 1, 2, 1, 2, 1), "width": 0.25, "head": 24, "shape": (1, 37, 41), "classes": 7},
    ),
    "proxyless, growth": ("proxyless", {"stem": "cifar", "growth": 5, "depths": (3, 3, 2), "first": 8, "head": 24, "shape": (3, 13, 18)}),
}


def features(network: nn.Module, shape: tuple[int, int, int]) -> list[tuple[int, ...]]:
    """The shapes of what the layers of a chain give."""
    found: list[tuple[int, ...]] = []
    assert isinstance(network, Chain)
    for layer in network.layers:
        layer.register_forward_hook(lambda module, inputs, output: found.append(tuple(output.shape[1:])))
    with torch.no_grad():
        network.eval()(torch.zeros(1, *shape))
    return found


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow if "imagenet" in name else ()) for name in SMALL])
def test_derived_and_stand_alone_network_equal_the_supernet_under_one_hot(name: str) -> None:
    torch.manual_seed(0)
    space, settings = SPACES[SMALL[name][0]], SMALL[name][1]
    net, shape = space.supernet(**settings), settings.get("shape", (3, 32, 32))
    with torch.no_grad():
        for seed in range(2):  # statistics of their own for the batch norms
            net(one_hot(net.space, net.space.sample(Random(seed))), torch.randn(4, *shape))
        net.eval()
        x = torch.randn(2, *shape)
        for seed in range(3):
            architecture = net.space.sample(Random(seed))
            expected = net(one_hot(net.space, architecture), x)
            plain = derive(net, architecture, x)
            assert not searchable(plain) and torch.allclose(plain(x), expected, rtol=1e-12, atol=1e-12)
            alone = space.network(architecture, **settings)
            alone.load_state_dict(plain.state_dict())
            assert torch.allclose(alone.eval()(x), expected, rtol=1e-12, atol=1e-12)
            assert expected.abs().max() > 0 and params(alone) == params(plain)


@pytest.mark.parametrize("name", SMALL)
def test_a_blend_of_all_options_trains_every_weight(name: str) -> None:
    torch.manual_seed(0)
    net = SPACES[SMALL[name][0]].supernet(**SMALL[name][1])
    blend = {n: Mix(torch.full((len(c.options),), 1 / len(c.options)), tuple(range(len(c.options)))) for n, c in net.space.items()}
    net(blend, torch.randn(4, *SMALL[name][1].get("shape", (3, 32, 32)))).square().sum().backward()
    assert all(p.grad is not None for p in net.parameters())


@pytest.mark.parametrize(("name", "alphas", "size", "weights"), [("fbnet", 198, 9**22, None), ("proxyless", 141, 6**6 * 7**15, 16_034_168)])
def test_the_spaces_have_the_size_in_the_papers(name: str, alphas: int, size: int, weights: int | None) -> None:
    with torch.device("meta"):
        net = SPACES[name].supernet(stem="imagenet")
    assert list(net.space) == [f"layer.{i}" for i in range(len(net.space))]
    assert (sum(len(c.options) for c in net.space.values()), net.space.size()) == (alphas, size)
    assert weights in (None, params(net))


def test_options_come_in_the_order_of_the_papers() -> None:
    with torch.device("meta"):
        first, second = (space.supernet().space for space in (fbnet, proxyless))
    assert first["layer.9"].options == ("k3e1", "k3e1g2", "k3e3", "k3e6", "k5e1", "k5e1g2", "k5e3", "k5e6", "skip")
    assert second["layer.1"].options == ("k3e3", "k3e6", "k5e3", "k5e6", "k7e3", "k7e6", "zero")
    assert [i for i in range(21) if "zero" not in second[f"layer.{i}"].options] == [0, 4, 8, 12, 16, 20]


def test_a_layer_left_out_is_the_identity_where_sizes_stay() -> None:
    assert isinstance(proxyless.build("zero", Place(8, 8, 1)), nn.Identity)
    assert isinstance(fbnet.build("skip", Place(8, 8, 1)), nn.Identity)


@pytest.mark.parametrize("place", [Place(8, 8, 2), Place(8, 16, 1), Place(8, 16, 2)])
def test_a_skip_that_changes_sizes_is_a_rectified_1x1_convolution(place: Place) -> None:
    skip = fbnet.build("skip", place)
    assert [type(part) for part in skip] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]  # type: ignore[attr-defined]
    out = skip(torch.randn(2, 8, 7, 7))
    assert out.shape[1:] == (place.outputs, *[7 if place.stride == 1 else 4] * 2) and out.min() >= 0


def test_grouped_blocks_shuffle_what_comes_in_and_keep_their_shortcut() -> None:
    block = fbnet.build("k3e1g2", Place(4, 4, 1))
    for part in block.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.zeros_(part.weight)
    x = torch.randn(1, 4, 5, 5)
    assert torch.equal(block.eval()(x), x)  # what was added is 0
    assert params(fbnet.build("k3e1g2", Place(4, 6, 1))) == 4 * 9 + 2 * 4 + 4 * 6 // 2 + 2 * 6


@pytest.mark.parametrize("name", SPACES)
@given(data=st.data())
def test_a_notation_reads_back_as_what_was_written(name: str, data: st.DataObject) -> None:
    space = SPACES[name]
    taken = data.draw(st.lists(st.sampled_from(space.OPTIONS), min_size=1, max_size=60))
    architecture = {f"layer.{i}": option for i, option in enumerate(taken)}
    text = space.notation(architecture)
    assert space.parse(text) == space.parse(text.replace(": ", ":").replace("|", "\n ")) == architecture


@pytest.mark.parametrize(("name", "layers", "stages"), [("fbnet", 22, 7), ("proxyless", 21, 6), ("proxyless", 54, 3), ("fbnet", 9, 1)])
def test_a_notation_has_a_bar_between_the_stages_of_the_usual_depths(name: str, layers: int, stages: int) -> None:
    text = SPACES[name].notation({f"layer.{i}": "k3e3" for i in range(layers)})
    assert text.startswith(f"{name}: k3e3 ") and text.count("|") == stages - 1


@pytest.mark.parametrize("name", SPACES)
def test_the_cifar_stem_keeps_the_size_of_the_first_stages(name: str) -> None:
    space = SPACES[name]
    with torch.device("meta"):
        plan = space.supernet().space.sample(Random(1))
    sides = {}
    for stem, side in (("cifar", 32), ("imagenet", 64)):
        network = space.network(plan, stem=stem, width=0.25, head=8, shape=(3, side, side))
        sides[stem] = [shape[1] for shape in features(network, (3, side, side))]
    assert sides["cifar"][0] == 32 and sides["cifar"][-1] == 4 and sorted(set(sides["cifar"])) == [4, 8, 16, 32]
    assert sides["imagenet"][0] == 32 and sides["imagenet"][-1] == 2


@pytest.mark.parametrize("name", SPACES)
def test_the_multiplier_scales_every_width_but_narrows_no_head(name: str) -> None:
    space = SPACES[name]
    with torch.device("meta"):
        plan = space.supernet().space.sample(Random(2))
        whole, half, double = (space.network(plan, width=width) for width in (1.0, 0.5, 2.0))
    assert [network.head[0].out_channels / whole.head[0].out_channels for network in (half, double)] == [1, 2]
    assert [network.head[0].in_channels / whole.head[0].in_channels for network in (half, double)] == [0.5, 2]
    assert [network.stem[0].out_channels / whole.stem[0].out_channels for network in (half, double)] == [0.5, 2]


def test_growth_widens_every_block_by_an_equal_share() -> None:
    at = proxyless.pyramid_places(16, 28, (18, 18, 18))
    assert [p.stride for p in at] == [2 if i in (18, 36) else 1 for i in range(54)]
    assert [at[i].outputs for i in (17, 35, 53)] == [44, 72, 100]
    assert {p.outputs - p.inputs for p in at} == {1, 2} and all(a.outputs == b.inputs for a, b in pairwise(at))


def test_a_network_with_growth_has_three_stages_at_32_16_and_8_pixels() -> None:
    settings: dict[str, Any] = {"stem": "cifar", "growth": 6, "depths": (3, 2, 1), "stem_channels": 8, "first": 8, "head": 8}
    net = proxyless.supernet(**settings)
    assert [len(c.options) for c in net.space.values()] == [7, 7, 7, 6, 7, 6]  # zero, but where a block strides
    plan = {name: choice.options[-1] for name, choice in net.space.items()}
    shapes = features(proxyless.network(plan, **settings), (3, 32, 32))
    assert shapes == [(8, 32, 32), (10, 32, 32), (12, 32, 32), (14, 32, 32), (17, 16, 16), (20, 16, 16), (26, 8, 8)]


@pytest.mark.parametrize("side", [6, 7])
def test_shortcuts_across_wider_blocks_are_padded_with_zero_channels(side: int) -> None:
    x = torch.randn(2, 4, side, side)
    same, half = (proxyless.PaddedShortcut(Place(4, 7, stride))(x) for stride in (1, 2))
    assert torch.equal(same[:, :4], x) and same.shape == (2, 7, side, side) and not same[:, 4:].any()
    assert half.shape == (2, 7, (side + 1) // 2, (side + 1) // 2) and not half[:, 4:].any()
    assert torch.allclose(half[:, :4, 0, 0], x[:, :, :2, :2].mean((2, 3)))
    block = proxyless.build("k3e3", Place(4, 7, 2), pyramid=True).eval()
    assert isinstance(block, proxyless.PaddedResidual)
    assert torch.allclose(block(x), block.body(x) + half)


def test_dropout_acts_in_training_alone() -> None:
    torch.manual_seed(0)
    plan, x = "fbnet: " + "skip " * 22, torch.randn(4, 3, 32, 32)
    network = fbnet.network(plan, stem="cifar", width=0.5, dropout=0.5)
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"stem": "tiny"}, "imagenet, cifar"),
        ({"shape": (3, 32)}, "channels, height, width"),
        ({"classes": 0}, "classes must be"),
        ({"width": 0.0}, "width"),
        ({"stem_channels": 0}, "at least 1"),
        ({"head": 0}, "at least 1"),
        ({"dropout": 1.0}, "dropout must be"),
        ({"depths": (1, 2)}, "widths and depths name a number for each"),
        ({"depths": (0, 1, 1, 1, 1, 1, 1)}, "at least 1|for each"),
    ],
)
def test_impossible_settings_are_refused_in_one_line(name: str, settings: dict[str, Any], says: str) -> None:
    with torch.device("meta"), pytest.raises(InputError, match=says) as error:
        SPACES[name].supernet(**settings)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("fbnet", {"widths": (16, 24, 32, 64, 112, 183, 352)}, "2 groups"),
        ("proxyless", {"growth": 8, "stem": "imagenet"}, "CIFAR stem"),
        ("proxyless", {"growth": 8, "widths": (8, 8, 8)}, "leave out widths"),
        ("proxyless", {"growth": 8, "depths": (8, 8)}, "three depths"),
        ("proxyless", {"growth": -8}, "at least 0"),
        ("proxyless", {"first": 0}, "at least 1"),
    ],
)
def test_settings_of_one_space_that_make_no_network_are_refused(name: str, settings: dict[str, Any], says: str) -> None:
    with torch.device("meta"), pytest.raises(InputError, match=says):
        SPACES[name].supernet(**settings)


@pytest.mark.parametrize("text", ["", "k3e3 k3e3", "fbnet k3e3", "darts: k3e3", "fbnet: | |"])
def test_what_is_no_notation_says_what_was_expected(text: str) -> None:
    with pytest.raises(InputError, match="expected 'fbnet:' and an option for each layer"):
        fbnet.parse(text)


def test_architectures_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="decides 2 layers; with these depths there are 21"):
        proxyless.network("proxyless: k3e3 k3e3")
    with pytest.raises(InputError, match=r"layer\.0 cannot take 'zero'; its options: k3e3"):
        proxyless.network("proxyless: " + "zero " * 21)
    with pytest.raises(InputError, match=r"the layers of fbnet are layer\.0 to layer\.1"):
        fbnet.notation({"layer.0": "skip", "layer.2": "skip"})
