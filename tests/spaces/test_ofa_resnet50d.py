"""Once-for-All's ResNet50-D against numbers that the official code gave.

https://github.com/mit-han-lab/once-for-all, commit f03b267 (``OFAResNets``); Cai et al. 2020, https://arxiv.org/abs/1908.09791
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import torch

from supernet import Supernet, derive
from supernet.costs.count import macs, params
from supernet.costs.table import count_tables
from supernet.errors import InputError
from supernet.mixture import expected, one_hot
from supernet.naming.lookup import design
from supernet.space import Architecture, SearchSpace
from supernet.spaces import ofa_resnet50d

SMALL: dict[str, Any] = {"stem": "cifar", "shape": (1, 8, 8), "width": 0.125, "widths": (128, 256), "depths": (2, 3), "classes": 3}
SIZES = [  # number of the option of depth, of expansion, of width; parameters, multiply-adds by resolution
    ((2, 2, 2), 48_105_992, {224: 7_491_643_904}),
    ((0, 0, 0), 6_539_280, {224: 962_192_128, 128: 315_079_552}),
    ((1, 1, 1), 15_860_768, {224: 2_485_163_840}),
]


@pytest.fixture(scope="module")
def whole() -> Supernet:
    with torch.device("meta"):
        return ofa_resnet50d.supernet(stem="imagenet")


def architecture(space: SearchSpace, depth: int, expansion: int, width: int) -> Architecture:
    """One size everywhere; the third convolution of the stem only with the largest depth."""
    taken: Architecture = {}
    for name, choice in space.items():
        kind = "expansion" if name.endswith("expansion") else name.partition(".")[0]
        at = depth // 2 if name == "depth.stem" else {"depth": depth, "expansion": expansion, "width": width}[kind]
        taken[name] = choice.options[at]
    return space.matters(taken)


@pytest.mark.parametrize(("at", "parameters", "work"), SIZES)
def test_the_largest_a_middle_and_the_smallest_have_the_official_size(
    whole: Supernet, at: tuple[int, int, int], parameters: int, work: dict[int, int]
) -> None:
    with torch.device("meta"):
        network = ofa_resnet50d.network(ofa_resnet50d.notation(architecture(whole.space, *at)))
    assert params(network) == parameters
    assert {pixels: macs(network, (3, pixels, pixels)) for pixels in work} == work


def test_the_supernet_is_as_large_as_its_largest_network_and_has_every_depth_expansion_and_width(whole: Supernet) -> None:
    assert params(whole) == 48_105_992
    four, six = 3**2 + 3**3 + 3**4, 3**4 + 3**5 + 3**6  # chains of expansions
    assert whole.space.size() == 2 * 3**2 * 3**4 * four**3 * six


@pytest.mark.usefixtures("double")
def test_supernet_derived_and_a_fresh_network_with_copied_slices_agree() -> None:
    torch.manual_seed(0)
    net, x = ofa_resnet50d.supernet(**SMALL), torch.randn(4, 1, 8, 8)
    with torch.no_grad():
        for seed in range(3):
            net(one_hot(net.space, net.space.sample(Random(seed))), x)
    net.eval()
    for seed in range(4):
        arch = net.space.sample(Random(seed))
        said, plain = net(one_hot(net.space, arch), x), derive(net, arch, x)
        fresh = ofa_resnet50d.network(net.space.matters(arch), **SMALL).eval()
        fresh.load_state_dict(plain.state_dict())
        assert (plain(x) - said).abs().max() < 1e-6
        assert (fresh(x) - said).abs().max() < 1e-6


def test_tables_of_costs_are_the_counts_of_fresh_networks() -> None:
    with torch.device("meta"):
        net = ofa_resnet50d.supernet(**SMALL)
    tables = count_tables(net, torch.empty(1, *SMALL["shape"], device="meta"))
    for seed in range(4):
        arch = net.space.sample(Random(seed))
        fresh, mixture = ofa_resnet50d.network(net.space.matters(arch), **SMALL), one_hot(net.space, arch)
        counted = {"params": params(fresh), "macs": macs(fresh, SMALL["shape"])}
        assert {what: float(expected(net.space, mixture, tables[what])) for what in counted} == counted


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ofa-resnet50d: w1 w1 | e0.2 w1", "the widths of the stem and b or nothing"),
        ("ofa-resnet50d: w1 w1 | w0.7 e0.2 e0.2", "there is no w0.7 in ofa-resnet50d; there is w0.65, w0.8, w1"),
        ("ofa-resnet50d: w1 w1 b | w1 e0.2 e0.2", "does not decide width.1"),
        ("ofa-resnet50d(widths=[256], depths=[4]): w1 w1 b | w1 e0.2", r"depth\.0 cannot take 1; its options: 2, 3, 4"),
        ("ofa-resnet50d(widths=[256]): w1 w1 | w1 e0.2 e0.2", "a number for each of at most 4 stages; got 1, 4"),
    ],
)
def test_what_is_no_network_of_it_is_refused(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as error:
        design(text).describe()
    assert "\n" not in str(error.value)
