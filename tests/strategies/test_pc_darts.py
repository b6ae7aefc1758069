"""PC-DARTS against the numbers of its official code, in float64."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from oracles import assert_signature, cosines, fill, inputs, sines
from supernet import Task
from supernet.layers.base import Supernet
from supernet.layers.one_of import OneOf
from supernet.layers.partial import Partial, shuffle
from supernet.mixture import Mix
from supernet.spaces import cell
from supernet.strategies.pc_darts import PCDARTS
from supernet.strategies.rules import strongest

KINDS = ("normal", "reduce")
EDGES = {kind: [f"{kind}.{i}<{j}" for i in range(2, 6) for j in range(i)] for kind in KINDS}
NODES = {kind: [f"{kind}.{i}" for i in range(2, 6)] for kind in KINDS}
BATCH = (inputs(2, 3, 32, 32), torch.tensor([1, 4]))


def official(channels: int = 16) -> PCDARTS:
    """The supernet and alphas of the official example."""
    net = cell.supernet(channels=channels, cells=8, partial=4)
    fill(net)
    strategy = PCDARTS(net, Task([BATCH], [BATCH], loss=F.cross_entropy))
    angles = 0.5 + torch.arange(14, dtype=torch.float64)
    for kind, table, shares in (("normal", sines(14, 8), angles.sin()), ("reduce", cosines(14, 8), angles.cos())):
        for name, row in zip(EDGES[kind], table, strict=True):
            strategy.alphas[name].data.copy_(row)
        for name, part in zip(NODES[kind], shares.split([2, 3, 4, 5]), strict=True):
            strategy.alphas[name].data.copy_(part)
    return strategy


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    ("stride", "expected"),
    [
        (
            1,
            {"shape": (2, 16, 8, 8), "sum": 10.28595261, "abs": 914.5440324, "sq": 578.3744367, "wsum": 3.366627849, "last": -0.2118295503},
        ),
        (
            2,
            {"shape": (2, 16, 4, 4), "sum": 226.0064738, "abs": 279.6115023, "sq": 197.9935802, "wsum": -46.33523016, "last": 0.6213728192},
        ),
    ],
)
def test_mixed_operation_on_a_quarter_of_the_channels_is_the_official_codes(stride: int, expected: dict[str, object]) -> None:
    one = OneOf({o: cell.BUILD[o](4, stride, False, True) for o in cell.OPERATIONS}, name="edge")
    net = Supernet(Partial(one, 16, 4, stride))
    fill(net)
    weights = sines(14, 8)[0].softmax(-1)
    assert_signature(net({"edge": Mix(weights, tuple(range(8)))}, inputs(2, 16, 8, 8)), expected)


def test_channels_are_shuffled_as_in_the_official_code() -> None:
    channels = torch.arange(16.0).view(1, 16, 1, 1)
    assert shuffle(channels, 4).flatten().tolist() == [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15]


@pytest.mark.usefixtures("double")
def test_inputs_of_a_node_are_weighed_by_their_own_softmax() -> None:
    strategy = official(channels=8)
    mixture = strategy.mixture(strategy.relax)
    shares = torch.cat([mixture[n].weights for n in NODES["normal"]])  # type: ignore[misc]
    assert shares.tolist() == pytest.approx(
        [
            0.373303772,
            0.626696228,
            0.627419766,
            0.242829713,
            0.1297505211,
            0.07584850338,
            0.1904516369,
            0.3923986458,
            0.3413012139,
            0.1881931966,
            0.08417722832,
            0.08453520058,
            0.1898621533,
            0.4532322212,
        ]
    )


@cache
def gradients() -> tuple[PCDARTS, Tensor, Tensor]:
    torch.set_default_dtype(torch.float64)
    try:
        strategy = official()
        mixture = strategy.mixture(strategy.relax)
        logits = strategy.supernet(mixture, BATCH[0])
        loss = F.cross_entropy(logits, BATCH[1])
        for alpha, grad in zip(strategy.alphas.values(), torch.autograd.grad(loss, list(strategy.alphas.values())), strict=True):
            alpha.grad = grad
        return strategy, logits, loss
    finally:
        torch.set_default_dtype(torch.float32)


def test_supernet_gives_the_official_logits_and_loss() -> None:
    _, logits, loss = gradients()
    expected = [0.05486326117, 0.220638889, -0.003040036361, -0.01753540903, -0.1225190447]
    expected += [0.122754151, -0.06010070914, -0.0426794805, -0.1714448087, -0.04676072114]
    assert logits[0].tolist() == pytest.approx(expected)
    assert loss.item() == pytest.approx(2.19030668061)


def test_gradients_of_both_kinds_of_alphas_are_the_official_codes() -> None:
    strategy, _, _ = gradients()
    grads = {name: alpha.grad for name, alpha in strategy.alphas.items()}
    normal, reduce = (torch.stack([grads[n] for n in EDGES[kind]]) for kind in KINDS)  # type: ignore[misc]
    first = [0.00204530502, -0.005778436776, -0.003435964506]
    assert_signature(normal, {"sum": 0.0, "abs": 0.1672109952, "sq": 0.0006024911895, "wsum": -0.0003723134044, "first3": first})
    first = [0.000510405355, -0.000383778696, -0.000483049466]
    assert_signature(reduce, {"sum": 0.0, "abs": 0.07837362145, "sq": 0.0001713495861, "wsum": -0.000200699057, "first3": first})
    edges = torch.cat([grads[n] for n in NODES["normal"]])  # type: ignore[misc]
    first = [-0.04244966134, 0.04244966134, -0.02386421212]
    assert_signature(edges, {"sum": 0.0, "abs": 0.1774717107, "sq": 0.00502186937, "wsum": 1.705192997e-05, "first3": first})


def test_genotype_is_the_official_codes() -> None:
    text = (
        "Genotype(normal=[('sep_conv_5x5', 1), ('dil_conv_5x5', 0), ('skip_connect', 0), ('avg_pool_3x3', 1), ('max_pool_3x3', 2), "
        "('dil_conv_3x3', 3), ('skip_connect', 4), ('sep_conv_3x3', 0)], normal_concat=range(2, 6), reduce=[('sep_conv_5x5', 0), "
        "('sep_conv_3x3', 1), ('sep_conv_5x5', 2), ('avg_pool_3x3', 0), ('skip_connect', 0), ('max_pool_3x3', 1), ('sep_conv_3x3', 3), "
        "('avg_pool_3x3', 4)], reduce_concat=range(2, 6))"
    )
    strategy = gradients()[0]
    assert strategy.supernet.space.matters(strategy.architecture()) == cell.to_architecture(cell.parse(text))


def test_ties_go_to_the_first_input_and_edge_weights_decide_otherwise() -> None:
    with torch.device("meta"):
        space = cell.supernet(channels=4).space
    belief = {name: [1 / len(c.options)] * len(c.options) for name, c in space.items()}
    growing = torch.arange(14.0).split([2, 3, 4, 5])
    belief |= {name: part.softmax(-1).tolist() for name, part in zip(NODES["reduce"], growing, strict=True)}
    found = strongest(space, belief)
    assert [found[n] for n in NODES["normal"]] == [(0, 1)] * 4
    assert [found[n] for n in NODES["reduce"]] == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert {found[n] for n in EDGES["normal"]} == {"max_pool_3x3"}


def test_alphas_wait_for_three_tenths_of_the_epochs() -> None:
    net = cell.supernet(channels=4, cells=3, nodes=1, shape=(3, 8, 8), partial=2)
    strategy = PCDARTS(net, Task([BATCH], [BATCH], loss=F.cross_entropy))
    learnt = []
    for done in range(50):
        strategy.epoch(done, 50, {})
        learnt.append(strategy.alphas_learn)
    assert learnt == [False] * 15 + [True] * 35
