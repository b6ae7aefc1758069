from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from supernet.costs.count import macs, params
from supernet.derive import derive
from supernet.errors import InputError
from supernet.mixture import Table, expected, one_hot
from supernet.naming.supernets import describe_space
from supernet.spaces import single_path

SMALL: dict[str, Any] = {"width": 0.25, "depths": (1, 2, 2, 2, 1), "shape": (3, 16, 16), "classes": 3, "head": 40}
RUNTIMES = Path(__file__).parents[1] / "data_tables" / "single_path_pixel1.json"  # the paper's code, Apache-2.0: layer -> block -> ms


def runtimes(space: Any, interpolated: bool) -> Table:
    """The runtime of each layer by kernel and expansion; ``interpolated``: 3x3 kernels take a share of 5x5, as in the search."""
    table: Table = {(): torch.tensor(19.5999, dtype=torch.float64)}
    measured = json.loads(RUNTIMES.read_text())
    for i in range(20):
        row = torch.tensor([[measured[str(i + 1)][str(2 * k + e)] for e in range(2)] for k in range(2)], dtype=torch.float64)
        if interpolated:
            row[0] = row[1] * row[0, 1] / row[1, 1]
        names = (f"layer.{i}.kernel", f"layer.{i}.expansion")
        table[names] = torch.zeros(2, len(space[names[1]].options), dtype=torch.float64)
        table[names][:, -2:] = row
    return table


def test_space_has_the_papers_size() -> None:
    with torch.device("meta"):
        space = single_path.supernet(stem="imagenet").space
    assert space.size() == 4**5 * 5**15 == 31_250_000_000_000
    assert list(space)[:2] == ["layer.0.expansion", "layer.0.kernel"] and len(space) == 40
    assert [i for i in range(20) if 0 not in space[f"layer.{i}.expansion"].options] == [0, 4, 8, 12, 16]


def test_published_network_has_its_parameters_and_multiply_adds() -> None:
    notation, settings = single_path.NETWORK, single_path.SINGLE_PATH.published["single-path"].settings
    with torch.device("meta"):
        network = single_path.network(notation, **settings)
    assert (params(network), macs(network, (3, 224, 224))) == (4_421_616, 333_467_072)


@pytest.mark.parametrize(
    ("blocks", "by_table", "by_formula"),
    [
        (single_path.NETWORK, 80.4411, 80.5925948335339),
        ("k3e3", 65.6914, 65.63564555123611),
        ("k3e6", 110.6524, 110.6524),
        ("k5e3", 76.3622, 76.3622),
        ("k5e6", 131.4578, 131.4578),
    ],
)
def test_expected_runtime_is_that_of_the_papers_model(blocks: str, by_table: float, by_formula: float) -> None:
    with torch.device("meta"):
        space = single_path.supernet(stem="imagenet").space
    architecture = single_path.parse(blocks if ":" in blocks else f"single-path: {' '.join([blocks] * 20)}")
    mixture = one_hot(space, space.check(architecture))
    for interpolated, runtime in ((False, by_table), (True, by_formula)):
        assert float(expected(space, mixture, runtimes(space, interpolated))) == pytest.approx(runtime, rel=1e-12)


def test_deriving_keeps_the_output_and_fits_the_evaluation_network(double: None) -> None:
    net, x = single_path.supernet(**SMALL), torch.randn(2, 3, 16, 16)
    for seed in range(4):
        architecture = net.space.sample(Random(seed))
        net.train()(one_hot(net.space, architecture), x)
        plain = derive(net, architecture, x)
        assert torch.equal(plain(x), net.eval()(one_hot(net.space, architecture), x))
        network = single_path.network(net.space.matters(architecture), stem="cifar", **SMALL)
        network.load_state_dict(plain.state_dict())
        assert torch.equal(network.eval()(x), plain(x))


def test_cifar_network_ends_at_four_by_four() -> None:
    network = single_path.network(single_path.NETWORK, stem="cifar", width=0.5)
    sizes: list[torch.Size] = []
    network.head.register_forward_pre_hook(lambda module, inputs: sizes.append(inputs[0].shape))
    assert network.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 10)
    assert sizes == [(1, 160, 4, 4)]


def test_architecture_reads_back_what_it_writes() -> None:
    notation = single_path.NETWORK
    architecture = single_path.parse(notation)
    assert single_path.notation(architecture) == notation
    assert architecture["layer.0.kernel"] == 3 and architecture["layer.3.expansion"] == 0 and "layer.3.kernel" not in architecture
    assert single_path.notation({**architecture, "layer.3.kernel": 5}) == notation
    space = single_path.supernet(**SMALL).space
    for seed in range(10):
        taken = space.matters(space.sample(Random(seed)))
        assert single_path.parse(single_path.notation(taken)) == taken


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("k3e3 k3e3", "expected 'single-path:'"),
        ("single-path: k3e4", "did you mean 'k3e"),
        ("single-path: k3e3 k3e3", "with these depths there are 20"),
        (" ".join(["single-path:", "skip", *["k3e3"] * 19]), "layer.0 cannot take 'skip'"),
    ],
)
def test_wrong_notation_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        single_path.network(text)


@pytest.mark.parametrize(
    ("choices", "reason"),
    [
        ({"layer.0.expansion": 3}, "layer.0 cannot take kernel None"),
        ({"layer.0.expansion": 4, "layer.0.kernel": 3}, "expansion 4"),
        ({"layer.1.expansion": 3, "layer.1.kernel": 3}, "got layer.1.expansion"),
        ({"layer.0": "k3e3"}, "got layer.0"),
    ],
)
def test_choices_that_are_no_network_are_refused(choices: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        single_path.notation(choices)


WRONG = [{"stem": "ptb"}, {"width": 0}, {"widths": (8, 8)}, {"depths": (0,) * 5}, {"shape": (32, 32)}, {"classes": 0}]


@pytest.mark.parametrize("settings", WRONG)
def test_wrong_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        single_path.supernet(**settings)


def test_the_method_learns_a_threshold_between_each_two_sizes() -> None:
    assert describe_space("single-path", "single-path", {})["alphas"] == 20 + 15 * 2 + 5  # five layers cannot be left out
    assert describe_space("single-path", "fbnet", {})["alphas"] == 20 * 2 + 15 * 3 + 5 * 2
    assert describe_space("darts", "single-path", {})["alphas"] == 2 * 14 * 7  # inputs have none
