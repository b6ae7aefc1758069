"""Tables of costs where many widths meet: exact, and without a network being built for each combination of all of them."""

from __future__ import annotations

from random import Random

import pytest
import torch
from torch import Tensor, nn

from supernet import ElasticConv2d, ElasticLinear, ElasticNorm, InputError, Supernet, Width, derive
from supernet.costs import apart
from supernet.costs.count import macs, params
from supernet.costs.table import count_tables
from supernet.mixture import expected, one_hot

TEN = tuple(range(4, 44, 4))


def exact(net: Supernet, shape: tuple[int, ...], samples: int) -> None:
    """The tables of ``net`` give what is counted of derived networks."""
    tables = count_tables(net, torch.zeros(1, *shape))
    for seed in range(samples):
        arch = net.space.sample(Random(seed))
        network, mixture = derive(net, arch, torch.zeros(1, *shape)), one_hot(net.space, arch)
        assert float(expected(net.space, mixture, tables["params"])) == params(network, without=())
        assert float(expected(net.space, mixture, tables["macs"])) == macs(network, shape)


@pytest.mark.parametrize("length", [2, 5])
def test_convolutions_of_ten_widths_in_a_row_have_exact_costs(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = []
    run = apart.Apart.run
    monkeypatch.setattr(apart.Apart, "run", lambda self, sizes: passes.append(sizes) or run(self, sizes))
    layers: list[nn.Module] = []
    for i in range(length):
        layers += [ElasticConv2d(TEN[-1] if i else 3, TEN, 3, padding=1, name=f"width.{i}"), ElasticNorm(TEN[-1]), nn.ReLU()]
    net = Supernet(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), ElasticLinear(TEN[-1], 3)))
    exact(net, (3, 6, 6), 10)
    assert len(passes) <= 3 + 9 * length  # of the whole network: as many as there are options, not combinations


class Joined(nn.Module):
    """A layer whose input has the channels of two widths, and one whose width is a product of two choices."""

    def __init__(self) -> None:
        super().__init__()
        wide = Width((2, 4, 6), name="b")
        self.a, self.b = ElasticConv2d(3, (2, 4, 5), 1, name="a"), ElasticConv2d(3, wide, 1)
        self.last, self.more = ElasticConv2d(11, wide.times((1, 2, 3), name="ratio"), 3), ElasticConv2d(18, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.more(self.last(torch.cat([self.a(x), self.b(x)], 1)))


def test_costs_are_exact_where_one_size_depends_on_several_choices() -> None:
    exact(Supernet(Joined()), (3, 5, 5), 12)


def test_a_layer_that_depends_on_too_many_combinations_is_refused() -> None:
    many = tuple(range(1, 70))
    net = Supernet(nn.Sequential(ElasticConv2d(3, many, 1), ElasticConv2d(69, many, 1)))
    with pytest.raises(InputError, match="depends on 2 choices at once: more than 4096 combinations"):
        count_tables(net, torch.zeros(1, 3, 2, 2))
