"""The search of channels of Single Path One-Shot: the official widths, weights as slices, joint costs of blocks and widths."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import torch
from torch import nn

from supernet import OneOf, Supernet
from supernet.costs.count import macs, params
from supernet.costs.table import count_tables
from supernet.derive import derive
from supernet.errors import InputError
from supernet.layers.width import Width
from supernet.mixture import Mix, expected, one_hot
from supernet.naming.lookup import design
from supernet.spaces import shuffle_blocks, spos, spos_channels
from supernet.spaces.chain_network import Place

SMALL: dict[str, Any] = {"stem": "cifar", "width": 0.25, "depths": (1, 1, 1, 1), "head": 16, "shape": (3, 8, 8), "classes": 3}


def test_the_found_network_has_the_official_widths_and_size() -> None:
    """https://github.com/megvii-model/SinglePathOneShot: its architecture and ids of widths; 328 million multiply-adds."""
    net = design("spos-328m").network()
    mains = [block.get_submodule("main") for block in net.get_submodule("layers").children()]
    hidden = [[m.out_channels for m in main.modules() if isinstance(m, nn.Conv2d) and m.groups > 1][-1] for main in mains]
    assert hidden == [
        *(44, 38, 25, 38, 48, 112, 64, 80, 96, 192),
        *(256, 192, 160, 224, 256, 160, 320, 384, 320, 256),
    ]
    described = design("spos-328m").describe()
    assert round(described["macs"] / 1e6) == 328
    assert design(str(described["genotype"])).describe() == described


def test_at_the_usual_widths_it_is_the_space_of_blocks() -> None:
    taken = design("spos-319m").choices
    assert taken is not None
    wide = spos_channels.network({**taken, **{f"width.{i}": 1.0 for i in range(20)}})
    assert {n: p.shape for n, p in wide.named_parameters()} == {n: p.shape for n, p in spos.network(taken).named_parameters()}


def test_the_space_has_32_options_a_block_or_40_by_the_papers_range() -> None:
    with torch.device("meta"):
        code, paper = (spos_channels.supernet(scales=scales).space for scales in ("code", "paper"))
    assert (code.size(), paper.size()) == (32**20, 40**20)
    assert code["width.3"].options == (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6) and paper["width.3"].options[-2:] == (1.8, 2.0)


def test_a_narrower_block_has_the_first_channels_of_the_widest() -> None:
    net, x = spos_channels.supernet(**SMALL), torch.randn(2, 3, 8, 8)
    taken = {f"layer.{i}": "k3" for i in range(4)} | {f"width.{i}": 1.6 for i in range(4)}
    wide, narrow = (derive(net, {**taken, "width.2": scale}, x).get_parameter("layers.2.main.0.weight") for scale in (1.6, 0.6))
    assert (len(wide), len(narrow)) == (64, 24) and torch.equal(wide[:24], narrow)  # of 80 outputs


@pytest.mark.usefixtures("double")
def test_a_block_costs_what_its_option_and_its_width_cost_together() -> None:
    width, place = Width({0.2: 3, 1.0: 16, 1.6: 25}, name="width"), Place(8, 32, 2)
    layers = shuffle_blocks.elastic(width, {})
    options = {o: shuffle_blocks.build(o, place, layers, {}) for o in ("k5", "xception")}
    net, x = Supernet(OneOf(options, name="layer")), torch.randn(2, 8, 6, 6)
    tables = count_tables(net, x[:1])
    assert set(tables["macs"]) == {(), ("layer", "width")}
    for architecture in net.space.enumerate():
        mixture = one_hot(net.space, architecture)
        net(mixture, x)
        plain = derive(net, architecture, x)
        assert torch.allclose(plain(x), net.eval()(mixture, x), rtol=0, atol=1e-12)
        alone = shuffle_blocks.build(str(architecture["layer"]), place, shuffle_blocks.fixed(width.of(architecture["width"]), {}), {})
        assert expected(net.space, mixture, tables["macs"]) == macs(alone, (8, 6, 6)) == macs(plain, (8, 6, 6)) > 0
        assert expected(net.space, mixture, tables["params"]) == params(alone) == params(plain)
        net.train()
    half = {"layer": Mix(torch.tensor([0.5, 0.5]), (0, 1)), "width": Mix(torch.full((3,), 1 / 3), (0, 1, 2))}
    mean = sum(expected(net.space, one_hot(net.space, a), tables["macs"]) for a in net.space.enumerate()) / 6
    assert float(expected(net.space, half, tables["macs"])) == pytest.approx(float(mean))


@pytest.mark.usefixtures("double")
def test_derived_and_stand_alone_network_equal_the_supernet() -> None:
    torch.manual_seed(0)
    net, x = spos_channels.supernet(affine=True, **SMALL), torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        for seed in range(3):
            architecture = net.space.sample(Random(seed))
            mixture = one_hot(net.space, architecture)
            net.train()(mixture, torch.randn(4, 3, 8, 8))
            plain, alone = derive(net.eval(), architecture, x), spos_channels.network(architecture, **SMALL)
            alone.load_state_dict(plain.state_dict())
            assert torch.allclose(plain(x), net(mixture, x), rtol=0, atol=1e-12)
            assert torch.allclose(alone.eval()(x), net(mixture, x), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("spos-channels: k3@1.5", "did you mean 'k3@1"),
        ("spos-channels: k3", "unknown option of spos-channels 'k3'"),
        ("spos-channels: k3@1", "decides 1 layers; with these depths there are 20"),
    ],
)
def test_what_is_no_network_is_refused(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        design(text).describe()


def test_an_architecture_that_leaves_a_width_open_is_refused() -> None:
    with pytest.raises(InputError, match=r"choose layer.i and width.i, i from 0 on; look at width.0"):
        spos_channels.notation({"layer.0": "k3"})
    with pytest.raises(InputError, match="scales must be one of code, paper"):
        spos_channels.supernet(scales="all")
