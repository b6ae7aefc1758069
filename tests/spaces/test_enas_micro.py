from __future__ import annotations

from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from supernet import derive, ops
from supernet.costs.count import macs, params
from supernet.costs.table import count_tables
from supernet.errors import InputError
from supernet.mixture import Mix, expected, one_hot
from supernet.naming.lookup import design
from supernet.spaces import enas_micro, space
from supernet.spaces.enas_cell import OPERATIONS, Unread

# Parameters that the official code (https://github.com/melodyguan/enas, commit 4bcfd73) reports: of its scripts
# cifar10_micro_search.sh and cifar10_micro_final.sh, and of the second classifier of the latter.
SEARCH, FINAL, AUXILIARY = 5_373_140, 3_894_372, 494_848
SMALL = {"channels": 4, "cells": 3, "shape": (3, 16, 16)}


def test_supernet_has_the_size_of_the_official_code() -> None:
    with torch.device("meta"):
        net = enas_micro.supernet()
    assert params(net) == SEARCH
    assert len(net.space) == 40 and net.space.size() == (2 * 3 * 4 * 5 * 6) ** 4 * 5**20


def test_published_network_has_the_size_of_the_official_code() -> None:
    known = design("enas-micro")
    assert known.describe()["params"] == FINAL
    with torch.device("meta"):
        assert params(known.network({"auxiliary": True}), without=()) == FINAL + AUXILIARY


def test_published_network_can_be_chosen_and_trained() -> None:
    known = design("enas-micro")
    assert known.choices is not None and enas_micro.supernet(channels=2, cells=1).space.check(known.choices)
    network = known.network({"channels": 2, "cells": 1, "auxiliary": True})
    logits, auxiliary = network.train()(torch.zeros(2, 3, 32, 32))
    assert logits.shape == auxiliary.shape == (2, 10)
    assert network.eval()(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("nodes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_tables_give_the_exact_counts_of_derived_networks_whatever_ends_are_loose(nodes: int) -> None:
    torch.manual_seed(0)
    net, x = enas_micro.supernet(**{**SMALL, "cells": 1}, nodes=nodes), torch.randn(2, 3, 16, 16)
    tables = count_tables(net, x[:1])
    for seed in range(4):
        architecture = net.space.sample(Random(seed))
        plain, mixture = derive(net, architecture, x), one_hot(net.space, architecture)
        assert float(expected(net.space, mixture, tables["params"])) == params(plain, without=())
        assert float(expected(net.space, mixture, tables["macs"])) == macs(plain, (3, 16, 16))
        assert (plain(x) - net.eval()(mixture, x)).abs().max() < 1e-9


def test_a_state_that_is_read_is_not_computed_among_the_loose_ends_and_in_a_blend_counts_by_how_little_it_is_read() -> None:
    end = Unread(1, "a", 3, Unread(1, "b", 2, nn.Identity()))
    x = torch.ones(1)

    def under(a: Mix, b: Mix) -> Tensor | None:
        end.others, end.body.others = (a,), (b,)
        return end(x)

    assert under(Mix(None, (1,)), Mix(None, (0,))) is None and under(Mix(None, (2,)), Mix(None, (1,))) is None
    assert torch.equal(under(Mix(None, (2,)), Mix(None, (0,))), x)
    shares = Mix(torch.tensor([0.2, 0.7, 0.1]), (0, 1, 2))
    assert float(under(shares, Mix(None, (0,)))) == pytest.approx(0.3)
    assert float(under(shares, Mix(None, (0, 1)))) == pytest.approx(0.3 * 0.5)


def test_notation_is_the_official_numbers() -> None:
    architecture = enas_micro.parse("enas-micro: 0 2 1 0 | 1 4 1 4")
    assert architecture["normal.2.x"] == (0,) and architecture["normal.2.x.op"] == OPERATIONS[2] == "avg_pool_3x3"
    assert architecture["reduce.2.x"] == architecture["reduce.2.y"] == (1,) and architecture["reduce.2.y.op"] == "skip_connect"
    assert enas_micro.notation(architecture) == "enas-micro: 0 2 1 0 | 1 4 1 4"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("enas-micro: 0 2 1 | 1 4 1 4", "expected numbers of two cells, four a node"),
        ("enas-micro: 0 2 1 0", "expected numbers of two cells"),
        ("enas-micro: 0 2 2 0 | 0 0 0 0", "node 2 of the normal cell reads state 2 by operation 0; it can read 0 to 1 by 0 to 4"),
        ("enas-micro: 0 2 1 0 | 0 5 0 0", "by operation 5"),
    ],
)
def test_wrong_numbers_are_refused(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        enas_micro.parse(text)


WRONG = [({"channels": 5}, "even number"), ({"cells": 0}, "cells must be"), ({"shape": (3,)}, "shape")]


@pytest.mark.parametrize(("settings", "reason"), WRONG)
def test_sizes_that_make_no_network_are_refused(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        enas_micro.supernet(**settings)


def test_paths_of_later_cells_are_dropped_more() -> None:
    network = space("enas-micro").network("enas-micro: 0 0 1 0 | 0 0 1 0", channels=2, cells=1)
    ops.set_drop_path(network, 0.6)
    dropped = [m.p for m in network.modules() if isinstance(m, ops.DropPath)]
    assert dropped == pytest.approx([0.2, 0.2, 0.4, 0.4, 0.6, 0.6])
