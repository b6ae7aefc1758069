from __future__ import annotations

from random import Random

import pytest
import torch

from supernet import derive
from supernet.costs.count import macs, params
from supernet.costs.table import count_tables
from supernet.errors import InputError
from supernet.mixture import expected, one_hot
from supernet.naming.lookup import design
from supernet.spaces import enas_macro

# Parameters that the official code (https://github.com/melodyguan/enas, commit 4bcfd73) reports for its scripts
# cifar10_macro_search.sh and cifar10_macro_final.sh.
SEARCH, FINAL = 697_860, 42_559_392


def test_supernet_has_the_size_of_the_official_code() -> None:
    with torch.device("meta"):
        net = enas_macro.supernet()
    assert params(net) == SEARCH
    assert net.space.size() == 6**12 * 2 ** (12 * 11 // 2)


def test_published_network_has_the_size_of_the_official_code_and_less_where_separable_convolutions_are() -> None:
    known = design("enas-macro")
    assert known.describe()["params"] == FINAL
    separable = known.describe({"separable": True})["params"]
    rows = [op for op, _ in enas_macro.layers_of(known.choices or {})]
    widths = [96 * 2 ** ((i > 7) + (i > 15)) for i in range(24)]
    pairs = [(c, int(op[-1]) ** 2) for op, c in zip(rows, widths, strict=True) if op.startswith("sep")]
    assert separable == FINAL - sum(k * c * c - (k * c + c * c) for c, k in pairs)


@pytest.mark.usefixtures("double")
def test_tables_give_the_exact_counts_of_derived_networks_which_equal_the_supernet() -> None:
    torch.manual_seed(0)
    net, x = enas_macro.supernet(channels=4, layers=4, shape=(3, 8, 8)), torch.randn(2, 3, 8, 8)
    tables = count_tables(net, x[:1])
    for seed in range(4):
        architecture = net.space.sample(Random(seed))
        plain, mixture = derive(net, architecture, x), one_hot(net.space, architecture)
        assert float(expected(net.space, mixture, tables["params"])) == params(plain, without=())
        assert float(expected(net.space, mixture, tables["macs"])) == macs(plain, (3, 8, 8))
        assert (plain(x) - net.eval()(mixture, x)).abs().max() < 1e-9


def test_a_layer_adds_what_its_digits_say() -> None:
    torch.manual_seed(0)
    net = enas_macro.supernet(channels=2, layers=3, shape=(3, 8, 8)).eval()
    states = [torch.randn(1, 2, 8, 8) for _ in range(3)]
    layer = net.model.layers[2]
    with net.blending(one_hot(net.space, enas_macro.parse("enas-macro: 0 | 0 0 | 5 1 0"))):
        found = layer(states)
    pooled = layer.operation.branches[5](states[2])
    assert torch.allclose(found, layer.norm(pooled + states[0]))


def test_every_operation_makes_a_network_that_runs() -> None:
    rows = " | ".join(f"{i} {'1 ' * i}".strip() for i in range(6))
    for separable in (True, False):
        network = enas_macro.network(f"enas-macro: {rows}", channels=2, separable=separable)
        assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("enas-macro: 0 | 3", "layer 1 of enas-macro must have an operation, 0 to 5, and 1 digits 0 or 1; got 3"),
        ("enas-macro: 6", "layer 0 of enas-macro must have an operation"),
        ("enas-macro: 0 | 3 2", "got 3 2"),
        ("enas-macro: x", "got nothing that is numbers"),
    ],
)
def test_wrong_numbers_are_refused(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        enas_macro.parse(text)
