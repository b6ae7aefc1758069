"""The space of 384 small networks: how many there are, counts by hand, and what a cell computes."""

from __future__ import annotations

import itertools

import pytest
import torch

from supernet.costs.count import macs, params
from supernet.errors import InputError
from supernet.spaces import fashion_bench
from supernet.spaces.fashion_bench import CHOICES, EDGES, OPERATIONS

CONVS = ("conv_3x3", "dil_conv_3x3")


def by_hand(architecture: dict[str, object]) -> tuple[int, int]:
    """Parameters and multiply-adds: the stem at 7x7, behind a pooling; cells, the halving to 4x4, cells, the classifier."""
    width, depth = int(str(architecture["width"])), int(str(architecture["depth"]))
    convs = depth * sum(architecture[edge] in CONVS for edge in EDGES)
    parameters = 9 * width + 2 * width + convs * (9 * width**2 + 2 * width)  # with batch norms
    parameters += 9 * width * 2 * width + 4 * width + convs * (9 * (2 * width) ** 2 + 4 * width)
    work = 49 * 9 * (width + convs * width**2) + 16 * 9 * (2 * width**2 + convs * (2 * width) ** 2)
    return parameters + 4 * width + 20 * width + 10, work + 20 * width


def test_there_are_384_and_each_costs_what_is_counted_by_hand() -> None:
    every = [dict(zip(CHOICES, taken, strict=True)) for taken in itertools.product(*CHOICES.values())]
    assert len(every) == fashion_bench.supernet().space.size() == 384
    with torch.device("meta"):
        for architecture in every[::7]:
            network = fashion_bench.network(architecture)
            assert (params(network), macs(network, (1, 28, 28))) == by_hand(architecture)


def test_a_cell_adds_the_edges_of_the_input_and_of_the_node_behind_it() -> None:
    taken = fashion_bench.Taken({"1<0": "avg_pool_3x3", "2<0": "skip_connect", "2<1": "avg_pool_3x3", "width": 8, "depth": 1})
    x = torch.randn(2, 8, 7, 7)
    pool = torch.nn.AvgPool2d(3, 1, 1, count_include_pad=False)
    assert torch.allclose(fashion_bench.cell(1, taken)(x), x + pool(pool(x)))


def test_architectures_that_are_one_network_have_one_that_stands_for_them() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 8, 7, 7)
    stands: set[tuple[str, ...]] = set()
    for taken in itertools.product(OPERATIONS, repeat=3):
        architecture = {**dict(zip(EDGES, taken, strict=True)), "width": 8, "depth": 1}
        simple = fashion_bench.simplest(architecture)
        assert fashion_bench.simplest(simple) == simple and (simple["width"], simple["depth"]) == (8, 1)
        stands.add(tuple(str(simple[edge]) for edge in EDGES))
        own, other = (fashion_bench.cell(1, fashion_bench.Taken(a)).eval() for a in (architecture, simple))
        left = dict(enumerate(own.edges))
        for place, edge in enumerate(EDGES):  # the same operations, wherever they stand: on the same edge where there is a choice
            like = [i for i in left if architecture[EDGES[i]] == simple[edge]]
            other.edges[place] = left.pop(place if place in like else like[0])
        assert torch.allclose(own(x), other(x), atol=1e-5)
    assert 6 * len(stands) == 276


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fashion-bench: conv_3x3 skip_connect 12 2", "expected 'fashion-bench:', the operations of 1<0 2<0 2<1"),
        ("fashion-bench: conv_3x3 skip_connect conv_5x5 12 2", "did you mean 'conv_3x3'"),
        ("fashion-bench: conv_3x3 skip_connect conv_3x3 10 2", "unknown option of width '10'"),
    ],
)
def test_a_wrong_notation_is_one_line(text: str, message: str) -> None:
    assert set(OPERATIONS) >= {"conv_3x3", "skip_connect"}
    with pytest.raises(InputError, match=message):
        fashion_bench.network(text)
