"""Published networks of FBNet and ProxylessNAS against numbers that the official code gave."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch
from chain_fills import fill, hash_values, images
from torch import Tensor
from typer.testing import CliRunner

from supernet.cli import app
from supernet.errors import InputError
from supernet.naming.catalogue import catalogue
from supernet.naming.lookup import design, published_names
from supernet.spaces import fbnet, proxyless

NAMES = (*fbnet.NETWORKS, *proxyless.NETWORKS)
COUNTS = [
    ("fbnet-a", 4_321_232, 244_452_664),
    ("fbnet-c", 5_592_784, 378_136_224),
    ("proxyless-cpu", 4_361_648, 439_243_864),
    ("proxyless-mobile", 4_080_512, 320_427_584),
]


def answers(name: str, classes: int) -> Tensor:
    """Logits of one image of 64x64 pixels by a network with deterministic weights."""
    with torch.no_grad():
        logits: Tensor = fill(design(name).network({"classes": classes}))(images(64))[0]
    return logits


def test_the_rule_of_filling_gives_its_first_values() -> None:
    assert hash_values(5).tolist() == [-0.5, -0.3873523379429862, -0.2588667233998298, -0.11454315637053086, 0.04561836314491052]
    first = [-1.7320508075688772, -1.692219890072426, -1.6276479382430769, -1.5383349520808307]
    assert images(2).flatten()[:4].tolist() == pytest.approx(first, abs=1e-15)


@pytest.mark.parametrize(("name", "params", "macs"), COUNTS)
def test_published_networks_have_the_official_size(name: str, params: int, macs: int) -> None:
    described = design(name).describe()
    assert (described["params"], described["macs"]) == (params, macs)


@pytest.mark.parametrize(
    ("name", "first", "norm"),
    [
        ("fbnet-a", (42.74662339, -218.9226385, 134.2032963), 1204.436577),
        ("fbnet-c", (198.3751194, -2939.119746, -1415.642258), 6409.667061),
    ],
)
def test_fbnets_compute_what_the_official_ones_do(name: str, first: tuple[float, ...], norm: float) -> None:
    logits = answers(name, 10) * math.sqrt(2)  # the official classifier is a 1x1 convolution, which the rule fills by so much more
    assert logits[:3].tolist() == pytest.approx(first, rel=1e-8)
    assert logits.norm().item() == pytest.approx(norm, rel=1e-8)


@pytest.mark.parametrize(
    ("name", "first", "total", "norm"),
    [
        ("proxyless-cpu", (-0.9439413751, -1.411187707, 0.2775374654), 40.10379304, 44.36117121),
        ("proxyless-mobile", (-0.7733923547, 0.4556168214, 0.4064546537), 51.65602612, 31.31510435),
    ],
)
def test_proxyless_networks_compute_what_the_official_ones_do(name: str, first: tuple[float, ...], total: float, norm: float) -> None:
    logits = answers(name, 1000)
    assert logits[:3].tolist() == pytest.approx(first, rel=1e-8)
    assert (logits.sum().item(), logits.norm().item()) == pytest.approx((total, norm), rel=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_a_published_name_says_its_notation_and_builds_at_both_sizes(name: str) -> None:
    there, space = design(name), {"fbnet": fbnet, "proxyless": proxyless}[published_names()[name]]
    assert there.notation == space.NETWORKS[name][0] and there.choices == space.parse(there.notation)
    large, small = there.describe(), there.describe({"stem": "cifar"})
    assert (large["settings"]["shape"], large["settings"]["classes"]) == ([3, 224, 224], 1000)
    assert (small["settings"]["shape"], small["settings"]["classes"]) == ([3, 32, 32], 10)
    head = there.network().classifier.in_features
    assert large["params"] - small["params"] == 990 * (head + 1)  # the classifier alone


def test_the_mobile_networks_differ_in_width_alone() -> None:
    assert design("proxyless-mobile").choices == design("proxyless-mobile-14").choices


def test_architectures_are_listed_with_their_paper() -> None:
    cited = {entry["name"]: entry["cite"] for entry in catalogue("architectures")}
    assert set(NAMES) <= set(cited)
    assert "1812.03443" in cited["fbnet-b"] and "1812.00332" in cited["proxyless-mobile-14"]


def test_the_command_describes_a_chain_by_name_and_by_notation() -> None:
    def document(*words: str) -> dict[str, object]:
        found: dict[str, object] = json.loads(CliRunner().invoke(app, ["describe", *words, "--json"]).stdout)
        return found

    named = document("fbnet-c", "--stem", "cifar")
    assert named["choices"]["layer.2"] == "skip"  # type: ignore[index]
    assert document(str(named["genotype"]).replace(": ", ":").replace(" | ", " "), "--stem", "cifar") == named
    space = document("--space", "proxyless")
    assert (space["supernet_params"], space["alphas"], space["size"]) == (16_034_168, 141, 221_502_229_807_900_608)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("fbnet-d", "did you mean 'fbnet-"),
        ("proxyles: k3e3", "did you mean 'proxyless'"),
        ("fbnet: k3e3 | k3e9", "did you mean 'k3e"),
        ("proxyless:", "expected 'proxyless:' and an option for each layer"),
    ],
)
def test_a_wrong_name_or_notation_says_what_would_be_right(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as error:
        design(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("proxyless-cpu", {}),
        ("fbnet-a", {"stem": "cifar", "width": 0.5}),
        ("single-path", {"stem": "cifar", "shape": (1, 8, 8), "widths": (16, 24, 32, 48, 64)}),
        ("densenas-b", {"width": 0.75, "classes": 10}),
        ("fbnet(stem=cifar, depths=[1, 1, 1, 1, 1, 1, 1]): skip k3e3 k5e1 k5e6 k3e1 skip k3e6", {}),
        ("proxyless(stem=cifar, growth=24, depths=[1, 2, 1]): k5e3 k3e3 zero k7e6", {}),
        ("densenas(stem=cifar): 24 k3e3 skip | 48 k3e3 skip skip | 64 k3e6 | 160 k5e6", {}),
    ],
)
def test_what_describe_prints_of_a_chain_describes_the_same_network(text: str, given: dict[str, Any]) -> None:
    described = design(text).describe(given)
    again = design(str(described["genotype"])).describe()
    assert again == described


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("fbnet(width=half): k3e1", "width must be a number; got 'half'"),
        ("fbnet(wide=2): k3e1", "did you mean 'width'"),
        ("fbnet(0.5): k3e1", "must be names and values, such as fbnet"),
        ("fbnet: k3e1 | k3e1", r"fbnet\(depths=\[\.\.\.\]\)|depths that it has, in brackets"),
        ("densenas: 24 k3e3 | 52 k3e3", "no block of that width"),
    ],
)
def test_settings_of_a_notation_that_make_no_network_are_refused(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        design(text).describe()


def test_a_published_densenas_with_the_cifar_stem_says_that_it_is_of_the_imagenet_stem() -> None:
    with pytest.raises(InputError, match="no block of that width here: the paper's networks are of --stem imagenet"):
        design("densenas-a").describe({"stem": "cifar"})


def test_settings_in_a_notation_are_not_dropped_by_the_space() -> None:
    with pytest.raises(InputError, match=r"design\(text\)\.network\(\) builds fbnet"):
        fbnet.network("fbnet(width=0.5): " + "skip " * 22)
