from __future__ import annotations

from random import Random

import pytest
import torch
from torch import Tensor, nn

from supernet import OneOf, Supernet, UpTo, derive
from supernet.costs.count import macs, params
from supernet.costs.parts import parts, tabulate, taken
from supernet.costs.table import count_tables
from supernet.layers.elastic import ElasticConv2d, ElasticLinear, ElasticNorm
from supernet.layers.elastic_kernel import ElasticKernel2d
from supernet.mixture import Mix, expected, one_hot


class Elastic(nn.Module):
    """Options in options, elastic widths that lead into each other, a depth and kernels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.one = OneOf(
            {
                "conv": nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()),
                "inner": nn.Sequential(OneOf({"a": nn.Conv2d(8, 8, 1), "b": nn.Conv2d(8, 8, 5, padding=2)}, name="inner"), nn.ReLU()),
                "elastic": nn.Sequential(ElasticConv2d(8, (4, 6), 1, name="middle"), ElasticNorm(6), ElasticConv2d(6, 8, 1)),
                "skip": nn.Identity(),
            },
            name="one",
        )
        self.stage = UpTo([nn.Sequential(nn.Conv2d(8, 8, 1), nn.ReLU()) for _ in range(3)], depths=(1, 2, 3), name="depth")
        self.wide = ElasticConv2d(8, (8, 12, 16), 3, padding=1, name="width")
        self.norm = ElasticNorm(16)
        self.kernel = ElasticKernel2d(16, (3, 5), name="kernel")
        self.again = ElasticConv2d(16, (4, 8), 1, name="last")
        self.head = ElasticLinear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.kernel(torch.relu(self.norm(self.wide(self.stage(self.one(self.stem(x)))))))
        return self.head(self.again(x).mean((2, 3)))


SHAPE = (3, 8, 8)


def test_tables_give_the_exact_counts_of_every_derived_network_also_of_elastic_sizes() -> None:
    supernet = Supernet(Elastic())
    tables = count_tables(supernet, torch.zeros(1, *SHAPE))
    for seed in range(30):
        arch = supernet.space.sample(Random(seed))
        network = derive(supernet, arch, torch.zeros(1, *SHAPE))
        mixture = one_hot(supernet.space, arch)
        assert float(expected(supernet.space, mixture, tables["params"])) == params(network, without=())
        assert float(expected(supernet.space, mixture, tables["macs"])) == macs(network, SHAPE)
        assert float(expected(supernet.space, mixture, tables["storage"])) == 4 * sum(
            t.numel() for t in network.state_dict().values() if t.is_floating_point()
        )


def test_the_expectation_under_a_mixture_is_the_mean_over_architectures_drawn_from_it() -> None:
    supernet = Supernet(Elastic())
    space, table = supernet.space, count_tables(supernet, torch.zeros(1, *SHAPE))["macs"]
    rng = torch.Generator().manual_seed(0)
    weights = {n: torch.randn(len(c.options), generator=rng).softmax(-1).double() for n, c in space.items()}
    mixture = {n: Mix(w, tuple(range(len(w)))) for n, w in weights.items()}
    total, mass = 0.0, 0.0
    for arch in space.enumerate():
        on = space.matters(arch)
        chance = 1.0
        for name, option in on.items():
            chance *= float(weights[name][space[name].options.index(option)])  # type: ignore[arg-type]
        total += chance * float(expected(space, one_hot(space, arch), table))
        mass += chance
    assert mass == pytest.approx(1)
    assert float(expected(space, mixture, table)) == pytest.approx(total)


def test_the_parts_that_an_architecture_takes_add_up_to_its_table_cost() -> None:
    supernet = Supernet(Elastic())
    found = parts(supernet, torch.zeros(1, *SHAPE))
    table = tabulate(supernet.space, found, lambda part: float(len(part.name)))
    for seed in range(10):
        arch = supernet.space.sample(Random(seed))
        total = sum(len(part.name) for part in taken(supernet.space, found, arch))
        assert float(expected(supernet.space, one_hot(supernet.space, arch), table)) == total


def test_a_real_part_runs_on_the_batch_that_is_asked_for() -> None:
    for part in parts(Supernet(Elastic()), torch.zeros(1, *SHAPE)):
        if part.calls:
            module, inputs = part.real(batch=3)
            assert module(*inputs).shape[0] == 3 and bool(module(*inputs).isfinite().all())


def test_equal_options_in_equal_places_share_a_key_and_others_do_not() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = OneOf({"k3": nn.Conv2d(3, 3, 3, padding=1), "k5": nn.Conv2d(3, 3, 5, padding=2), "skip": nn.Identity()})
            self.second = OneOf({"k3": nn.Conv2d(3, 3, 3, padding=1), "k5": nn.Conv2d(3, 3, 5, padding=2), "skip": nn.Identity()})

        def forward(self, x: Tensor) -> Tensor:
            return self.second(self.first(x))

    found = parts(Supernet(Two()), torch.zeros(1, 3, 8, 8))
    assert len(found) == 6 and len({part.key for part in found}) == 3
