"""The small chain of MobileNetV2's blocks: counts by hand, depth as a condition, bounds, and a search from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from supernet.cli import app
from supernet.costs.count import macs, params
from supernet.errors import InputError
from supernet.naming.lookup import design
from supernet.plan.bounds import limits_on
from supernet.settings.sections import Bounds
from supernet.spaces import mobile_small
from supernet.tasks import kind_for

DEEPEST = "mobile-small: k5e6 k5e6 k5e6 | k5e6 k5e6 k5e6 | k5e6 k5e6 k5e6"
MIXED = "mobile-small: k3e3 k5e6 | k3e6 | k5e3 k3e3 k3e3"


def built(text: str, **sizes: object) -> nn.Module:
    with torch.device("meta"):
        return mobile_small.network(text, **sizes)


def by_hand(text: str, pixels: int = 32) -> tuple[int, int]:
    """Parameters and multiply-adds, summed layer by layer as the paper's table 1 has them."""
    inputs, side = 16, pixels
    parameters, work = 3 * 9 * inputs + 2 * inputs, 3 * 9 * inputs * side**2  # the stem and its batch norm
    for stage, outputs in zip(text.partition(":")[2].split("|"), (24, 40, 80), strict=True):
        for j, option in enumerate(stage.split()):
            kernel, hidden = int(option[1]), int(option[3]) * inputs
            work += inputs * hidden * side**2  # expand, before the stride
            side = -(-side // 2) if j == 0 else side
            work += (kernel**2 * hidden + hidden * outputs) * side**2
            parameters += inputs * hidden + kernel**2 * hidden + hidden * outputs + 2 * (2 * hidden + outputs)
            inputs = outputs
    parameters += inputs * 320 + 2 * 320 + 320 * 10 + 10
    return parameters, work + inputs * 320 * side**2 + 320 * 10


def test_the_space_has_as_many_networks_as_stages_have_chains_of_blocks() -> None:
    with torch.device("meta"):
        space = mobile_small.supernet().space
    assert space.size() == (4 + 4**2 + 4**3) ** 3 == 592_704


@pytest.mark.parametrize("text", [DEEPEST, MIXED, "mobile-small: k3e3 | k3e3 | k3e3"])
@pytest.mark.parametrize("pixels", [28, 32])
def test_parameters_and_multiply_adds_are_those_counted_by_hand(text: str, pixels: int) -> None:
    network = built(text, shape=(3, pixels, pixels))
    assert (params(network), macs(network, (3, pixels, pixels))) == by_hand(text, pixels)


def test_blocks_beyond_the_depth_do_not_matter() -> None:
    with torch.device("meta"):
        space = mobile_small.supernet().space
    taken = mobile_small.parse(MIXED)
    assert space.matters(space.check(taken)) == taken
    assert space.key(taken) == space.key({**taken, "block.1.1": "k5e6", "block.1.2": "k3e3"})
    assert space.key(taken) != space.key({**taken, "depth.1": 2, "block.1.1": "k5e6"})


def test_costs_of_its_parts_add_up_to_the_counts_of_every_network() -> None:
    sizes = {"width": 0.5, "depths": (2, 2, 1), "shape": (1, 8, 8)}
    limits = limits_on(Bounds(macs=1e7), mobile_small.MOBILE_SMALL, kind_for("mobile-small"), sizes)
    for seed in range(4):
        taken = limits.space.matters(limits.space.sample(Random(seed)))
        exact = design(mobile_small.notation(taken)).describe({"width": 0.5, "depths": (2, 2, 1), "shape": (1, 8, 8)})
        assert {name: limits.costs(taken)[name] for name in ("params", "macs")} == {name: exact[name] for name in ("params", "macs")}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mobile-small: k3e3 | k3e3", "the blocks of 3 stages"),
        ("mobile-small: k3e3 | | k3e3", "the blocks of 3 stages"),
        ("mobile-small: k3e3 | k3e4 | k3e3", "did you mean 'k3e"),
        ("mobile-small: k3e3 k3e3 k3e3 k3e3 | k3e3 | k3e3", "stage 0 has 4 blocks, and at most 3"),
        ("mobile-small(widths=[8, 8]): k3e3 | k3e3 | k3e3", "a number for each of 3 stages"),
    ],
)
def test_what_is_no_network_of_it_is_refused(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as error:
        design(text).describe()
    assert "\n" not in str(error.value)


def test_an_architecture_that_leaves_a_block_open_is_refused() -> None:
    with pytest.raises(InputError, match=r"does not decide block\.1\.1"):
        mobile_small.network({"depth.0": 1, "block.0.0": "k3e3", "depth.1": 2, "block.1.0": "k3e3", "depth.2": 1, "block.2.0": "k5e3"})


@pytest.mark.parametrize("method", [pytest.param("darts", marks=pytest.mark.slow), "one-shot"])
def test_a_search_keeps_its_bound_and_says_a_network_that_is_described_alike(method: str, tmp_path: Path) -> None:
    words = ["search", method, "--space", "mobile-small", "--data", "digits", "--set", "supernet.width=0.5", "--steps", "2"]
    words += ["--limit-data", "64", "--batch-size", "16", "--max-macs", "100000", "--threads", "1"]
    words += ["--trials", "2"] if method == "one-shot" else []
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "run"), "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["macs"] <= 100_000 and found["limits"]["macs"]["holds"]
    again = design(found["genotype"]).describe()
    assert {name: again[name] for name in ("params", "macs", "choices")} == {name: found[name] for name in ("params", "macs", "choices")}
