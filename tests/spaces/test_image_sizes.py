"""The size of images as a choice of Once-for-All's spaces: supernet, derived and fresh networks, counts, notations."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import torch

from supernet import derive
from supernet.costs.count import macs
from supernet.costs.table import count_tables
from supernet.errors import InputError
from supernet.mixture import expected, one_hot
from supernet.naming.lookup import design
from supernet.spaces import space as space_named

SMALL: dict[str, dict[str, Any]] = {
    "ofa-mobilenetv3": {"width": 0.25, "widths": (16,), "depths": (2,), "last": 16, "head": 16},
    "ofa-proxyless": {"width": 0.25, "widths": (16,), "depths": (2,), "head": 16},
    "ofa-resnet50d": {"width": 0.125, "widths": (64,), "depths": (2,), "stem_channels": 32},
}
SIZES: dict[str, Any] = {"stem": "cifar", "shape": (1, 12, 12), "classes": 3, "resolutions": (8, 10, 12)}


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n == "ofa-proxyless" else ()) for n in SMALL])
def test_supernet_derived_and_fresh_network_agree_at_every_size_and_cost_what_the_tables_say(name: str) -> None:
    torch.manual_seed(0)
    known, settings = space_named(name), {**SIZES, **SMALL[name]}
    net, x = known.supernet(**settings).eval(), torch.randn(2, 1, 12, 12)
    table, fewest = count_tables(net, x[:1])["macs"], []
    for size in (8, 12):
        arch = net.space.matters({**net.space.sample(Random(size)), "resolution": size})
        said, plain = net(one_hot(net.space, net.space.check(arch)), x), derive(net, arch, x)
        fresh = known.network(known.parse(known.notation(arch)), **settings).eval()
        fresh.load_state_dict(plain.state_dict())
        assert (plain(x) - said).abs().max() < 1e-6 and (fresh(x) - said).abs().max() < 1e-6
        assert float(expected(net.space, one_hot(net.space, net.space.check(arch)), table)) == macs(fresh, (1, 12, 12))
        fewest.append(macs(known.network({**arch, "resolution": 8}, **settings), (1, 12, 12)) <= macs(fresh, (1, 12, 12)))
    assert all(fewest)


def test_a_size_stands_first_in_a_notation_which_describes_the_same_network() -> None:
    text = "ofa-proxyless(stem=cifar, width=0.5, widths=[16], depths=[2]): r24 | k3e3 k5e6"
    described = design(text).describe()
    assert described["choices"]["resolution"] == 24 and design(str(described["genotype"])).describe() == described
    assert described["macs"] < design(text.replace("r24 | ", "")).describe()["macs"]
    assert described["params"] == design(text.replace("r24 | ", "")).describe()["params"]


def test_a_size_that_is_no_choice_is_refused() -> None:
    with pytest.raises(InputError, match="resolution cannot be 24; the sizes of images are 16, 32"):
        design("ofa-proxyless(stem=cifar, widths=[16], depths=[2], resolutions=[16, 32]): r24 | k3e3 k5e6").describe()
    with pytest.raises(InputError, match="resolution cannot be None"):
        design("ofa-proxyless(stem=cifar, widths=[16], depths=[2], resolutions=[16, 32]): k3e3 k5e6").describe()
