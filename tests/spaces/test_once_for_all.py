"""Once-for-All's spaces for mobile devices against numbers that the official code gave.

https://github.com/mit-han-lab/once-for-all, commit f03b267; Cai et al. 2020, https://arxiv.org/abs/1908.09791

``once_for_all_counts.txt`` beside this file: parameters and multiply-adds of its specialised networks, each at its own resolution.
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from chain_fills import fill, hash_values, images
from torch import Tensor, nn

from supernet import Supernet, derive
from supernet.costs.count import macs, params
from supernet.costs.table import count_tables
from supernet.errors import InputError
from supernet.layers.elastic_kernel import ElasticKernel2d
from supernet.mixture import expected, one_hot
from supernet.naming.lookup import design
from supernet.space import Architecture, SearchSpace
from supernet.spaces import space as space_named

COUNTS = [line.split() for line in (Path(__file__).parent / "once_for_all_counts.txt").read_text().splitlines()]
V3, PROXYLESS = "ofa-mobilenetv3", "ofa-proxyless"
SMALL: dict[str, Any] = {"stem": "cifar", "shape": (1, 14, 14), "width": 0.25, "widths": (16, 32, 40), "depths": (2, 3, 3), "head": 32}
LARGEST, MIDDLE, SMALLEST = (7, 6, 4), (5, 4, 3), (3, 3, 2)  # kernel, expansion, depth
SIZES = [  # space, width, sizes, parameters, multiply-adds by resolution
    (V3, 1.0, LARGEST, 7_664_760, {224: 566_170_656, 192: 417_292_160, 160: 291_318_048, 128: 188_248_320}),
    (V3, 1.0, MIDDLE, 4_551_792, {224: 250_746_944, 192: 185_097_984, 160: 129_548_864, 128: 84_099_584}),
    (V3, 1.0, SMALLEST, 3_410_792, {224: 121_278_672, 192: 89_841_344, 160: 63_240_528, 128: 41_476_224}),
    (V3, 1.2, LARGEST, 10_701_632, {224: 843_101_040, 160: 433_563_888, 128: 279_987_456}),
    (V3, 1.2, MIDDLE, 6_245_312, {224: 385_659_168, 160: 198_948_384, 128: 128_931_840}),
    (V3, 1.2, SMALLEST, 4_602_456, {224: 193_078_200, 160: 100_320_888, 128: 65_536_896}),
    (PROXYLESS, 1.3, LARGEST, 7_942_056, {224: 1_004_908_032, 128: 329_253_888}),
    (PROXYLESS, 1.3, MIDDLE, 5_053_864, {224: 486_974_112, 128: 160_132_608}),
    (PROXYLESS, 1.3, SMALLEST, 3_718_832, {224: 265_526_256, 128: 87_823_104}),
]


def architecture(space: SearchSpace, kernel: int, expansion: int, depth: int) -> Architecture:
    """One size everywhere; a unit of a single block stays one."""
    sizes = {"kernel": kernel, "expansion": expansion, "depth": depth}
    taken = {n: sizes[n.partition(".")[0] if n.startswith("depth") else n.rpartition(".")[2]] for n in space}
    return space.matters({n: t if t in space[n].options else space[n].options[-1] for n, t in taken.items()})


def formula(space: SearchSpace, s: int) -> Architecture:
    """The architecture number ``s`` that the official numbers are of."""
    taken: Architecture = {}
    for name in space:
        kind, unit, *block = name.split(".")
        i = 4 * int(unit) + int(block[0]) if block else int(unit)
        if kind == "depth":
            taken[name] = (2, 3, 4)[(i + s) % 3]
        elif name.endswith("kernel"):
            taken[name] = (3, 5, 7)[(2 * i + s) % 3]
        else:
            taken[name] = (3, 4, 6)[(i * i + s) % 3]
    return space.matters(taken)


def without_storage(name: str, **settings: Any) -> Supernet:
    with torch.device("meta"):
        found: Supernet = space_named(name).supernet(stem="imagenet", **settings)
    return found


def filled(name: str, **settings: Any) -> Supernet:
    """The supernet whose largest weights have deterministic values, and whose kernels are transformed by nearly the identity."""
    net: Supernet = space_named(name).supernet(stem="imagenet", classes=10, **settings)
    fill(net)
    for layer in (m for m in net.modules() if isinstance(m, ElasticKernel2d)):
        weight = layer.weight
        weight.data.copy_((hash_values(weight.numel()) * (24 * len(weight) / weight.numel()) ** 0.5).view_as(weight))
        for matrix in layer.matrices.values():
            matrix.data = torch.eye(len(matrix), dtype=torch.float64) + 0.1 * hash_values(matrix.numel()).view_as(matrix)
    return net


def answers(net: Supernet, arch: Architecture) -> Tensor:
    with torch.no_grad():
        logits: Tensor = net(one_hot(net.space, net.space.check(arch)), images(64))[0]
    return logits


@pytest.mark.parametrize(("name", "parameters", "work"), COUNTS, ids=[row[0] for row in COUNTS])
def test_published_networks_have_the_official_size(name: str, parameters: str, work: str) -> None:
    there = design(f"ofa-{name}")
    with torch.device("meta"):
        network = there.network()
    assert (params(network), macs(network, there.settings["shape"])) == (int(parameters), int(work))


@pytest.mark.parametrize(("name", "width", "sizes", "parameters", "work"), SIZES)
def test_the_largest_the_middle_and_the_smallest_have_the_official_size_at_every_resolution(
    name: str, width: float, sizes: tuple[int, int, int], parameters: int, work: dict[int, int]
) -> None:
    arch = architecture(without_storage(name).space, *sizes)
    with torch.device("meta"):
        network = space_named(name).network(arch, width=width)
    assert params(network) == parameters
    assert {pixels: macs(network, (3, pixels, pixels)) for pixels in work} == work


@pytest.mark.parametrize(
    ("s", "parameters", "work"),
    [(1, 8_834_728, 344_215_104), (2, 5_831_472, 339_307_488), (3, 5_723_104, 278_046_528), (4, 8_834_728, 538_389_936)],
)
def test_mixed_networks_have_the_official_size(s: int, parameters: int, work: int) -> None:
    with torch.device("meta"):
        network = space_named(V3).network(formula(without_storage(V3).space, s), width=1.2)
    pixels = (160, 176, 192, 208, 224)[s]
    assert (params(network), macs(network, (3, pixels, pixels))) == (parameters, work)


@pytest.mark.parametrize(("name", "width", "parameters"), [(V3, 1.0, 7_678_880), (V3, 1.2, 10_715_752), (PROXYLESS, 1.3, 7_956_882)])
def test_the_supernet_has_the_official_parameters(name: str, width: float, parameters: int) -> None:
    net = without_storage(name, width=width)
    transforms = sum(p.numel() for n, p in net.named_parameters() if "matrices" in n)
    assert params(net) == parameters
    assert transforms == (25**2 + 9**2) * sum(n.endswith("kernel") for n in net.space)


def test_the_space_has_as_many_networks_as_the_paper_says() -> None:
    assert without_storage(V3).space.size() == (9**2 + 9**3 + 9**4) ** 5 == 21_758_655_492_572_485_851
    assert without_storage(PROXYLESS).space.size() == 9 * (9**2 + 9**3 + 9**4) ** 5


def test_mobilenetv3s_compute_what_the_official_ones_do() -> None:
    net = filled(V3)
    largest = answers(net, architecture(net.space, *LARGEST))
    assert largest[:3].tolist() == pytest.approx((33.5395889, -7.229066394, 51.70837291), rel=1e-8)
    assert (largest.sum().item(), largest.norm().item()) == pytest.approx((10.50471915, 135.0900141), rel=1e-8)
    smallest = answers(net, architecture(net.space, *SMALLEST))
    assert smallest[:3].tolist() == pytest.approx((-6.224467388e-05, 2.08343503e-05, -8.557747626e-05), rel=1e-6)
    assert (smallest.sum().item(), smallest.norm().item()) == pytest.approx((-0.000374761571, 0.0002158248677), rel=1e-6)
    mixed = answers(net, formula(net.space, 1))
    assert mixed[:3].tolist() == pytest.approx((0.001018522182, -0.002651107408, -0.002615380076), rel=1e-6)
    assert mixed.norm().item() == pytest.approx(0.009717017719, rel=1e-6)


def test_proxyless_networks_compute_what_the_official_ones_do() -> None:
    net = filled(PROXYLESS)
    largest, smallest = (answers(net, architecture(net.space, *sizes)) for sizes in (LARGEST, SMALLEST))
    assert largest[:3].tolist() == pytest.approx((-0.4608812892, 1.201497806, -0.5295223046), rel=1e-8)
    assert smallest[:3].tolist() == pytest.approx((0.0009668336092, -0.003704271418, -0.002143165722), rel=1e-6)
    assert (largest.norm().item(), smallest.norm().item()) == pytest.approx((3.249106595, 0.01325570592), rel=1e-6)


def moved(net: Supernet) -> Supernet:
    """Batch norms and matrices that are not fresh."""
    g = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if tensor.dim() == 1 or "matrices" in name:
                shift = torch.rand(tensor.shape, generator=g)
                tensor.copy_(tensor + 0.1 * shift if "matrices" in name else shift + (0.5 if name.endswith(("var", "weight")) else -0.5))
    return net.eval()


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", [V3, PROXYLESS])
def test_supernet_derived_and_a_fresh_network_with_copied_slices_agree(name: str) -> None:
    torch.manual_seed(0)
    known = space_named(name)
    net, x = moved(known.supernet(**SMALL)), torch.randn(2, 1, 14, 14)
    for seed in range(4):
        arch = net.space.sample(Random(seed))
        said = net(one_hot(net.space, arch), x)
        plain = derive(net, arch, x)
        fresh: nn.Module = known.network(net.space.matters(arch), **SMALL).eval()
        fresh.load_state_dict(plain.state_dict())
        assert (plain(x) - said).abs().max() < 1e-6
        assert (fresh(x) - said).abs().max() < 1e-6


@pytest.mark.parametrize("name", [V3, PROXYLESS])
def test_tables_of_costs_are_the_counts_of_derived_networks(name: str) -> None:
    sizes = {**SMALL, "widths": (16, 32), "depths": (1, 3)}  # the second has squeeze-and-excitation
    known, shape = space_named(name), sizes["shape"]
    with torch.device("meta"):
        net = known.supernet(**sizes)
    tables = count_tables(net, torch.empty(1, *shape, device="meta"))
    for seed in range(3):
        arch = net.space.sample(Random(seed))
        with torch.device("meta"):
            fresh = known.network(net.space.matters(arch), **sizes)
        expectation = {what: float(expected(net.space, one_hot(net.space, arch), tables[what])) for what in ("params", "macs")}
        assert expectation == {"params": params(fresh), "macs": macs(fresh, shape)}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ofa-mobilenetv3: k3e3 k3e5", "did you mean 'k3e"),
        ("ofa-mobilenetv3: k3e3 k3e3", "decides 1 units, and the network has 5: set network.widths"),
        ("ofa-mobilenetv3(widths=[24], depths=[4]): k3e3", "unit 0 has 1 blocks; with these depths it has 2 to 4"),
        ("ofa-mobilenetv3(widths=[24], depths=[2]): k3e3 k3e3 k5e3", "unit 0 has 3 blocks; with these depths it has 2 to 2"),
        ("ofa-proxyless: | k3e3", "the blocks of each unit"),
    ],
)
def test_what_is_no_network_of_them_is_refused(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as error:
        design(text).describe()
    assert "\n" not in str(error.value)


def test_a_published_network_says_its_resolution_and_is_described_again_by_its_notation() -> None:
    described = design("ofa-note10_lat-64ms_top1-80.2_finetune-75").describe()
    assert described["settings"]["shape"] == [3, 260, 260] and described["settings"]["width"] == 1.2
    assert design(str(described["genotype"])).describe() == described
