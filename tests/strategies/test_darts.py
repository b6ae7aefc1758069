"""DARTS against its official code (float64) and against its own definition."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from oracles import assert_signature, cosines, fill, inputs, sines
from supernet import InputError, OneOf, Supernet, Task
from supernet.genotype import Genotype
from supernet.spaces import cell
from supernet.strategies.darts import DARTS
from supernet.strategies.rules import strongest
from supernet.strategies.weights import Weights

EDGES = {kind: [f"{kind}.{i}<{j}" for i in range(2, 6) for j in range(i)] for kind in ("normal", "reduce")}
TRAIN = (inputs(4, 3, 16, 16), torch.tensor([1, 4, 7, 0]))
VALIDATION = (inputs(4, 3, 16, 16, salt=5.0), torch.tensor([3, 6, 9, 2]))


def official(momentum: bool = False, **settings: Any) -> DARTS:
    """The supernet, alphas and batches of the oracle O4."""
    net = cell.supernet(channels=4, cells=3, shape=(3, 16, 16))
    fill(net)
    strategy = DARTS(net, Task([TRAIN], [VALIDATION], loss=F.cross_entropy), **settings)
    for kind, table in (("normal", sines(14, 8)), ("reduce", cosines(14, 8))):
        for name, row in zip(EDGES[kind], table, strict=True):
            strategy.alphas[name].data.copy_(row)
    return strategy


def gradient(strategy: DARTS, kind: str = "normal") -> torch.Tensor:
    return torch.stack([strategy.alphas[n].grad for n in EDGES[kind]])  # type: ignore[arg-type]


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    ("settings", "absolute", "weighted", "first"),
    [
        ({"order": 1}, 1.421405343, 0.003683595002, [-0.02385076013, 0.08772584727, 0.03275897581]),
        ({"order": 2}, 2.813744032, -0.00282005867, [-0.05088785248, 0.06539021296, 0.1022178501]),
        ({"order": 2, "hessian": "exact"}, 1.545778188, 0.004719299458, [-0.0216776804, 0.01385620408, 0.05101234308]),
    ],
)
def test_gradient_of_the_alphas_is_the_official_codes(
    settings: dict[str, Any], absolute: float, weighted: float, first: list[float]
) -> None:
    strategy = official(**settings)
    strategy.alpha_step(TRAIN, VALIDATION)
    assert_signature(gradient(strategy), {"abs": absolute, "wsum": weighted, "first3": first})


@pytest.mark.usefixtures("double")
def test_second_order_gradient_of_the_reduction_cell_is_the_official_codes() -> None:
    strategy = official(order=2)
    strategy.alpha_step(TRAIN, VALIDATION)
    assert_signature(gradient(strategy, "reduce"), {"abs": 2.36873874, "wsum": 0.002830188369, "sq": 0.1487643233})


@pytest.mark.usefixtures("double")
def test_exact_second_order_looks_ahead_with_the_momentum() -> None:
    strategy = official(order=2, hessian="exact")
    for p in strategy.weights.parameters:
        strategy.weights.optimiser.state[p]["momentum_buffer"] = 0.01 * fill(nn.ParameterList([torch.empty(p.shape)]))[0].data
    strategy.alpha_step(TRAIN, VALIDATION)
    assert_signature(
        gradient(strategy), {"abs": 1.542346964, "wsum": 0.004753538402, "first3": [-0.0215627778, 0.01358946156, 0.05144137999]}
    )


@pytest.mark.usefixtures("double")
def test_alphas_after_one_adam_step_are_the_official_codes() -> None:
    strategy = official(order=1)
    strategy.alpha_step(TRAIN, VALIDATION)
    after = torch.stack([strategy.alphas[n] for n in EDGES["normal"]])
    assert_signature(after, {"sum": 0.05292314401, "abs": 71.8059107, "sq": 56.53337732, "wsum": 0.5413060627, "last": -0.8902956042})


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("hessian", [pytest.param("exact", marks=pytest.mark.slow), "finite-difference"])
def test_second_order_leaves_the_weights_as_they_were(hessian: str) -> None:
    strategy = official(order=2, hessian=hessian)
    before = [p.detach().clone() for p in strategy.weights.parameters]
    strategy.alpha_step(TRAIN, VALIDATION)
    assert all(torch.equal(p, b) for p, b in zip(strategy.weights.parameters, before, strict=True))


class Smooth(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = OneOf({"a": nn.Sequential(nn.Linear(4, 6), nn.Tanh()), "b": nn.Sequential(nn.Linear(4, 6), nn.Sigmoid())})
        self.two = OneOf({"a": nn.Linear(6, 3), "b": nn.Sequential(nn.Linear(6, 3), nn.Tanh())})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.two(self.one(x))
        return out


def smooth(**settings: Any) -> tuple[DARTS, Any, Any]:
    torch.manual_seed(3)
    train, validation = ((torch.randn(8, 4), torch.randint(0, 3, (8,))) for _ in range(2))
    strategy = DARTS(Supernet(Smooth()), Task([train], [validation], loss=F.cross_entropy), order=2, **settings)
    for p in strategy.alphas.values():
        p.data.normal_()
    return strategy, train, validation


@pytest.mark.usefixtures("double")
def test_finite_difference_equals_exact_on_a_smooth_network() -> None:
    found = []
    for settings in ({"hessian": "exact"}, {}):
        torch.manual_seed(0)
        strategy, train, validation = smooth(**settings)
        strategy.alpha_step(train, validation)
        found.append(torch.cat([p.grad for p in strategy.alphas.values()]))  # type: ignore[misc]
    assert (found[0] - found[1]).norm() / found[0].norm() < 1e-4


@pytest.mark.usefixtures("double")
def test_exact_second_order_is_the_slope_of_the_loss_after_one_step() -> None:
    """d L_val(w - lr dL_train/dw) / d alpha, by differences of the whole definition."""
    strategy, train, validation = smooth(hessian="exact")
    strategy.alpha_step(train, validation)
    name = next(iter(strategy.alphas))
    slope = strategy.alphas[name].grad

    def ahead(shift: float) -> float:
        twin, _, _ = smooth(hessian="exact")
        twin.alphas[name].data[0] += shift
        loss = twin.objective(train, twin.mixture(twin.relax))
        twin.weights.apply(torch.autograd.grad(loss, twin.weights.parameters))
        return float(twin.objective(validation, twin.mixture(twin.relax)).detach())

    torch.manual_seed(0)
    measured = (ahead(1e-5) - ahead(-1e-5)) / 2e-5
    assert slope is not None and float(slope[0]) == pytest.approx(measured, rel=1e-5)


@pytest.mark.usefixtures("double")
def test_each_phase_asks_only_for_what_it_updates() -> None:
    strategy = official(order=1)
    strategy.alpha_step(TRAIN, VALIDATION)
    assert all(p.grad is None for p in strategy.weights.parameters)
    for p in strategy.alphas.values():
        p.grad = None
    strategy.weight_step([TRAIN])
    assert all(p.grad is None for p in strategy.alphas.values())
    assert all(p.grad is not None for p in strategy.weights.parameters)


def test_alphas_are_stepped_before_weights_and_only_after_the_warm_up() -> None:
    torch.manual_seed(0)
    batches = [(torch.randn(4, 4), torch.randint(0, 3, (4,))) for _ in range(2)]
    strategy = DARTS(Supernet(Smooth()), Task(batches, batches, loss=F.cross_entropy), warmup=1)
    before = {n: p.detach().clone() for n, p in strategy.alphas.items()}
    strategy.epoch(0, 3, {})
    strategy.step(strategy.task.data)
    assert all(torch.equal(p, before[n]) for n, p in strategy.alphas.items())
    strategy.epoch(1, 3, {})
    strategy.step(strategy.task.data)
    assert all(not torch.equal(p, before[n]) for n, p in strategy.alphas.items())


def test_a_single_level_step_moves_alphas_and_weights_by_one_training_batch() -> None:
    torch.manual_seed(0)
    train, other = ((torch.randn(4, 4), torch.randint(0, 3, (4,))) for _ in range(2))
    strategy = DARTS(Supernet(Smooth()), Task([train], [other], loss=F.cross_entropy), single_level=True)
    loss = strategy.objective(train, strategy.mixture(strategy.relax))
    expected = torch.autograd.grad(loss, [*strategy.alphas.values(), *strategy.weights.parameters])
    strategy.step(strategy.task.data)
    found = [p.grad for p in (*strategy.alphas.values(), *strategy.weights.parameters)]
    assert all(torch.allclose(a, b) for a, b in zip(expected[:2], found[:2], strict=True))  # weights' are clipped together
    assert torch.allclose(
        torch.cat([g.flatten() for g in expected[2:]]).norm(), torch.cat([g.flatten() for g in found[2:]]).norm(), rtol=1e-5
    )  # type: ignore[union-attr]
    assert strategy.task.data.state_dict()["validation"] == {"turn": 0, "at": 0}


def test_inner_steps_take_several_weight_steps_for_one_alpha_step() -> None:
    torch.manual_seed(0)
    batches = [(torch.randn(4, 4), torch.randint(0, 3, (4,))) for _ in range(6)]
    strategy = DARTS(Supernet(Smooth()), Task(batches, batches, loss=F.cross_entropy), inner_steps=3)
    strategy.step(strategy.task.data)
    state = strategy.task.data.state_dict()
    assert (state["train"]["at"], state["validation"]["at"]) == (3, 1)
    assert strategy.steps(strategy.task.data) == 2


@pytest.mark.usefixtures("double")
def test_accumulated_steps_are_the_step_of_the_whole_batch() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(8, 4), torch.randint(0, 3, (8,))
    weights = []
    for batches, accumulate in (([(x, y)], 1), ([(x[:4], y[:4]), (x[4:], y[4:])], 2)):
        torch.manual_seed(1)
        net = Supernet(Smooth())
        strategy = DARTS(net, Task(batches, [(x, y)], loss=F.cross_entropy), weights=partial(Weights, accumulate=accumulate), warmup=9)
        strategy.step(strategy.task.data)
        weights.append(torch.cat([p.detach().flatten() for p in net.parameters()]))
    assert torch.allclose(*weights)


@pytest.mark.usefixtures("double")
def test_accumulated_single_level_steps_are_the_step_of_the_whole_batch() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(8, 4), torch.randint(0, 3, (8,))
    found = []
    for batches, accumulate in (([(x, y)], 1), ([(x[:4], y[:4]), (x[4:], y[4:])], 2)):
        torch.manual_seed(1)
        net, how = Supernet(Smooth()), {"accumulate": accumulate}
        strategy = DARTS(net, Task(batches, loss=F.cross_entropy), weights=how, single_level=True, alpha_betas=(0.5, 0.9))
        strategy.step(strategy.task.data)
        assert strategy.steps(strategy.task.data) == 1
        found.append(torch.cat([p.detach().flatten() for p in (*net.parameters(), *strategy.alphas.values())]))
    assert torch.allclose(*found)


@pytest.mark.parametrize("hessian", ["finite-difference", "exact"])
def test_looking_ahead_leaves_the_batch_statistics_alone(hessian: str) -> None:
    torch.manual_seed(0)
    net = Supernet(nn.Sequential(nn.BatchNorm1d(4), Smooth()))
    batch = (torch.randn(8, 4), torch.randint(0, 3, (8,)))
    strategy = DARTS(net, Task([batch], [batch], loss=F.cross_entropy), order=2, hessian=hessian)
    before = {n: b.clone() for n, b in net.named_buffers()}
    strategy.alpha_step(batch, batch)
    assert all(torch.equal(b, before[n]) for n, b in net.named_buffers())
    strategy.step(strategy.task.data)
    counted = next(m for m in net.modules() if isinstance(m, nn.BatchNorm1d))
    assert int(counted.num_batches_tracked) == 1 and not torch.equal(counted.running_mean, before["model.0.running_mean"])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"schedule": lambda done: 1.0, "lr_min": 0.001}, "lr_min would have no effect"),
        ({"optimiser": torch.optim.Adam, "lr": 0.025}, "lr would have no effect"),
        ({"optimiser": torch.optim.Adam, "nesterov": False}, "nesterov would have no effect"),
        ({"momentum": 0.0, "nesterov": True}, "set nesterov to false"),
        ({"lr": 0.0}, "learning rate must be above 0"),
        ({"lr": float("nan")}, "learning rate must be above 0"),
        ({"lr_min": -1.0}, "lr_min at least 0"),
        ({"decay": -1.0}, "decay at least 0"),
        ({"momentum": 1.0}, "below 1"),
        ({"clip": 0.0}, "clip must be above 0"),
        ({"accumulate": 0}, "accumulate must be"),
    ],
)
def test_training_settings_that_cannot_act_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Weights(nn.Linear(1, 1), **settings)


def test_lowest_rate_of_another_optimiser_is_the_one_that_is_given() -> None:
    weights = Weights(nn.Linear(1, 1), optimiser=partial(torch.optim.Adam, lr=0.01), lr_min=0.002)
    weights.epoch(1, 1)
    assert weights.lr == pytest.approx(0.002)


def test_schedule_is_the_papers() -> None:
    weights = Weights(nn.Linear(1, 1))
    rates = []
    for epoch in (0, 1, 25, 49):
        weights.epoch(epoch, 50)
        rates.append(weights.lr)
    assert rates == pytest.approx([0.025, 0.0249763207411, 0.013, 0.00102367925886], rel=1e-10)
    plain = Weights(nn.Linear(1, 1), lr_min=0.0)
    plain.epoch(599, 600)
    assert plain.lr == pytest.approx(1.71346907166e-07, rel=1e-9)


def derived(normal: torch.Tensor, reduce: torch.Tensor) -> Genotype:
    space = cell.supernet(channels=4, cells=3).space
    belief = {
        n: r.softmax(-1).tolist() for kind, t in (("normal", normal), ("reduce", reduce)) for n, r in zip(EDGES[kind], t, strict=True)
    }
    return cell.to_genotype(strongest(space, belief))


@pytest.mark.usefixtures("double")
def test_derivation_breaks_ties_and_leaves_out_none_as_the_official_code() -> None:
    reduce = cosines(14, 8)
    reduce[:, 0] += 5.0
    found = derived(torch.zeros(14, 8), reduce)
    assert found.normal == tuple((("max_pool_3x3", 0), ("max_pool_3x3", 1)) for _ in range(4))
    expected = [
        ("sep_conv_3x3", 1),
        ("sep_conv_5x5", 0),
        ("avg_pool_3x3", 0),
        ("sep_conv_5x5", 2),
        ("skip_connect", 0),
        ("sep_conv_3x3", 3),
    ]
    expected += [("sep_conv_3x3", 3), ("avg_pool_3x3", 0)]
    assert found.reduce is not None
    assert [set(node) for node in found.reduce] == [set(expected[i : i + 2]) for i in (0, 2, 4, 6)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"order": 3}, "order must be 1 or 2"),
        ({"hessian": "magic"}, "hessian must be"),
        ({"order": 2, "single_level": True}, "excludes single_level"),
        ({"order": 2, "weights": partial(Weights, optimiser=torch.optim.Adam)}, "rule of SGD"),
        ({"inner_steps": 0}, "inner_steps must be"),
        ({"inner_steps": 2, "single_level": True}, "inner_steps would have no effect"),
        ({"alphas_on": "validation", "single_level": True}, "alphas_on would have no effect"),
        ({"epsilon": 0.1}, "epsilon would have no effect"),
        ({"order": 2, "hessian": "exact", "epsilon": 0.1}, "epsilon would have no effect"),
        ({"hessian": "exact"}, "hessian would have no effect"),
        ({"alpha_lr": -1.0}, "alpha_lr must be above 0"),
        ({"warmup": -1}, "warmup must be at least 0"),
        ({"alphas_on": "test"}, "alphas_on must be"),
    ],
)
def test_settings_that_exclude_each_other_are_refused(settings: dict[str, Any], message: str) -> None:
    batch = [(torch.randn(2, 4), torch.tensor([0, 1]))]
    with pytest.raises(InputError, match=message):
        DARTS(Supernet(Smooth()), Task(batch, batch, loss=F.cross_entropy), **settings)


def test_alphas_need_validation_data() -> None:
    task = Task([(torch.randn(2, 4), torch.tensor([0, 1]))], loss=F.cross_entropy)
    with pytest.raises(InputError, match="validation loader"):
        DARTS(Supernet(Smooth()), task)
    DARTS(Supernet(Smooth()), task, alphas_on="train").step(task.data)
