"""The supernet against values of https://github.com/quark0/darts, of https://github.com/yuhuixu1993/PC-DARTS (partial channels, edge
weights) and of https://github.com/D-X-Y/AutoDL-Projects (the fixed reduction cell), for the same weights and inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oracles import assert_signature, cosines, fill, inputs, sines
from supernet.layers.base import Supernet
from supernet.layers.one_of import OneOf
from supernet.layers.partial import Partial, shuffle
from supernet.layers.some_of import SomeOf
from supernet.mixture import Mix, Mixture
from supernet.spaces import cell
from supernet.spaces.cell_network import Cell, FixedReductionCell, Inputs

EDGES = [(i, j) for i in range(2, 6) for j in range(i)]
SEGMENTS = ((0, 2), (2, 5), (5, 9), (9, 14))  # the edges of each node
IMAGES, LABELS = (2, 3, 32, 32), [1, 4]


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


class Open(nn.Module):
    """A searched cell on its own."""

    def __init__(self, kind: str, inputs: Inputs, channels: int, partial: int = 1):
        super().__init__()

        def edge(i: int, j: int) -> nn.Module:
            stride = 2 if kind == "reduce" and j < 2 else 1
            branches = {o: cell.BUILD[o](channels // partial, stride, False, True) for o in cell.OPERATIONS}
            one = OneOf(branches, name=f"{kind}.{i}<{j}")
            return one if partial == 1 else Partial(one, channels, partial, stride)

        nodes = [SomeOf([edge(i, j) for j in range(i)], (2, 2), name=f"{kind}.{i}") for i in range(2, 6)]
        self.cell = Cell(inputs, channels, nodes, range(2, 6), affine=False)

    def forward(self, s0: Tensor, s1: Tensor) -> Tensor:
        out: Tensor = self.cell(s0, s1)
        return out


def blend(alphas: Mapping[str, Tensor], betas: Mapping[str, Tensor] | None = None) -> Mixture:
    """The softmax of 14 rows of alphas a kind of cell; the inputs of a node at weight one, or by the softmax of their betas."""
    mixture = {}
    for kind, table in alphas.items():
        for (i, j), row in zip(EDGES, table, strict=True):
            mixture[f"{kind}.{i}<{j}"] = Mix(row.softmax(-1), tuple(range(len(row))))
        for i, (start, end) in enumerate(SEGMENTS, start=2):
            weights = betas[kind][start:end].softmax(-1) if betas else None
            mixture[f"{kind}.{i}"] = Mix(weights, tuple(range(i)))
    return mixture


def table(values: Tensor) -> Tensor:
    return values.clone().requires_grad_()


@pytest.mark.parametrize(
    ("kind", "alphas", "side", "expected"),
    [
        ("normal", sines(14, 8), 8, {"abs": 2495.312323, "sq": 5668.600424, "wsum": -77.57589431, "last": -2.016015426}),
        ("reduce", cosines(14, 8), 4, {"abs": 582.3753853, "sq": 1156.371197, "wsum": -17.60586569, "last": -4.386848806}),
    ],
)
def test_a_searched_cell_gives_the_official_values(kind: str, alphas: Tensor, side: int, expected: dict[str, float]) -> None:
    net = Supernet(fill(Open(kind, Inputs(12, 12, False), 4)))
    out = net(blend({kind: alphas}), inputs(2, 12, 8, 8), inputs(2, 12, 8, 8))
    assert_signature(out, {"shape": (2, 16, side, side), "sum": 0.0, **expected})


def test_a_cell_behind_a_reduction_halves_its_first_input() -> None:
    net = Supernet(fill(Open("normal", Inputs(12, 12, True), 4)))
    out = net(blend({"normal": sines(14, 8)}), inputs(2, 12, 16, 16), inputs(2, 12, 8, 8))
    assert out.shape == (2, 16, 8, 8)


@pytest.mark.parametrize("share", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_supernet_gives_the_official_logits_loss_and_gradients(share: bool) -> None:
    net = Supernet(fill(cell.supernet(channels=4).model), share=share)
    alphas = {"normal": table(sines(14, 8)), "reduce": table(cosines(14, 8))}
    logits = net(blend(alphas), inputs(*IMAGES))
    first = [-0.5880791217, -0.6178999811, 0.1274898579, 0.3176642821, -0.01074241572]
    assert logits[0, :5].tolist() == pytest.approx(first, rel=1e-8)
    assert logits[1, -2:].tolist() == pytest.approx([0.4876240504, 0.5754185924], rel=1e-8)
    loss = F.cross_entropy(logits, torch.tensor(LABELS))
    assert loss.item() == pytest.approx(2.86327623723, rel=1e-10)
    loss.backward()
    expected = {"abs": 2.289474787, "sq": 0.1033938707, "wsum": 0.005200205748, "last": -0.004297994425}
    assert_signature(alphas["normal"].grad, {"shape": (14, 8), "sum": 0.0, **expected})
    expected = {"abs": 1.881182042, "sq": 0.08744794362, "wsum": 0.00569800346, "last": 0.002174767319}
    assert_signature(alphas["reduce"].grad, {"shape": (14, 8), "sum": 0.0, **expected})


class OneEdge(nn.Module):
    def __init__(self, stride: int):
        super().__init__()
        one = OneOf({o: cell.BUILD[o](4, stride, False, True) for o in cell.OPERATIONS}, name="edge")
        self.edge = Partial(one, 16, 4, stride)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.edge(x)
        return out


@pytest.mark.parametrize(
    ("stride", "expected"),
    [
        (1, {"shape": (2, 16, 8, 8), "sum": 10.28595261, "abs": 914.5440324, "sq": 578.3744367, "wsum": 3.366627849}),
        (2, {"shape": (2, 16, 4, 4), "sum": 226.0064738, "abs": 279.6115023, "sq": 197.9935802, "wsum": -46.33523016}),
    ],
)
def test_an_edge_on_a_quarter_of_the_channels_gives_the_official_values(stride: int, expected: dict[str, Any]) -> None:
    net = Supernet(fill(OneEdge(stride)))
    mixture = {"edge": Mix(sines(14, 8)[0].softmax(-1), tuple(range(8)))}
    assert_signature(net(mixture, inputs(2, 16, 8, 8)), expected)


def test_the_shuffle_interleaves_the_groups() -> None:
    channels = shuffle(torch.arange(16.0).view(1, 16, 1, 1), 4).flatten().tolist()
    assert channels == [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15]


def test_a_cell_with_partial_channels_and_edge_weights_gives_the_official_values() -> None:
    net = Supernet(fill(Open("normal", Inputs(48, 48, False), 16, partial=4)))
    betas = {"normal": torch.sin(0.5 + torch.arange(14))}
    out = net(blend({"normal": sines(14, 8)}, betas), inputs(2, 48, 8, 8), inputs(2, 48, 8, 8, salt=1))
    expected = {"abs": 3630.789835, "sq": 2744.210687, "wsum": 13.68678438, "last": 0.2878470747}
    assert_signature(out, {"shape": (2, 64, 8, 8), "sum": 0.0, **expected})


def test_the_supernet_with_partial_channels_gives_the_official_loss_and_gradients() -> None:
    net = Supernet(fill(cell.supernet(partial=4).model))
    alphas = {"normal": table(sines(14, 8)), "reduce": table(cosines(14, 8))}
    betas = {"normal": table(torch.sin(0.5 + torch.arange(14))), "reduce": table(torch.cos(0.5 + torch.arange(14)))}
    logits = net(blend(alphas, betas), inputs(*IMAGES))
    assert logits[0, :3].tolist() == pytest.approx([0.05486326117, 0.220638889, -0.003040036361], rel=1e-8)
    loss = F.cross_entropy(logits, torch.tensor(LABELS))
    assert loss.item() == pytest.approx(2.19030668061, rel=1e-10)
    loss.backward()
    expected = {"abs": 0.1672109952, "sq": 0.0006024911895, "wsum": -0.0003723134044, "last": 0.0006055625091}
    assert_signature(alphas["normal"].grad, {"shape": (14, 8), **expected})
    expected = {"abs": 0.07837362145, "sq": 0.0001713495861, "wsum": -0.000200699057, "last": -0.0002988642638}
    assert_signature(alphas["reduce"].grad, {"shape": (14, 8), **expected})
    expected = {"abs": 0.1774717107, "sq": 0.00502186937, "wsum": 1.705192997e-05, "last": -0.003001144436}
    assert_signature(betas["normal"].grad, {"shape": (14,), **expected})


@pytest.mark.parametrize(
    ("shrink", "expected"),
    [
        (False, {"abs": 802.8023136, "sq": 1008.420715, "wsum": 11.03386985, "last": -0.4388011158}),
        (True, {"abs": 806.3726555, "sq": 1008.417908, "wsum": -0.9545790362, "last": -0.4388011158}),
    ],
)
def test_the_fixed_reduction_cell_gives_the_official_values(shrink: bool, expected: dict[str, float]) -> None:
    fixed = fill(FixedReductionCell(Inputs(24, 24, shrink), 8))
    side = 16 if shrink else 8
    out = fixed(inputs(2, 24, side, side), inputs(2, 24, 8, 8, salt=1))
    assert sum(p.numel() for p in fixed.parameters()) == 736
    assert_signature(out, {"shape": (2, 32, 4, 4), "sum": -12.64844593, **expected})
