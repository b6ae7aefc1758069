from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from random import Random

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oracles import assert_signature, fill, fractions, inputs, sines
from supernet.costs.count import macs, params
from supernet.derive import derive
from supernet.errors import InputError
from supernet.layers.base import Supernet
from supernet.layers.one_of import OneOf
from supernet.mixture import Mix, one_hot
from supernet.naming.lookup import design
from supernet.space import Architecture
from supernet.spaces import nasbench201
from supernet.spaces.nasbench201_notation import canonical

NAMES = [f"{i}<{j}" for i, j in nasbench201.EDGES]
RESNET = "|nor_conv_3x3~0|+|nor_conv_3x3~1|+|skip_connect~0|skip_connect~2|"
EXAMPLE = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"
BEST = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"


def uniform(operation: str) -> str:
    return nasbench201.notation(dict.fromkeys(NAMES, operation))


COUNTS = [  # cell, classes, side, parameters, multiply-accumulates: the benchmark's stand-alone networks
    (RESNET, 10, 32, 559_386, 78_561_920),
    (RESNET, 100, 32, 565_236, 78_567_680),
    (RESNET, 120, 16, 566_536, 19_648_000),
    (uniform("nor_conv_3x3"), 10, 32, 1_531_546, 220_119_680),
    (uniform("nor_conv_3x3"), 120, 16, 1_538_696, 55_037_440),
    (uniform("nor_conv_1x1"), 10, 32, 241_306, 31_376_000),
    (uniform("nor_conv_1x1"), 100, 32, 247_156, 31_381_760),
    (uniform("skip_connect"), 10, 32, 73_306, 7_783_040),
    (uniform("none"), 120, 16, 80_456, 1_953_280),
    (uniform("avg_pool_3x3"), 100, 32, 79_156, 7_788_800),
    (EXAMPLE, 10, 32, 802_426, 113_951_360),
    (EXAMPLE, 100, 32, 808_276, 113_957_120),
    (BEST, 10, 32, 1_288_506, 184_730_240),
    (BEST, 120, 16, 1_295_656, 46_190_080),
]


@pytest.fixture
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(("text", "classes", "side", "parameters", "operations"), COUNTS)
def test_networks_have_the_size_in_the_benchmark(text: str, classes: int, side: int, parameters: int, operations: int) -> None:
    with torch.device("meta"):
        network = nasbench201.network(text, classes=classes)
    assert (params(network), macs(network, (3, side, side))) == (parameters, operations)


@pytest.mark.parametrize(("settings", "weights"), [({}, 1_692_826), ({"affine": True}, 1_699_546), ({"classes": 100}, 1_698_676)])
def test_supernets_have_the_official_size(settings: dict[str, int], weights: int) -> None:
    net = nasbench201.supernet(**settings)
    assert params(net) == weights
    assert list(net.space) == NAMES
    assert net.space.size() == 15_625


def all_cells() -> Iterator[Architecture]:
    for operations in itertools.product(nasbench201.OPERATIONS, repeat=6):
        yield dict(zip(NAMES, operations, strict=True))


def test_every_cell_reads_back_what_it_writes_and_the_benchmark_tells_6466_apart() -> None:
    classes = set()
    for cell in all_cells():
        assert nasbench201.parse(nasbench201.notation(cell)) == cell
        classes.add(canonical(cell))
    assert len(classes) == 6_466


def output(cell: Architecture) -> Tensor:
    network = fill(nasbench201.network(cell, channels=2, cells=1, shape=(3, 8, 8)))
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.zeros_(part.bias)  # so that zeros stay zeros
    return network(inputs(2, 3, 8, 8))


def test_cells_of_one_class_compute_the_same() -> None:
    classes: dict[str, list[Architecture]] = {}
    rng = Random(0)
    for cell in rng.sample(list(all_cells()), 600):
        if "nor_conv_1x1" not in cell.values():  # one kind of convolution, so that sharing weights by shape is enough
            classes.setdefault(canonical(cell), []).append(cell)
    pairs = [cells[:2] for cells in classes.values() if len(cells) > 1]
    assert len(pairs) > 20
    for pair in pairs:
        assert torch.allclose(*map(output, pair))


def test_an_edge_that_is_left_out_is_none() -> None:
    assert nasbench201.parse(RESNET)["2<0"] == nasbench201.parse(RESNET)["3<1"] == "none"


@pytest.mark.parametrize(
    "said",
    [
        " | nor_conv_3x3~0 | +\n | nor_conv_1x1~0 | skip_connect~1 | + | none~0 | avg_pool_3x3~1 | nor_conv_3x3~2 | ",
        "arch 3 = CellStructure(4 nodes with |nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|)",
        "[(('nor_conv_3x3', 0),), (('nor_conv_1x1', 0), ('skip_connect', 1)), (('none', 0), ('avg_pool_3x3', 1), ('nor_conv_3x3', 2))]",
        "nasbench201: [3, 2, 1, 0, 4, 3]",
        "nasbench201: 321043",
    ],
)
def test_a_cell_is_read_as_other_programs_print_it(said: str) -> None:
    read = design(said).notation
    assert read == "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|"


def test_operation_numbers_that_may_mean_two_cells_are_refused_with_both() -> None:
    with pytest.raises(InputError) as refusal:
        design("(3, 2, 1, 0, 4, 3)")
    benchmark, naslib = re.findall(r"\|\S+\|", str(refusal.value))
    assert benchmark == "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|"
    assert naslib == "|nor_conv_1x1~0|+|nor_conv_3x3~0|skip_connect~1|+|none~0|avg_pool_3x3~1|nor_conv_1x1~2|"
    assert nasbench201.notation(design("444444").plan).count("avg_pool_3x3") == 6  # the same either way


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nasbench201: 3 2 1 0 4", "expected 6 numbers from 0 to 4"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2| |none~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|", "2 cells, give one"),
        ("", "not a NAS-Bench-201 cell"),
        ("|none~0|+|none~0|none~1|", "not a NAS-Bench-201 cell"),
        ("|none~0|+|none~0|none~2|+|none~0|none~1|none~2|", "not a NAS-Bench-201 cell"),
        ("|none~0|+|none~0|none~0|+|none~0|none~1|none~2|", "not a NAS-Bench-201 cell"),
        ("|none~0|+||+|none~0|none~1|none~2|", "not a NAS-Bench-201 cell"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|nor_conv3x3~2|", "did you mean 'nor_conv_3x3'"),
    ],
)
def test_a_wrong_string_is_refused(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        nasbench201.parse(text)


def test_an_undecided_cell_is_refused() -> None:
    with pytest.raises(InputError, match="unknown operation"):
        nasbench201.network({"1<0": "none"})


def searched_cell() -> Supernet:
    """One cell of 4 channels, as the supernet builds it."""
    edges = [OneOf({o: build(4, False) for o, build in nasbench201.BUILD.items()}, name=name) for name in NAMES]
    return Supernet(fill(nasbench201.Cell(edges)))


@pytest.mark.usefixtures("float64")
def test_a_searched_cell_gives_the_official_values() -> None:
    mixture = {name: Mix(row.softmax(-1), tuple(range(5))) for name, row in zip(NAMES, sines(6, 5), strict=True)}
    expected = {"sum": 25.81379793, "abs": 275.6263893, "sq": 244.4790623, "wsum": -19.19862026, "last": -0.1137729022}
    assert_signature(searched_cell()(mixture, inputs(2, 4, 8, 8)), {"shape": (2, 4, 8, 8), **expected})


@pytest.mark.usefixtures("float64")
def test_a_cell_under_hard_gumbel_samples_has_the_official_output_and_gradients() -> None:
    """The official gradients without the bare weights that https://github.com/D-X-Y/AutoDL-Projects adds for options that do not run."""
    alphas = sines(6, 5).requires_grad_()
    noise = -torch.log(-torch.log(fractions(30, 3).clamp(1e-6, 1 - 1e-6))).view(6, 5)
    soft = ((alphas.log_softmax(-1) + noise) / 10).softmax(-1)
    drawn: Tensor = soft.argmax(-1)
    assert drawn.tolist() == [2, 2, 1, 4, 0, 0]
    hard = F.one_hot(drawn, 5) + soft - soft.detach()
    out = searched_cell()({n: Mix(w, (int(i),)) for n, w, i in zip(NAMES, hard, drawn, strict=True)}, inputs(2, 4, 8, 8))
    assert_signature(out, {"sum": 28.16072177, "abs": 93.59356723, "sq": 26.15183714, "wsum": -17.54700033})
    (out.flatten() * torch.cos(0.01 * torch.arange(out.numel()))).sum().backward()
    assert_signature(alphas.grad, {"abs": 0.5956685359, "sq": 0.1109479343, "wsum": 0.001321903929, "first3": [0, 0, 0], "last": 0.0})


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 9, 15), (2, 4, 4)])
def test_any_colours_and_sizes_work_and_deriving_keeps_the_output(shape: tuple[int, int, int]) -> None:
    net = nasbench201.supernet(channels=4, cells=1, shape=shape, classes=3)
    architecture, x = net.space.sample(Random(0)), torch.randn(2, *shape)
    plain = derive(net, architecture, x)
    assert torch.equal(plain(x), net.eval()(one_hot(net.space, architecture), x))
    assert nasbench201.network(architecture, channels=4, cells=1, shape=shape, classes=3)(x).shape == (2, 3)
