"""The size of images as a choice: trained, counted, timed and derived at each."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from supernet import ElasticConv2d, ElasticLinear, ElasticNorm, InputError, InputSize, Supernet, Task, derive, search
from supernet.costs.count import macs, params
from supernet.costs.parts import parts, taken
from supernet.costs.table import count_tables
from supernet.mixture import Mix, expected, one_hot
from supernet.strategies import strategy


def made() -> Supernet:
    """A convolution of two widths on images of three sizes."""
    torch.manual_seed(0)
    layers = [InputSize((8, 12, 16), name="size"), ElasticConv2d(3, (4, 6), 3, 2, 1, name="width"), ElasticNorm(6), nn.ReLU()]
    return Supernet(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), ElasticLinear(6, 2))).eval()


ALL = [{"size": size, "width": width} for size, width in product((8, 12, 16), (4, 6))]


@pytest.mark.usefixtures("double")
def test_derived_network_equals_supernet_and_takes_images_of_its_size_as_they_are() -> None:
    net, x = made(), torch.randn(2, 3, 16, 16)
    for arch in ALL:
        network = derive(net, arch, x)
        assert (network(x) - net(one_hot(net.space, arch), x)).abs().max() < 1e-9
        assert type(network[0]) is nn.Upsample and network[0].size == (arch["size"], arch["size"])
        small = F.interpolate(x, arch["size"], mode="bilinear")
        assert torch.equal(network[0](small), small) and torch.allclose(network(small), network(x))


def test_costs_are_exact_at_every_size() -> None:
    net = made()
    tables = count_tables(net, torch.zeros(1, 3, 16, 16))
    for arch in ALL:
        network, mixture = derive(net, arch, torch.zeros(1, 3, 16, 16)), one_hot(net.space, arch)
        small = (3, arch["size"], arch["size"])
        assert float(expected(net.space, mixture, tables["macs"])) == macs(network, (3, 16, 16)) == macs(network, small)
        assert float(expected(net.space, mixture, tables["params"])) == params(network)


def test_every_part_that_is_timed_is_fed_what_it_has_at_that_size() -> None:
    net = made()
    found = parts(net, torch.zeros(1, 3, 16, 16))
    for arch in ALL:
        convolutions = [part for part in taken(net.space, found, arch) if isinstance(part.module, nn.Conv2d)]
        assert [tuple(part.inputs[0].shape) for part in convolutions] == [(1, 3, arch["size"], arch["size"])]


def test_images_that_are_no_squares_keep_their_proportion() -> None:
    network = derive(made(), {"size": 8, "width": 4}, torch.zeros(1, 3, 16, 24))
    assert network[0].size == (8, 12)


def test_a_sandwich_trains_all_sizes_and_gradient_methods_are_refused() -> None:
    batches = [(torch.randn(4, 3, 16, 16), torch.randint(2, (4,))) for _ in range(2)]
    task = Task(batches, batches, loss=F.cross_entropy)
    found = search(made(), task, "one-shot", epochs=1, lessons="sandwich", searcher="random", trials=3, weights={"lr": 0.01})
    assert found.architecture["size"] in (8, 12, 16)
    for method in ("darts", "gdas", "proxyless"):
        with pytest.raises(InputError, match="the sizes of 'size' cannot be blended"):
            strategy(method).load()(made(), task)
    assert strategy("proxyless-rl").load()(made(), task).architecture()["size"] in (8, 12, 16)
    with pytest.raises(InputError, match="whole numbers"):
        InputSize((0, 8))
    with pytest.raises(InputError, match="cannot be blended"):
        made()({"size": Mix(None, (0, 1)), "width": Mix(None, (0,))}, batches[0][0])
