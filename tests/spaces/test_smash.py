"""The space of SMASH and what generates its weights, against numbers of the official code, https://github.com/ajbrock/SMASH (76aebd1)."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from supernet import derive
from supernet.costs.count import macs, params
from supernet.costs.table import count_tables
from supernet.errors import InputError
from supernet.layers.hypernetwork import normalised
from supernet.mixture import expected, one_hot
from supernet.spaces import smash
from supernet.spaces.smash_network import COMPRESSION, Operation, Window, plans

SMALL: dict[str, Any] = {"channels": 2, "widening": 1, "layers": 3, "shape": (3, 8, 8), "classes": 5}
TEXT = "smash: 0.1-k3d1g1-4.5.6.7 4.5-k5d1g2-0.1.2.3 | 0.2-k3d2g1-6.7.8.9 | 0.1.2-k7d1g8-3.4.5.6"


def test_the_parts_have_the_official_sizes_for_100_classes() -> None:
    with torch.device("meta"):
        net = smash.supernet(classes=100, generated=True)
    hypernetwork: Any = net.model.hypernetwork
    free = sum(block.shared.weight.numel() for block in net.model.blocks)
    assert params(hypernetwork) == 582_541 and hypernetwork.rows == 91
    assert params(net, without=()) - params(hypernetwork) - free == 79_972
    assert free == 3 * 64 * 64 * 49  # of the official 3,612,672, those that its defaults use


def test_blocks_have_the_official_widths_and_no_architecture_reads_more_than_the_official_budget() -> None:
    sizes = plans(channels=8, widening=4)
    assert [plan.inputs * plan.bank for plan in sizes] == [64, 96, 112]
    assert [plan.banks * plan.bank for plan in sizes] == [192, 224, 256]
    budgets = [plan.inputs * plan.bank + 12 * plan.reads * plan.bank for plan in sizes]
    assert budgets == [832, 1632, 3184] and sum(budgets) // 8 // COMPRESSION == 353


def test_a_weight_is_normalised_as_a_whole() -> None:
    known = [0.10482848, 0.20965695, 0.31448543, 0.41931391, 0.52414238, 0.62897086]
    assert normalised(torch.arange(1.0, 7).view(2, 3, 1, 1)).flatten().tolist() == pytest.approx(known, rel=1e-6)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("generated", [True, False])
def test_tables_give_the_exact_counts_of_derived_networks_which_equal_the_supernet(generated: bool) -> None:
    torch.manual_seed(0)
    net, x = smash.supernet(**SMALL, generated=generated), torch.randn(2, 3, 8, 8)
    tables = count_tables(net, x[:1])
    net(one_hot(net.space, net.space.sample(Random(9))), x).sum().backward()  # a trained supernet is copied as well
    for seed in range(3):
        architecture = net.space.sample(Random(seed))
        plain, mixture = derive(net, architecture, x), one_hot(net.space, architecture)
        assert float(expected(net.space, mixture, tables["params"])) == params(plain, without=())
        assert float(expected(net.space, mixture, tables["macs"])) == macs(plain, (3, 8, 8))
        assert (plain(x) - net.eval()(mixture, x)).abs().max() < 1e-9


@pytest.mark.usefixtures("double")
def test_the_derived_network_carries_the_weights_that_were_made_for_its_architecture() -> None:
    torch.manual_seed(0)
    net, x = smash.supernet(**SMALL, generated=True), torch.randn(2, 3, 8, 8)
    one = net.space.sample(Random(0))
    other = {**one, "write.2.0": next(take for take in net.space["write.2.0"].takes())}
    other["read.2.0"] = (0,) if one["read.2.0"] != (0,) else (1,)
    made = [read_by(derive(net, architecture, x)) for architecture in (one, one, other)]
    assert all(torch.equal(a, b) for a, b in zip(made[0], made[1], strict=True))
    assert not all(a.shape == b.shape and torch.equal(a, b) for a, b in zip(made[0], made[2], strict=True))


def read_by(plain: nn.Module) -> list[Tensor]:
    """The weights of the convolutions that read banks."""
    return [m.weight for name, m in plain.named_modules() if isinstance(m, nn.Conv2d) and ".read." in name]


def test_what_an_operation_reads_by_has_a_norm_of_one_and_gradients_reach_what_made_it() -> None:
    torch.manual_seed(0)
    net, x = smash.supernet(**SMALL, generated=True), torch.randn(2, 3, 8, 8)
    architecture = net.space.sample(Random(1))
    net(one_hot(net.space, architecture), x).square().sum().backward()
    operation: Operation = net.model.blocks[0].operations.blocks[0]
    weights = torch.stack([operation.edges[i].weight for i in architecture["read.0.0"]])  # type: ignore[union-attr]
    assert weights.norm().item() == pytest.approx(1, rel=1e-5)
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in net.model.hypernetwork.parameters())


def test_an_operation_adds_the_sum_of_what_it_reads_convolved_to_the_banks_that_it_writes() -> None:
    torch.manual_seed(0)
    net = smash.supernet(channels=2, layers=1, shape=(3, 8, 8), generated=True).eval()
    architecture = smash.parse("smash: 0.3-k5d2g2-1.2.4.7 | 0-k3d1g1-0.1.2.3 | 0-k3d1g1-0.1.2.3")
    net(one_hot(net.space, architecture), torch.randn(1, 3, 8, 8))
    operation, memory = net.model.blocks[0].operations.blocks[0], torch.randn(1, 12 * 4, 8, 8)
    with net.blending(one_hot(net.space, architecture)):
        found = operation(memory) - memory
    whole = nn.Conv2d(8, 16, 1, bias=False)
    whole.weight.data = torch.cat([operation.edges[i].weight for i in (0, 3)], 1)
    window: Window = operation.convolution.branches[list(smash.OPERATIONS).index("k5d2g2")]
    given = window(whole(torch.cat((memory[:, :4], memory[:, 12:16]), 1)).relu())
    for bank in range(12):
        part = {1: 1, 2: 2, 4: 0, 7: 3}.get(bank)  # bank j takes the j-th four channels, in turn
        wanted = torch.zeros(1, 4, 8, 8) if part is None else given[:, 4 * part : 4 * part + 4]
        assert torch.allclose(found[:, 4 * bank : 4 * bank + 4], wanted, atol=1e-6)


def test_a_window_computes_what_a_plain_convolution_by_the_centre_of_the_kernel_does() -> None:
    shared: Any = smash.supernet(channels=2, layers=1, oblong=True).model.blocks[0].operations.blocks[0].convolution.branches
    x = torch.randn(1, 16, 9, 9)
    for window in shared:
        assert torch.allclose(window(x), window.settle()(x), atol=1e-6) and window(x).shape == x.shape


@pytest.mark.usefixtures("double")
def test_a_derived_network_with_oblong_kernels_equals_the_supernet() -> None:
    torch.manual_seed(0)
    net, x = smash.supernet(**SMALL | {"layers": 1}, oblong=True, generated=True).eval(), torch.randn(2, 3, 8, 8)
    architecture = net.space.sample(Random(0)) | {"op.0.0": "k3x7d2x1g4", "op.1.0": "k5x3d1x3g1"}
    assert (derive(net, architecture, x)(x) - net(one_hot(net.space, architecture), x)).abs().max() < 1e-9


def test_kernels_have_the_sides_and_dilations_of_the_official_code_which_the_hypernetwork_is_told() -> None:
    # SMASH.py: each side is 3, 5 or 7, its dilation 1 to 4 - (side - 1) / 2, drawn for each direction on its own
    net = smash.supernet(**SMALL, oblong=True, generated=True)
    square = smash.supernet(**SMALL, generated=True)
    assert len(net.space["op.0.0"].options) == 6 * 6 * 4 and len(square.space["op.0.0"].options) == 6 * 4
    operation: Any = net.model.blocks[0].operations.blocks[0]
    window = operation.convolution.branches[list(smash.OPERATIONS).index("k3x7d2x1g4")].settle()
    assert (window.kernel_size, window.dilation, window.padding, window.groups) == ((3, 7), (2, 1), (2, 3), 4)
    told = operation.generated(most=8)[0].places["op.0.0"]
    assert len(set(told)) == 144 and net.model.hypernetwork.rows == square.model.hypernetwork.rows
    by = dict(zip(smash.OPERATIONS, told, strict=True))
    assert [a - b for a, b in zip(by["k3x7d2x1g4"], by["k3d1g1"], strict=True)] == [1, 0, 0, 2, 2]


def test_a_network_is_built_from_its_notation_alone() -> None:
    network = smash.network(TEXT, channels=2)
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10) and network.training
    assert smash.notation(smash.parse(TEXT)) == TEXT
    oblong = TEXT.replace("k5d1g2", "k5x3d1x3g2")
    assert params(smash.network(TEXT, channels=2)) - params(smash.network(oblong, channels=2)) == 16 * 8 * 5 * (5 - 3)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("smash: 0-k3d1g1-0.1.2.3 |", "has 3 blocks parted by"),
        (TEXT.replace("k3d1g1", "k3d4g1"), "unknown operation 'k3d4g1'"),
        (TEXT.replace("0.1-", "0.x-"), "reads, does and writes, for example 0.1-k3d1g1-2.3; got '0.x-"),
        (TEXT.replace("0.1-", "1.0-"), "choice 'read.0.0' cannot take"),
        (TEXT.replace("0.1-", "0.12-"), "choice 'read.0.0' cannot take .* set network.widening to it as well"),
    ],
)
def test_wrong_notations_are_refused(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        smash.network(text)


def test_images_that_cannot_be_halved_twice_are_refused() -> None:
    with pytest.raises(InputError, match="give at least 4x4 pixels, not 3x2x8"):
        smash.supernet(shape=(3, 2, 8))
