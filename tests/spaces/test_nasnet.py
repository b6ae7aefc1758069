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
from supernet.spaces import nasnet

# Of the networks that https://github.com/tensorflow/models/tree/master/research/slim/nets/nasnet builds: parameters, multiply-adds.
LARGE = {"channels": 216, "cells": 12, "stem_channels": 96, "shape": (3, 331, 331)}  # large_imagenet_config of pnasnet.py
COUNTS = [
    ("nasnet-a-mobile", {"stem": "cifar"}, 3_346_538, 544_333_312),
    ("nasnet-a-mobile", {"classes": 1001}, 5_291_035, 563_639_872),
    ("pnasnet-5-mobile", LARGE, 86_057_668, 24_937_395_792),
]


@pytest.mark.parametrize(("name", "settings", "parameters", "operations"), COUNTS, ids=str)
def test_networks_have_the_sizes_of_the_authors_code(name: str, settings: dict[str, object], parameters: int, operations: int) -> None:
    described = design(name).describe(settings)
    assert (described["params"], described["macs"]) == (parameters, operations)


@pytest.mark.parametrize(("name", "millions", "operations"), [("nasnet-a-mobile", 5.3, 564), ("pnasnet-5-mobile", 5.1, 588)])
def test_networks_for_mobile_devices_have_the_sizes_in_the_papers(name: str, millions: float, operations: int) -> None:
    """Table 5 of https://arxiv.org/abs/1712.00559: parameters and multiply-adds, in millions."""
    described = design(name).describe()
    assert described["settings"]["classes"] == 1000 and round(described["params"] / 1e6, 1) == millions
    assert abs(described["macs"] / 1e6 - operations) < 1


@pytest.mark.parametrize(("settings", "parameters"), [({"stem": "cifar"}, 1_631_498), ({"classes": 1001}, 2_412_009)], ids=str)
def test_second_classifier_has_the_size_of_the_authors_code(settings: dict[str, object], parameters: int) -> None:
    with torch.device("meta"):
        network = design("nasnet-a-mobile").network({**settings, "auxiliary": True})
    assert params(network, without=()) - params(network) == parameters


def test_the_same_cell_in_the_network_of_darts_is_another_network() -> None:
    assert design("nasnet-a").space == "darts" and design("nasnet-a").describe()["params"] == 3_830_950
    assert design("nasnet-a-mobile").space == "nasnet"


@pytest.mark.parametrize("reductions", ["between", "within"])
@pytest.mark.parametrize(("stem", "size"), [("cifar", 32), ("imagenet", 100)])
def test_networks_run_on_images_of_odd_sizes_too(reductions: str, stem: str, size: int) -> None:
    settings = {"stem": stem, "channels": 8, "cells": 3, "classes": 3, "stem_channels": 6, "reductions": reductions}
    network = design("nasnet-a-mobile").network({**settings, "shape": (3, size, size), "auxiliary": stem == "cifar"})
    outputs = network.train()(torch.zeros(2, 3, size, size))
    if stem == "cifar":
        assert [x.shape for x in outputs] == [(2, 3), (2, 3)]
    assert network.eval()(torch.zeros(2, 3, size + 1, size - 1)).shape == (2, 3)


@pytest.mark.usefixtures("double")
def test_tables_give_the_exact_counts_of_derived_networks_which_equal_the_supernet() -> None:
    torch.manual_seed(0)
    net, x = nasnet.supernet(channels=2, cells=1, nodes=1, shape=(3, 8, 8)), torch.randn(2, 3, 8, 8)
    tables = count_tables(net, x[:1])
    for seed in range(4):
        architecture = net.space.sample(Random(seed))
        plain, mixture = derive(net, architecture, x), one_hot(net.space, architecture)
        assert float(expected(net.space, mixture, tables["params"])) == params(plain, without=())
        assert float(expected(net.space, mixture, tables["macs"])) == macs(plain, (3, 8, 8))
        assert (plain(x) - net.eval()(mixture, x)).abs().max() < 1e-9


def test_an_unknown_stem_is_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'cifar'"):
        design("nasnet-a-mobile").network({"stem": "cifer"})


def test_cells_that_put_out_what_nodes_read_cannot_be_chosen() -> None:
    assert design("nasnet-a-mobile").choices is None and design("pnasnet-5-mobile").choices is None
    cell = "[('sep_conv_3x3', 0), ('dil_conv_3x3', 1), ('skip_connect', 1), ('conv_7x1_1x7', 2)]"
    text = f"nasnet: Genotype(normal={cell}, normal_concat=[3], reduce={cell}, reduce_concat=[3])"
    assert design(text).choices == nasnet.to_architecture(nasnet.parse(text))
    with pytest.raises(InputError, match="puts out other states"):
        nasnet.to_architecture(nasnet.parse(text.replace("normal_concat=[3]", "normal_concat=[2, 3]")))


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("[('sep_conv_3x3', 0), ('dil_conv_5x5', 1)]", "a node of nasnet has two edges, of skip_connect, sep_conv_3x3"),
        ("[('sep_conv_3x3', 2, 0)]", "node 2 of normal is"),
    ],
)
def test_other_cells_are_refused(cell: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        nasnet.parse(f"nasnet: Genotype(normal={cell}, normal_concat=[2], reduce={cell}, reduce_concat=[2])")
