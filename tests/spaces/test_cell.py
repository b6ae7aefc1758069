from __future__ import annotations

from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from supernet import ops
from supernet.costs.count import macs, params
from supernet.errors import InputError
from supernet.genotype import OPERATIONS, Genotype
from supernet.layers.base import Supernet
from supernet.mixture import Mix, one_hot
from supernet.naming.lookup import design
from supernet.spaces import cell

SMALL: dict[str, Any] = {"channels": 4, "cells": 3, "nodes": 2, "shape": (3, 8, 8)}
IMAGENET: dict[str, Any] = {"stem": "imagenet", "classes": 1000, "shape": (3, 224, 224)}


class Everything(nn.Module):
    """A supernet in which every option runs."""

    def __init__(self, net: Supernet):
        super().__init__()
        self.net = net
        self.mixture = {name: Mix(None, tuple(range(len(c.options)))) for name, c in net.space.items()}

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(self.mixture, x)
        return out


SUPERNETS: list[tuple[dict[str, Any], int, int]] = [  # settings, official parameters, official multiply-accumulates of all options
    ({}, 1_930_618, 300_255_744),
    ({"partial": 4}, 299_578, 56_596_992),
    ({"partial": 4, "classes": 100}, 322_708, 56_620_032),
    ({"partial": 2, **IMAGENET}, 956_512, 216_978_688 - 72_585_856),  # the official code runs every edge twice, 72,585,856 in all
    ({"cells": 5, "skip_dropout": True}, 1_275_834, 186_698_240),
    ({"cells": 11}, 2_585_146, 413_551_104),
    ({"cells": 17}, 3_894_202, 640_141_824),
    ({"cells": 11, "operations": OPERATIONS[3:]}, 2_585_146, 413_551_104),
    ({"cells": 17, "operations": ("skip_connect", "sep_conv_3x3", "dil_conv_3x3")}, 1_861_402, 289_540_608),
    ({"channels": 36, "cells": 20, "partial": 6, "operations": OPERATIONS[1:]}, 2_221_750, 388_497_024),
    ({"operations": ("skip_connect", "sep_conv_3x3")}, 665_466, 100_928_000),
    ({"operations": ("none", "skip_connect", "sep_conv_3x3")}, 665_466, 100_928_000),
    ({"operations": OPERATIONS[1:]}, 1_930_618, 300_255_744),
]


FEW = [SUPERNETS[0], SUPERNETS[1], SUPERNETS[3], SUPERNETS[4]]  # every kind of edge, both stems


@pytest.mark.parametrize(
    ("settings", "weights", "operations"), [pytest.param(*each, marks=() if each in FEW else pytest.mark.slow) for each in SUPERNETS]
)
def test_supernets_have_the_official_size(settings: dict[str, Any], weights: int, operations: int) -> None:
    with torch.device("meta"):
        net = cell.supernet(**settings)
    assert params(net) == weights
    assert macs(Everything(net), settings.get("shape", (3, 32, 32))) == operations


def test_a_fixed_reduction_cell_leaves_the_normal_one_to_be_searched() -> None:
    net = cell.supernet(fixed_reduction=True)
    assert params(net) == 1_341_946
    assert all(name.startswith("normal.") for name in net.space)


def test_the_space_picks_two_inputs_a_node_and_never_none() -> None:
    space = cell.supernet(**SMALL).space
    assert list(space) == [f"{k}.{n}" for k in ("normal", "reduce") for n in ("2", "2<0", "2<1", "3", "3<0", "3<1", "3<2")]
    assert space["normal.3"].pick == (2, 2)
    assert space["normal.3<1"].options == OPERATIONS
    assert space["normal.3<1"].when == (("normal.3", 1),)
    assert space.size() == (7**2 * 3 * 7**2) ** 2
    rng = Random(0)
    assert all("none" not in space.sample(rng).values() for _ in range(50))


def test_architectures_and_genotypes_say_the_same() -> None:
    space, rng = cell.supernet(nodes=3, channels=4, cells=3, shape=(3, 8, 8)).space, Random(1)
    for _ in range(20):
        architecture = space.sample(rng)
        genotype = cell.to_genotype(architecture)
        assert cell.to_architecture(genotype) == space.matters(architecture)
        assert cell.parse(cell.notation(architecture)) == genotype == cell.to_genotype(architecture, nodes=3)
        assert space.key(space.check(cell.to_architecture(genotype))) == space.key(architecture)


def test_published_cells_of_the_space_become_its_architectures() -> None:
    space = cell.supernet().space
    genotype = design("darts-v2").plan
    architecture = space.check(cell.to_architecture(genotype))
    assert architecture["normal.5"] == (0, 2) and architecture["normal.5<2"] == "dil_conv_3x3"
    again = cell.to_genotype(architecture)
    assert [set(node) for node in again.normal] == [set(node) for node in genotype.normal]


@pytest.mark.parametrize(
    ("name", "says"),
    [("nasnet-a", "different inputs"), ("enas", "different inputs"), ("fairdarts-a", "different inputs"), ("amoebanet-a", "concatenate")],
)
def test_a_genotype_outside_the_space_is_refused(name: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        cell.to_architecture(design(name).plan)


def test_operations_outside_the_space_are_refused() -> None:
    for operation in ("sep_conv_7x7", "none"):
        with pytest.raises(InputError, match=f"cannot choose {operation}"):
            cell.to_architecture(Genotype(((("skip_connect", 0), (operation, 1)),), (2,), None, (2,)))


def test_an_undecided_architecture_is_refused() -> None:
    with pytest.raises(InputError, match=r"does not decide normal\.2<1"):
        cell.to_genotype({"normal.2": (0, 1), "normal.2<0": "skip_connect"})
    with pytest.raises(InputError, match=r"does not decide reduce\.2"):
        cell.to_genotype({"normal.2": (0, 1), "normal.2<0": "none", "normal.2<1": "none", "reduce.2<0": "none"})


def test_evaluation_network_of_an_architecture_is_that_of_its_genotype() -> None:
    net = cell.supernet(**SMALL)
    architecture = net.space.sample(Random(3))
    same = (architecture, cell.to_genotype(architecture), cell.notation(architecture))
    built = [cell.network(a, channels=4, cells=3, shape=(3, 8, 8)) for a in same]
    assert len({params(b) for b in built}) == 1
    assert len({macs(b, (3, 8, 8)) for b in built}) == 1


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 9, 14), (4, 5, 5), (3, 33, 7)])
@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
@pytest.mark.parametrize("settings", [{}, {"partial": 2}, {"skip_dropout": True}, {"fixed_reduction": True}], ids=str)
def test_any_colours_and_sizes_work(shape: tuple[int, int, int], stem: str, settings: dict[str, Any]) -> None:
    net = cell.supernet(channels=8, cells=3, nodes=1, shape=shape, classes=7, stem=stem, **settings)
    assert Everything(net)(torch.randn(2, *shape)).shape == (2, 7)
    architecture = net.space.sample(Random(0))
    assert net(one_hot(net.space, architecture), torch.randn(2, *shape)).shape == (2, 7)
    plain = cell.network(architecture, channels=8, cells=3, shape=shape, classes=7, stem=stem)
    assert plain(torch.randn(2, *shape)).shape == (2, 7)


def test_the_auxiliary_head_speaks_in_training_only() -> None:
    network = cell.network(design("darts-v2").plan, channels=4, cells=3, shape=(1, 28, 28), auxiliary=True)
    x = torch.randn(2, 1, 28, 28)
    logits, auxiliary = network(x)
    assert logits.shape == auxiliary.shape == (2, 10)
    assert network.eval()(x).shape == (2, 10)


def test_the_auxiliary_head_is_refused_where_its_map_would_be_too_small() -> None:
    with pytest.raises(InputError, match="at least 2x2"):
        cell.network(design("darts-v2").plan, channels=4, cells=3, shape=(3, 32, 4), auxiliary=True)
    with pytest.raises(InputError, match="at least 2x2"):
        cell.network(design("darts-v2").plan, channels=4, cells=3, shape=(3, 32, 32), stem="imagenet", auxiliary=True)


def test_sizes_follow_the_stem_where_they_are_not_given() -> None:
    network = cell.network(design("darts-v1").plan, stem="imagenet", channels=8)
    assert (len(network.cells), network.classifier.out_features) == (14, 1000)
    assert len(cell.network(design("darts-v1").plan, channels=8).cells) == 20


def test_drop_path_skips_identities_only() -> None:
    genotype = Genotype(((("skip_connect", 0), ("avg_pool_3x3", 1)),), (2,), None, (2,))
    network = cell.network(genotype, channels=8, cells=4)
    drops = sum(isinstance(m, ops.DropPath) for m in network.modules())
    assert drops == 2 * 1 + 2 * 4  # an operation in each normal cell, the four parts of each fixed reduction cell
    ops.set_drop_path(network, 0.5)
    assert network(torch.randn(4, 3, 8, 8)).isfinite().all()


def test_pooling_is_normalised_in_evaluation_only_where_it_is_asked_for() -> None:
    plain, normed = (cell.network(design("darts-v1").plan, cells=3, pool_norm=norm) for norm in (False, True))
    assert not any(isinstance(m, ops.PoolNorm) for m in plain.modules())
    assert sum(isinstance(m, ops.PoolNorm) for m in normed.modules()) == 2 * 5  # in each reduction cell
    assert params(plain) == params(normed)


def test_dropout_behind_skips_stays_out_of_the_derived_network() -> None:
    net = cell.supernet(**SMALL, skip_dropout=True)
    dropouts = [m for m in net.modules() if isinstance(m, ops.SkipDropout)]
    assert len(dropouts) == 3 * 5
    assert isinstance(dropouts[0].settle(), nn.Identity)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"cells": 2}, "cells must be an integer of at least 3; got 2"),
        ({"channels": 1}, "channels must be"),
        ({"nodes": 0}, "nodes must be"),
        ({"classes": 0}, "classes must be"),
        ({"channels": "16"}, "channels must be"),
        ({"shape": (32, 32)}, "for example 3x32x32"),
        ({"shape": (3, 0, 32)}, "for example 3x32x32"),
        ({"stem": "imagnet"}, "did you mean 'imagenet'"),
        ({"operations": ("none", "sep_conv_3")}, "did you mean 'sep_conv_3x3'"),
        ({"operations": ("none",)}, "besides none"),
        ({"partial": 3}, "cannot be split into 3"),
        ({"partial": 0}, "partial must be"),
        ({"channels": 6, "fixed_reduction": True}, "multiple of 8"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        cell.supernet(**settings)
