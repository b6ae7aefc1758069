"""The space of Single Path One-Shot against numbers that the official code gave, https://github.com/megvii-model/SinglePathOneShot."""

from __future__ import annotations

from functools import cache
from math import gcd, sin
from random import Random
from typing import Any

import pytest
import torch
from chain_fills import assert_alone_as_within, fill, images
from torch import nn

from supernet.costs.count import params
from supernet.costs.table import count_tables
from supernet.errors import InputError
from supernet.layers.base import Supernet
from supernet.mixture import one_hot
from supernet.naming.lookup import design
from supernet.spaces import spos
from supernet.spaces.shuffle_blocks import ShuffleBlock

SMALL: dict[str, Any] = {"stem": "cifar", "width": 0.25, "depths": (2, 1, 2, 1), "head": 16, "shape": (3, 16, 16), "classes": 3}
LAYERS = [  # multiply-adds of each option of each layer
    [13396992, 15805440, 19418112, 13146112],
    *[[7325696, 8931328, 11339776, 12343296]] * 3,
    [26304768, 28111104, 30820608, 20296192],
    *[[10599680, 11603200, 13108480, 16746240]] * 3,
    [30670080, 31673600, 33178880, 21199360],
    *[[10317440, 10819200, 11571840, 15899520]] * 7,
    [30387840, 30889600, 31642240, 20634880],
    *[[10176320, 10427200, 10803520, 15476160]] * 3,
]
FIXED = 38555648  # of stem, last convolution and classifier


@cache
def table() -> list[list[int]]:
    """Multiply-adds of each option of each layer, as they are counted here."""
    with torch.device("meta"):
        net = spos.supernet(stem="imagenet")
    found = count_tables(net, torch.empty(1, 3, 224, 224, device="meta"))["macs"]
    assert found.pop(()) == FIXED
    return [[int(cost) for cost in found[(f"layer.{i}",)]] for i in range(20)]


def within(bound: float, layers: list[list[int]]) -> int:
    """How many architectures have at most ``bound`` multiply-adds: sums are counted layer by layer."""
    counts = {FIXED: 1}
    for layer in layers:
        grown: dict[int, int] = {}
        for total, n in counts.items():
            for cost in layer:
                grown[total + cost] = grown.get(total + cost, 0) + n
        counts = grown
    return sum(n for total, n in counts.items() if total <= bound)


@pytest.mark.parametrize(
    ("text", "parameters", "cost"),
    [
        ("spos", 3_558_464, 322_918_720),
        ("spos-319m", 3_345_088, 318_729_024),
        ("spos: " + "0 " * 20, 3_154_880, 295_842_496),
        ("spos: " + "1 " * 20, 3_211_968, 313_654_976),
        ("spos: " + "2 " * 20, 3_297_600, 340_373_696),
        ("spos: " + "3 " * 20, 3_870_816, 358_825_920),
    ],
)
def test_networks_have_the_official_size(text: str, parameters: int, cost: int) -> None:
    described = design(text).describe()
    assert (described["params"], described["macs"]) == (parameters, cost)
    assert design(str(described["genotype"])).describe() == described


@pytest.mark.parametrize(
    ("text", "first", "total", "norm"),
    [
        ("spos", (126.3800522, -38.579922, -27.00874025), 372.3591732, 302.6535324),
        ("spos: " + "k3 k5 k7 xception " * 5, (728.2307869, 106.3701205, -608.5517468), None, 1549.3633),
    ],
)
def test_networks_compute_what_the_official_ones_do(text: str, first: tuple[float, ...], total: float | None, norm: float) -> None:
    with torch.no_grad():
        logits = fill(design(text).network({"classes": 10}))(images(224))[0]
    assert logits[:3].tolist() == pytest.approx(first, rel=1e-8) and logits.norm().item() == pytest.approx(norm, rel=1e-8)
    assert total is None or logits.sum().item() == pytest.approx(total, rel=1e-8)


def test_the_supernet_has_the_official_size_and_no_scales_in_its_batch_norms() -> None:
    with torch.device("meta"):
        net = spos.supernet(stem="imagenet")
    assert (params(net), net.space.size()) == (8_388_176, 4**20)
    assert not any(m.affine for m in net.modules() if isinstance(m, nn.BatchNorm2d))


def test_multiply_adds_of_every_option_are_the_official_ones() -> None:
    assert table() == LAYERS
    assert FIXED + sum(map(min, table())) == 270_359_360 and FIXED + sum(map(max, table())) == 398_609_216
    assert FIXED + sum(sum(layer) / 4 for layer in table()) == 327_174_272


@pytest.mark.parametrize(
    ("bound", "count"),
    [
        (290e6, 860_908_886),
        (300e6, 12_813_969_298),
        (310e6, 83_619_955_926),
        (320e6, 298_026_002_555),
        (330e6, 647_824_128_008),
        (340e6, 946_417_435_498),
        (350e6, 1_072_330_317_415),
        (360e6, 1_097_247_129_529),
    ],
)
def test_as_many_architectures_keep_a_bound_as_the_official_table_says(bound: float, count: int) -> None:
    assert within(bound, LAYERS) == count


def test_the_best_of_a_score_under_a_bound_is_the_exact_one() -> None:
    """The score adds up over layers, so that the best for each cost so far is all that is to be kept."""
    best: dict[int, tuple[float, tuple[int, ...]]] = {FIXED: (0.0, ())}
    for i, layer in enumerate(table()):
        grown: dict[int, tuple[float, tuple[int, ...]]] = {}
        for total, (score, taken) in best.items():
            for option, cost in enumerate(layer):
                found = score + 0.02 * option + 0.03 * sin(3 * i + 5 * option), (*taken, option)
                if found > grown.get(total + cost, (float("-inf"), ())):
                    grown[total + cost] = found
        best = grown
    cost, (score, taken) = max(((c, found) for c, found in best.items() if c <= 330e6), key=lambda pair: pair[1])
    assert taken == (3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 3, 3, 3, 2, 3, 3, 3, 2, 3) and cost == 327_635_264
    assert 0.3 - 0.1 * score == pytest.approx(0.17158655236009696, abs=1e-15)
    assert 0.3 - 0.1 * max(best.values())[0] == pytest.approx(0.17046896365651995, abs=1e-15)
    described = design("spos: " + " ".join(map(str, taken))).describe()
    assert described["macs"] == cost and gcd(*best) > 1


@pytest.mark.usefixtures("double")
def test_derived_and_stand_alone_network_equal_the_supernet_and_cost_what_the_tables_say() -> None:
    torch.manual_seed(0)
    assert_alone_as_within(spos.supernet(affine=True, **SMALL), spos, SMALL)


def test_even_channels_pass_and_odd_ones_are_computed() -> None:
    x = torch.arange(8.0).view(1, 8, 1, 1)
    assert ShuffleBlock(nn.Identity(), None)(x).flatten().tolist() == [0, 2, 4, 6, 1, 3, 5, 7]


def test_the_cifar_stem_ends_at_4_of_32_pixels() -> None:
    net: Supernet = spos.supernet(**{**SMALL, "shape": (3, 32, 32)})
    sides: list[int] = []
    for layer in net.model.layers:  # type: ignore[union-attr]
        layer.register_forward_hook(lambda module, inputs, output: sides.append(output.shape[-1]))
    assert net(one_hot(net.space, net.space.sample(Random(0))), torch.randn(2, 3, 32, 32)).shape == (2, 3)
    assert sides == [32, 32, 16, 8, 8, 4]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"widths": (63, 160, 320, 640)}, "63 channels are odd"),
        ({"widths": (64, 64, 320, 640)}, "got 64 -> 64"),
        ({"depths": (1, 2)}, "name a number for each of 4 stages"),
    ],
)
def test_sizes_that_make_no_blocks_are_refused(settings: dict[str, Any], says: str) -> None:
    with torch.device("meta"), pytest.raises(InputError, match=says):
        spos.supernet(**settings)
