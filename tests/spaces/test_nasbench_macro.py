from __future__ import annotations

import itertools
from random import Random

import pytest
import torch

from supernet.costs.count import macs, params
from supernet.derive import derive
from supernet.errors import InputError
from supernet.mixture import one_hot
from supernet.naming.lookup import design
from supernet.spaces import nasbench_macro

COUNTS = [  # parameters and multiply-accumulates in the benchmark's table
    ("00000000", 387_882, 7_713_280),
    ("11111111", 1_588_874, 53_246_464),
    ("22222222", 2_932_586, 105_660_928),
    ("22212220", 1_985_514, 85_164_544),
    ("20102001", 1_063_850, 42_373_632),
    ("01201201", 1_283_434, 46_109_184),
    ("02012100", 890_666, 47_327_744),
]


@pytest.mark.parametrize(("digits", "parameters", "operations"), COUNTS)
def test_networks_have_the_size_in_the_benchmark(digits: str, parameters: int, operations: int) -> None:
    with torch.device("meta"):
        network = nasbench_macro.network(digits)
    assert (params(network), macs(network, (3, 32, 32))) == (parameters, operations)


def test_digits_may_be_listed() -> None:
    assert nasbench_macro.parse("[2, 2, 2, 1, 2, 2, 2, 0]") == nasbench_macro.parse("22212220") == design("2 2 2 1 2 2 2 0").plan


def test_every_network_reads_back_what_it_writes_and_3969_differ() -> None:
    classes = set()
    for digits in map("".join, itertools.product("012", repeat=8)):
        architecture = nasbench_macro.parse(digits)
        assert nasbench_macro.notation(architecture) == digits
        classes.add(nasbench_macro.canonical(architecture))
    assert len(classes) == 3_969


@pytest.mark.parametrize(
    ("digits", "canonical"), [("22212202", "22212220"), ("00000000", "00000000"), ("01001002", "01010020"), ("10202020", "10220020")]
)
def test_identities_move_behind_the_other_layers_of_their_stage(digits: str, canonical: str) -> None:
    assert nasbench_macro.canonical(nasbench_macro.parse(digits)) == canonical


@pytest.mark.parametrize("text", ["", "2221222", "222122200", "22212223", "id"])
def test_wrong_digits_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected 8 digits"):
        nasbench_macro.parse(text)


def test_an_unknown_operation_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'mb3_k3'"):
        nasbench_macro.network({str(i): "mb3k3" for i in range(8)})


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 7, 13)])
def test_any_colours_and_sizes_work_and_deriving_keeps_the_output(shape: tuple[int, int, int]) -> None:
    net = nasbench_macro.supernet(channels=4, shape=shape, classes=3)
    assert net.space.size() == 6_561
    assert list(net.space) == [str(i) for i in range(8)]
    architecture, x = net.space.sample(Random(0)), torch.randn(2, *shape)
    plain = derive(net, architecture, x)
    assert torch.equal(plain(x), net.eval()(one_hot(net.space, architecture), x))
    assert params(nasbench_macro.network(architecture, channels=4, shape=shape, classes=3)) == params(plain)
