"""DenseNAS' space and networks against the numbers of its official code and its paper."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from random import Random
from typing import Any

import pytest
import torch
from chain_fills import fill, images
from torch import nn

from supernet import InputError, derive
from supernet.costs.count import macs, params
from supernet.layers.base import Supernet, searchable
from supernet.mixture import one_hot
from supernet.space import SearchSpace
from supernet.spaces import densenas

CIFAR = densenas.DENSENAS.supernet.usual()
SMALL = {**CIFAR, "width": 0.25, "last": 64}
BASIC = {
    "base": "resnet",
    "stem": "cifar",
    "width": 0.25,
    "widths": (32, 48, 96, 112, 160, 224, 240, 480),
    "depths": (0, 0, 2, 2, 2, 0, 1, 1),
}


@cache
def full(base: str) -> Supernet:
    """The supernet of the official search, without storage: ImageNet images of 100 classes."""
    with torch.device("meta"):
        return densenas.supernet(stem="imagenet", base=base, classes=100)


def alphas(space: SearchSpace, kind: str) -> int:
    return sum(len(choice.options) for name, choice in space.items() if name.startswith(kind))


def test_the_search_space_is_the_papers_in_number() -> None:
    net = full("mobilenetv2")
    assert [alphas(net.space, kind) for kind in ("route.", "head.", "stack.")] == [54, 306, 273]
    assert sum(p.numel() for p in net.parameters()) == 90_430_100


@pytest.mark.parametrize(("kept", "size"), [(False, 15_456), (True, 4_086_463_591_446_986_596_415_295_155_153_141_371_152_183_552)])
def test_size_counts_all_operations_on_all_routes_also_skips_in_another_order(kept: bool, size: int) -> None:
    space = full("mobilenetv2").space

    @cache
    def ways(here: Any) -> int:
        """From a block to the end; with ``kept``, over all operations."""
        if here == "end":
            return 1
        total = 0
        for there in space[f"route.{here}"].options:
            stack = sum(f"stack.{there}.{n}" in space for n in range(3))
            total += ways(there) * (6 * 7**stack if kept and there != "end" else 1)
        return total

    assert ways("start") == size
    if kept:
        assert space.size() == size


@pytest.mark.parametrize(("base", "last", "scalars"), [("mobilenetv2", 3, 647), ("resnet", 3, 315)])
def test_the_layout_is_that_of_the_published_latency_lists(base: str, last: int, scalars: int) -> None:
    """Input, classifier, the routes to the end; heads by operation; stacks, also three layers where the last blocks have none."""
    space = full(base).space
    ways = {(n, o) for n, c in space.items() if n.startswith("route.") for o in c.options}
    assert sum(place == "end" for _, place in ways) == last
    heads = (len(ways) - last) * (6 if base == "mobilenetv2" else 1)
    unused = 3 * 3 * 7 if base == "mobilenetv2" else 0
    assert 2 + last + heads + alphas(space, "stack.") + unused == scalars


@pytest.mark.parametrize(
    ("name", "parameters", "multiply_adds"), [("densenas-a", 4_767_920, 251_334_416), ("densenas-c", 6_134_144, 360_808_256)]
)
def test_published_networks_have_the_official_size(name: str, parameters: int, multiply_adds: int) -> None:
    network = published(name)
    assert (params(network), macs(network, (3, 224, 224))) == (parameters, multiply_adds)


def published(name: str) -> nn.Module:
    text, settings = densenas.NETWORKS[name]
    with torch.device("meta"):
        return densenas.network(text, **settings)


def test_the_paper_rounds_the_multiply_adds_of_b_to_314_million() -> None:
    assert round(macs(published("densenas-b"), (3, 224, 224)) / 1e6) == 314


@pytest.mark.parametrize(
    ("name", "first", "norm"),
    [
        ("densenas-a", [-1.160621161, -0.684420674, -0.7921652611], 46.2369788),
        ("densenas-c", [-1.174903029, -0.4024024769, 0.7343504836], 36.06483595),
    ],
)
def test_published_networks_compute_what_the_official_code_does(name: str, first: list[float], norm: float) -> None:
    network = fill(densenas.network(densenas.NETWORKS[name][0]))
    with torch.no_grad():
        logits = network(images(64))[0]
    assert logits[:3].tolist() == pytest.approx(first, rel=1e-8)
    assert logits.norm().item() == pytest.approx(norm, rel=1e-8)


@pytest.mark.parametrize("name", densenas.NETWORKS)
def test_a_published_network_is_in_the_search_space_and_keeps_its_notation(name: str) -> None:
    text, space = densenas.NETWORKS[name][0], full("mobilenetv2").space
    architecture = densenas.parse(text)
    assert space.matters(space.check(architecture)) == architecture
    assert densenas.notation(architecture) == text
    short = densenas.parse(text.replace(" skip", ""))
    with torch.device("meta"):
        assert params(densenas.network(short)) == params(densenas.network(text))


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    "settings",
    [SMALL, BASIC, pytest.param({**SMALL, "stem": "imagenet"}, marks=pytest.mark.slow)],
    ids=["inverted", "basic", "strided"],
)
def test_derived_network_equals_supernet_under_one_hot(settings: Mapping[str, Any]) -> None:
    torch.manual_seed(0)
    net = densenas.supernet(**{**settings, "shape": (3, 32, 32), "classes": 5})
    x = torch.randn(2, 3, 32, 32)
    for seed in range(3):
        net(one_hot(net.space, net.space.sample(Random(seed))), torch.randn(4, 3, 32, 32))
    net.eval()
    for seed in range(4):
        arch = net.space.sample(Random(seed))
        plain = derive(net, arch, x)
        assert not searchable(plain)
        assert (plain(x) - net(one_hot(net.space, arch), x)).abs().max() < 1e-12


@pytest.mark.parametrize("settings", [pytest.param(SMALL, marks=pytest.mark.slow), BASIC], ids=["inverted", "basic"])
def test_the_network_of_an_architecture_has_the_convolutions_of_its_route(settings: dict[str, Any]) -> None:
    with torch.device("meta"):
        net = densenas.supernet(**settings)
        for seed in range(5):
            arch = net.space.sample(Random(seed))
            again = densenas.parse(densenas.notation(arch))
            assert net.space.key(net.space.check(again)) == net.space.key(arch)
            network, plain = densenas.network(arch, **settings), derive(net, arch, torch.empty(1, 3, 32, 32))
            assert network(torch.empty(2, 3, 32, 32)).shape == (2, 10)
            last = 0 if settings is SMALL else [m for m in plain.modules() if isinstance(m, nn.Conv2d)][-1].weight.numel()
            assert convolutions(network) == convolutions(plain) - last  # basic blocks are classified without a last convolution


def convolutions(network: nn.Module) -> int:
    return sum(m.weight.numel() for m in network.modules() if isinstance(m, nn.Conv2d))


@pytest.mark.parametrize(
    "settings", [CIFAR, *(pytest.param({"stem": "cifar", **base}, marks=pytest.mark.slow) for base in ({}, {"base": "resnet"}))]
)
def test_images_of_32_pixels_end_at_4(settings: dict[str, Any]) -> None:
    with torch.device("meta"):
        net = densenas.supernet(**settings)
        seen: list[torch.Size] = []
        net.model.classifier.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
        net.model.body.register_forward_hook(lambda _, inputs, out: seen.append(out.shape))
        net(one_hot(net.space, net.space.sample(Random(0))), torch.empty(1, 3, 32, 32))
    assert seen[0][2:] == (4, 4)


def test_what_the_small_search_finds_is_a_network_of_the_papers_blocks() -> None:
    with torch.device("meta"):
        space = densenas.supernet(**CIFAR).space
        for seed in range(4):
            found = densenas.notation(space.sample(Random(seed)))
            assert densenas.network(found)(torch.empty(1, 3, 224, 224)).shape == (1, 1000)


def test_blocks_of_ones_own() -> None:
    with torch.device("meta"):
        net = densenas.supernet(
            widths=(8, 20, 30), sizes=(32, 16, 16), stages=(0, 1, 2), depths=(0, 1, 0), last=50, shape=(1, 28, 28), classes=3
        )
        assert net.space["route.start"].options == (20,) and net.space["route.20"].options == (30,)
        assert net(one_hot(net.space, net.space.sample(Random(0))), torch.empty(2, 1, 28, 28)).shape == (2, 3)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"base": "resnet18"}, "did you mean 'resnet'"),
        ({"stem": "tiny"}, "stem must be one of"),
        ({"width": 0}, "above 0"),
        ({"widths": (16,)}, "at least two different"),
        ({"widths": (16, 24, 24)}, "at least two different"),
        ({"widths": (16, 24, 34)}, "no block of width 34: .* give sizes, stages and depths"),
        ({"depths": (1, 2)}, "depths has a number for each of the 17 widths"),
        ({"widths": (16, 24, 384)}, "nothing follows the block of width 24"),
        ({"widths": (16, 24), "sizes": (16, 32)}, "nothing follows the block of width 16"),
        ({"ahead": 0}, "ahead must be at least 1"),
        ({"last": -1}, "last must be at least 1"),
        ({"classes": 0}, "classes must be"),
        ({"shape": (32, 32)}, "an input shape is"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], says: str) -> None:
    with torch.device("meta"), pytest.raises(InputError, match=says):
        densenas.supernet(**settings)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("24 k3e3", "expected 'densenas:'"),
        ("densenas: 24", "expected 'densenas:'"),
        ("densenas: k3e3 24", "expected 'densenas:'"),
        ("densenas: 24 k3e4", "did you mean 'k3e6'"),
        ("densenas: 24 k3e3 | 24 k3e3", "24 is there twice"),
        ("densenas: 24 k3e3 | 160 k3e3", "no route leads from block 24 to 160; later blocks: 32, 40, 48"),
        ("densenas: 24 k3e3 | 48 k3e3 | 32 k3e3", "no route leads from block 48 to 32"),
        ("densenas: 24 skip", "unknown option of mobilenetv2 'skip'"),
        ("densenas: 24 basic", "unknown option of mobilenetv2 'basic'"),
    ],
)
def test_a_wrong_notation_is_refused_with_the_reason(text: str, says: str) -> None:
    with torch.device("meta"), pytest.raises(InputError, match=says):
        densenas.network(text)


def test_an_architecture_without_a_whole_route_is_refused() -> None:
    with pytest.raises(InputError, match=r"no route on from block 24: route\.24 must be"):
        densenas.network({"route.start": 24, "head.start.24": "k3e3"})
    with pytest.raises(InputError, match="leads through no block"):
        densenas.notation({"route.start": "end"})
