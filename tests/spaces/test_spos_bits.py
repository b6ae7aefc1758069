"""The search of bits of Single Path One-Shot: its networks, and what they cost."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import torch

from supernet.costs.bit_operations import bit_operations
from supernet.costs.count import macs, params
from supernet.costs.table import count_tables
from supernet.derive import derive
from supernet.errors import InputError
from supernet.mixture import expected, one_hot
from supernet.naming.lookup import design
from supernet.spaces import spos_bits

SMALL: dict[str, Any] = {"stem": "cifar", "width": 0.125, "depths": (1, 1, 1, 1), "shape": (3, 8, 8), "classes": 3}


@pytest.mark.parametrize("bits", [2, 4])
def test_at_imagenet_it_is_resnet_18_with_a_clip_for_each_quantised_convolution(bits: int) -> None:
    """11,689,512 parameters and 1,814,073,344 multiply-adds, of which 118,013,952 in the first layer and 512,000 in the last."""
    there = design("spos-bits: " + f"w{bits}a{bits} " * 8)
    described = there.describe()
    assert (described["params"], described["macs"]) == (11_689_512 + 19, 1_814_073_344)
    quantised = 1_814_073_344 - 118_013_952 - 512_000
    assert bit_operations(there.network(), torch.empty(1, 3, 224, 224, device="meta")) == quantised * bits**2


def test_every_block_chooses_bits_of_weights_and_of_activations() -> None:
    with torch.device("meta"):
        space = spos_bits.supernet().space
    assert space.size() == 16**8 and {choice.options for choice in space.values()} == {(1, 2, 3, 4)}
    assert set(space) == {f"{what}.{i}" for what in ("weights", "activations") for i in range(8)}


@pytest.mark.usefixtures("double")
def test_derived_and_stand_alone_network_equal_the_supernet_and_cost_what_the_tables_say() -> None:
    torch.manual_seed(0)
    net, x = spos_bits.supernet(**SMALL), torch.randn(2, 3, 8, 8)
    tables = count_tables(net, x[:1])
    assert {names for names in tables["bit_operations"] if names} == {(f"weights.{i}", f"activations.{i}") for i in range(4)}
    for seed in range(3):
        architecture = net.space.sample(Random(seed))
        mixture = one_hot(net.space, architecture)
        with torch.no_grad():
            net.train()(mixture, torch.randn(4, 3, 8, 8))
            plain, alone = derive(net.eval(), architecture, x), spos_bits.network(architecture, **SMALL)
            alone.load_state_dict(plain.state_dict())
            assert torch.allclose(plain(x), net(mixture, x), rtol=0, atol=1e-12)
            assert torch.allclose(alone.eval()(x), net(mixture, x), rtol=0, atol=1e-12)
        assert expected(net.space, mixture, tables["bit_operations"]) == bit_operations(alone, x[:1].to("meta")) > 0
        assert expected(net.space, mixture, tables["macs"]) == macs(alone, (3, 8, 8))
        assert expected(net.space, mixture, tables["params"]) == params(alone)


@pytest.mark.parametrize(
    ("text", "says"),
    [("spos-bits: w2a5", "unknown option of spos-bits 'w2a5'"), ("spos-bits: w2a4", "with these depths there are 8")],
)
def test_what_is_no_network_is_refused(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        design(text).describe()
