"""The space of FairNAS against numbers that the official code gave, https://github.com/xiaomi-automl/FairNAS"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from chain_fills import assert_alone_as_within, fill, images

from supernet.naming.lookup import design
from supernet.spaces import fairnas

SMALL: dict[str, Any] = {"stem": "cifar", "width": 0.25, "depths": (1, 2, 1, 1, 1, 1), "head": 16, "shape": (3, 16, 16), "classes": 3}


@pytest.mark.parametrize(
    ("name", "classes", "parameters", "cost"),
    [
        ("fairnas-a", 1000, 4_651_352, 388_122_848),
        ("fairnas-c", 1000, 4_397_864, 321_024_992),
        ("fairnas-a-se", 10, 5_835_322, None),
        ("fairnas-b-se", 10, 5_603_242, None),
        ("fairnas-c-se", 10, 5_429_530, None),
        ("fairnas-a-se-0.5", 10, 4_613_730, None),
        ("fairnas-b-se-0.5", 10, 4_424_850, None),
        ("fairnas-c-se-0.5", 10, 4_283_586, None),
        ("fairnas-a-se-0.5", 1000, 5_881_920, 389_343_584),
        ("fairnas-b-se-0.5", 1000, 5_693_040, 346_475_168),
        ("fairnas-c-se-0.5", 1000, 5_551_776, 322_170_080),
    ],
)
def test_published_networks_have_the_official_size(name: str, classes: int, parameters: int, cost: int | None) -> None:
    described = design(name).describe({"classes": classes})
    assert (described["params"], described["macs"]) == (parameters, cost or described["macs"])
    assert design(str(described["genotype"])).describe() == described


@pytest.mark.parametrize(
    ("name", "first", "norm"),
    [
        ("fairnas-a", (-0.9802620031, 0.8282841614, 0.006607309002), 4.305835173),
        ("fairnas-c", (-1.39168791, 0.6207721068, -0.5797720631), 4.179775856),
    ],
)
def test_published_networks_compute_what_the_official_ones_do(name: str, first: tuple[float, ...], norm: float) -> None:
    with torch.no_grad():
        logits = fill(design(name).network({"classes": 10}))(images(64))[0]
    assert logits[:3].tolist() == pytest.approx(first, rel=1e-8) and logits.norm().item() == pytest.approx(norm, rel=1e-8)


def test_the_space_has_the_size_in_the_paper() -> None:
    with torch.device("meta"):
        assert fairnas.supernet().space.size() == 6**19 == 609_359_740_010_496


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("squeeze", [pytest.param(0.0, marks=pytest.mark.slow), 0.5])
def test_derived_and_stand_alone_network_equal_the_supernet_and_cost_what_the_tables_say(squeeze: float) -> None:
    torch.manual_seed(0)
    sizes = {**SMALL, "squeeze": squeeze}
    assert_alone_as_within(fairnas.supernet(**sizes), fairnas, sizes)
