"""FairDARTS, beta-DARTS, SDARTS, DARTS- and DrNAS against the numbers of their official codes (float64), and their schedules."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oracles import assert_signature, cosines, fill, inputs, sines
from supernet import InputError, OneOf, Supernet, Task, derive, relaxations
from supernet.layers.auxiliary_skip import AuxiliarySkip
from supernet.layers.partial import Partial
from supernet.mixture import Mix, one_hot
from supernet.space import Choice, SearchSpace
from supernet.spaces import cell, space
from supernet.strategies.darts import DARTS
from supernet.strategies.darts_minus import DARTSMinus
from supernet.strategies.dr_nas import DrNAS
from supernet.strategies.fair_darts import FairDARTS
from supernet.strategies.gradient import Gradient
from supernet.strategies.regularisers import beta_decay, dirichlet_kl, zero_one
from supernet.strategies.rules import confident, leading
from supernet.strategies.smooth_darts import SDARTS
from supernet.strategies.snas import SNAS

KINDS = ("normal", "reduce")
EDGES = {kind: [f"{kind}.{i}<{j}" for i in range(2, 6) for j in range(i)] for kind in KINDS}


class Rows(nn.Module):
    """As many choices as rows, each of as many options as columns."""

    def __init__(self, rows: int, columns: int):
        super().__init__()
        self.rows = nn.ModuleList(OneOf({str(i): nn.Linear(4, 4) for i in range(columns)}) for _ in range(rows))

    def forward(self, x: Tensor) -> Tensor:
        for row in self.rows:
            x = row(x)
        return x


def rows(table: Tensor, method: Any = DARTS, **settings: Any) -> Any:
    """A strategy whose alphas are the rows of ``table``."""
    torch.manual_seed(0)
    batch = (torch.randn(4, 4).to(table.dtype), torch.tensor([1, 0, 2, 3]))
    task = Task([batch] * 2, [batch], loss=F.cross_entropy)
    strategy = method(Supernet(Rows(*table.shape)).to(table.dtype), task, **settings)
    for alpha, row in zip(strategy.alphas.values(), table, strict=True):
        alpha.data.copy_(row)
    return strategy


def gradient(strategy: Gradient, loss: Tensor) -> Tensor:
    return torch.stack(torch.autograd.grad(loss, list(strategy.alphas.values())))


@pytest.mark.usefixtures("double")
def test_beta_decay_and_its_gradient_are_the_official_codes_and_grow_over_the_search() -> None:
    strategy = rows(sines(6, 5), regularise=("beta",))
    strategy.epoch(100, 100, {})
    value = beta_decay(strategy, weight=1.0)
    assert value.item() == pytest.approx(1.84912922825)
    first = [0.05680392478, 0.0607903989, 0.02819809563]
    expected = {"sum": 1.0, "abs": 1.0, "sq": 0.04710420231, "wsum": 0.9860768332, "first3": first, "last": 0.008935417968}
    assert_signature(gradient(strategy, value), expected)
    weights = []
    for done in (0, 50, 99):
        strategy.epoch(done, 100, {})
        weights.append(beta_decay(strategy).item() / value.item())
    assert weights == pytest.approx([0.0, 25.0, 49.5])


@pytest.mark.usefixtures("double")
def test_zero_one_loss_is_the_official_codes() -> None:
    strategy = rows(torch.cat([sines(14, 7), cosines(14, 7)]), FairDARTS)
    assert zero_one(strategy, weight=1.0).item() == pytest.approx(-0.02776880027)
    total = F.cross_entropy(inputs(4, 10), torch.tensor([1, 4, 7, 0])) + zero_one(strategy)
    assert total.item() == pytest.approx(2.544819768)


@pytest.mark.usefixtures("double")
def test_divergence_from_the_flat_dirichlet_is_the_official_codes() -> None:
    strategy = rows(sines(14, 7), DrNAS)
    concentrations = torch.stack([F.elu(p) + 1 for p in strategy.alphas.values()])
    assert_signature(concentrations, {"sum": 108.5829218, "sq": 155.3383626, "wsum": 92.29402693, "last": 0.5636161344})
    assert dirichlet_kl(strategy, weight=1.0).item() == pytest.approx(31.69571927)
    assert dirichlet_kl(rows(sines(1, 7), DrNAS), weight=1.0).item() == pytest.approx(2.203117407)


def test_a_regulariser_joins_any_strategy_of_the_family_by_name() -> None:
    table = torch.zeros(3, 4)
    for method in (DARTS, SDARTS, SNAS, DrNAS):
        plain, pulled = rows(table, method), rows(table, method, regularise=(("zero-one", -1e6),))
        found = []
        for strategy in (plain, pulled):
            strategy.epoch(1, 2, {})
            next(iter(strategy.alphas.values())).data[0] = 1.0
            strategy.step(strategy.task.data)
            found.append(next(iter(strategy.alphas.values()))[0].item())
        assert found[1] < 1.0  # drawn to a half open gate
    with pytest.raises(InputError, match="did you mean 'zero-one'"):
        rows(table, regularise=("zero_one",))


def test_second_order_keeps_the_regulariser() -> None:
    strategy = rows(torch.zeros(2, 3), order=2, regularise=(lambda s: 1e6 * next(iter(s.alphas.values()))[0],))
    strategy.epoch(0, 2, {})
    strategy.step(strategy.task.data)
    assert next(iter(strategy.alphas.values())).grad[0] == pytest.approx(1e6, rel=1e-3)


def space_of(table: Tensor, least: int) -> tuple[SearchSpace, dict[str, list[float]]]:
    """The normal cell with seven operations, and gates sigmoid(3 ``table``)."""
    with torch.device("meta"):
        space = cell.supernet(channels=4, cells=3, operations="s5", least_inputs=least).space
    normal = SearchSpace(c for name, c in space.items() if name.startswith("normal"))
    return normal, dict(zip(EDGES["normal"], (3 * table).sigmoid().tolist(), strict=True))


@pytest.mark.parametrize("least", [1, 2])
def test_derivation_of_fair_darts_is_the_official_codes(least: int) -> None:
    space, belief = space_of(sines(14, 7), least)
    found = space.matters(confident(space, belief, 0.85))
    edges = {(name, found[name]) for name in found if "<" in name}
    assert edges == {
        ("normal.2<1", "dil_conv_5x5"),
        ("normal.2<0", "avg_pool_3x3"),
        ("normal.3<2", "sep_conv_5x5"),
        ("normal.3<1", "dil_conv_3x3"),
        ("normal.4<3", "avg_pool_3x3"),
        ("normal.4<2", "skip_connect"),
        ("normal.5<1", "dil_conv_5x5"),
        ("normal.5<4", "sep_conv_5x5"),
    }


def test_gates_below_the_threshold_are_dropped_as_far_as_the_node_allows() -> None:
    table = torch.full((14, 7), -3.0)
    table[1, 2] = 3.0  # one open gate, into node 2 from state 1
    for least, expected in ((1, (1,)), (2, (0, 1))):
        space, belief = space_of(table, least)
        found = confident(space, belief, 0.85)
        assert found["normal.2"] == expected
        assert space.check(found)
        assert {len(found[f"normal.{i}"]) for i in range(3, 6)} == {least}  # type: ignore[arg-type]


def test_gates_of_fair_darts_begin_half_open() -> None:
    strategy = rows(torch.zeros(2, 3), FairDARTS)
    assert strategy.belief() == {name: [0.5] * 3 for name in strategy.alphas}
    assert rows(torch.zeros(2, 3), FairDARTS).mixture(strategy.relax)["rows.0"].weights.tolist() == [0.5] * 3


@pytest.mark.usefixtures("double")
def test_dr_nas_keeps_the_options_that_the_official_code_keeps() -> None:
    space = SearchSpace(Choice(f"{e}", tuple(range(7))) for e in range(14))
    kept = leading(space, {str(e): row.softmax(-1).tolist() for e, row in enumerate(sines(14, 7))}, 4)
    expected = "0126 0156 0456 0456 2345 2345 1234 0123 0126 0126 0156 0456 3456 2345"
    assert ["".join(map(str, o)) for o in kept.values()] == expected.split()


@pytest.mark.usefixtures("double")
def test_partial_operation_of_dr_nas_is_the_official_codes() -> None:
    one = OneOf({o: cell.BUILD[o](4, 1, False, True) for o in cell.OPERATIONS[1:]}, name="edge")
    net = Supernet(Partial(one, 16, 4))
    fill(net)
    out = net({"edge": Mix(sines(14, 7)[0].softmax(-1), tuple(range(7)))}, inputs(2, 16, 8, 8))
    assert_signature(out, {"sum": 10.98364722, "abs": 952.7710059, "sq": 628.7781792, "wsum": 8.98394557, "last": -0.2118295503})


def test_dirichlet_draws_have_the_mean_of_the_concentration_and_leave_the_global_generator_alone() -> None:
    logits, rng = torch.tensor([1.0, 0.0, -1.0], requires_grad=True), torch.Generator().manual_seed(0)
    before = torch.get_rng_state()
    draws = torch.stack([relaxations.dirichlet(logits, rng).weights for _ in range(3000)])  # type: ignore[misc]
    assert torch.equal(torch.get_rng_state(), before)
    concentration = F.elu(logits.detach()) + 1
    assert torch.allclose(draws.mean(0), concentration / concentration.sum(), atol=0.02)
    assert not torch.equal(draws[0], draws[1])
    (slope,) = torch.autograd.grad(draws[:, 0].mean(), logits)
    total = concentration.sum()
    exact = (total - concentration[0]) / total**2  # of the mean, by the concentration of its own option
    assert float(slope[0]) == pytest.approx(float(exact), abs=0.03)


SIZES = {"channels": 12, "cells": 3, "nodes": 2, "shape": (3, 8, 8), "classes": 3, "operations": "s5"}


def test_progressive_dr_nas_widens_the_weights_and_keeps_the_alphas_of_what_is_left() -> None:
    torch.manual_seed(0)
    batch = (torch.randn(2, 3, 8, 8), torch.tensor([0, 2]))
    strategy = DrNAS(
        cell.supernet(**SIZES, partial=6), Task([batch], [batch], loss=F.cross_entropy), build=lambda **s: cell.supernet(**{**SIZES, **s})
    )
    strategy.epoch(0, 2, {})
    strategy.step(strategy.task.data)
    old, alphas = strategy.supernet, {n: p.detach().clone() for n, p in strategy.alphas.items()}
    belief = strategy.belief()
    strategy.epoch(1, 2, {})
    space = strategy.supernet.space
    assert {n: c.options for n, c in space.items() if c.pick is None} == leading(old.space, belief, 4)
    for name, alpha in strategy.alphas.items():
        places = [old.space[name].options.index(o) for o in space[name].options]
        assert torch.equal(alpha, alphas[name][places])
    widths = set()
    before = old.restrict(strategy.options).state_dict()
    for name, tensor in strategy.supernet.state_dict().items():
        if tensor.dim() == 4 and tensor.shape != before[name].shape:
            widths.add((before[name].shape[0], tensor.shape[0]))
            inside = tensor[tuple(slice(n) for n in before[name].shape)]
            assert torch.equal(inside, before[name])
            assert all(any(torch.equal(plane, kept) for kept in tensor[: len(before[name])]) for plane in tensor)
        elif tensor.shape == before[name].shape:
            assert torch.equal(tensor, before[name])
    assert (2, 3) in widths


@pytest.mark.usefixtures("double")
def test_adversarial_blend_of_sdarts_is_the_official_codes() -> None:
    net = cell.supernet(channels=4, cells=3, shape=(3, 16, 16), operations="s2")
    fill(net)
    batch = (inputs(4, 3, 16, 16), torch.tensor([1, 4, 7, 0]))
    strategy = SDARTS(net, Task([batch], [batch], loss=F.cross_entropy), attack="adversarial", random_start=False)
    for kind, table in (("normal", sines(14, 2)), ("reduce", cosines(14, 2))):
        for name, row in zip(EDGES[kind], table, strict=True):
            strategy.alphas[name].data.copy_(row)
    buffers = {n: b.clone() for n, b in net.named_buffers()}
    worst = strategy.worst(batch, 0.1)
    normal, reduce = (torch.stack([worst[n].weights for n in EDGES[kind]]) for kind in KINDS)  # type: ignore[misc]
    first = [0.4885122008, 0.5114877992, 0.6426798134]
    assert_signature(normal, {"sum": 14.0, "sq": 7.739654976, "wsum": 13.82872635, "first3": first, "last": 0.2350415196})
    first = [0.6507367476, 0.3492632524, 0.4435418418]
    assert_signature(reduce, {"sum": 14.0, "sq": 7.319285151, "wsum": 13.82761839, "first3": first, "last": 0.3904716914})
    assert net.training
    assert all(torch.equal(b, buffers[n]) for n, b in net.named_buffers())
    with torch.no_grad():
        assert float(strategy.objective(batch, worst)) == pytest.approx(2.052661054)
    assert strategy.alphas[EDGES["normal"][0]].tolist() == pytest.approx([0.8414709848, 0.9092974268])


@pytest.mark.parametrize("attack", ["random", "adversarial"])
def test_sdarts_moves_the_blend_of_the_weight_step_alone_and_within_the_radius(attack: str) -> None:
    strategy = rows(torch.zeros(3, 4), SDARTS, attack=attack)
    strategy.epoch(25, 50, {})
    assert strategy.radius == pytest.approx(0.165)
    batch = next(iter(strategy.task.data.each("train")))
    moved = strategy.weight_mixture(batch)
    for name, mix in moved.items():
        assert float(mix.weights.sum()) == pytest.approx(1.0)
        assert 0.0 < float((mix.weights - 0.25).abs().max()) < 0.165 / (1 - 4 * 0.165) and not mix.weights.requires_grad
        assert strategy.mixture(strategy.relax)[name].weights.tolist() == [0.25] * 4
    radii = []
    for done in (0, 49):
        strategy.epoch(done, 50, {})
        radii.append(strategy.radius)
    assert radii == pytest.approx([0.03, 0.2946])


def test_weights_outside_the_simplex_are_clipped_and_scaled() -> None:
    assert relaxations.simplex(torch.tensor([1.5, -0.2, 1.0])).tolist() == [0.5, 0.0, 0.5]
    assert relaxations.simplex(torch.tensor([-0.5, -0.1, -0.3])).tolist() == [0.0, 1.0, 0.0]


def test_adversarial_blend_raises_the_loss() -> None:
    strategy = rows(torch.zeros(3, 4), SDARTS, attack="adversarial")
    batch = next(iter(strategy.task.data.each("train")))
    with torch.no_grad():
        before = strategy.objective(batch, strategy.mixture(strategy.relax))
        assert strategy.objective(batch, strategy.worst(batch, 0.2)) > before


def minus() -> DARTSMinus:
    torch.manual_seed(0)
    batch = (torch.randn(2, 3, 8, 8), torch.tensor([0, 2]))
    sizes = {**SIZES, "channels": 4, "operations": cell.OPERATIONS}
    return DARTSMinus(cell.supernet(**sizes, auxiliary_skip=True), Task([batch], [batch], loss=F.cross_entropy))


def test_auxiliary_skips_fade_linearly_and_leave_nothing_in_the_derived_network() -> None:
    strategy = minus()
    found = []
    for done in (0, 25, 49, 50):
        strategy.epoch(done, 50, {})
        found.append({m.strength for m in strategy.supernet.modules() if isinstance(m, AuxiliarySkip)})
    assert found == [{1.0}, {0.5}, {0.02}, {0.0}]
    x = torch.randn(2, 3, 8, 8)
    arch = strategy.architecture()
    plain = derive(strategy.supernet, arch, x)
    assert not any(isinstance(m, AuxiliarySkip) for m in plain.modules())
    strategy.supernet.eval()
    assert torch.allclose(plain(x), strategy.supernet(one_hot(strategy.supernet.space, arch), x), atol=1e-6)


@pytest.mark.parametrize("name", ["nasbench201", "fashion-bench"])
def test_benchmark_spaces_have_auxiliary_skips_that_add_no_choice_and_no_weight(name: str) -> None:
    known = space(name)
    plain, beside = known.supernet(), known.supernet(**known.served(DARTSMinus.needs))
    assert beside.space == plain.space
    assert [p.shape for p in beside.parameters()] == [p.shape for p in plain.parameters()]
    batch = (torch.randn(2, *known.supernet.usual()["shape"]), torch.tensor([0, 2]))
    strategy = DARTSMinus(beside, Task([batch], [batch], loss=F.cross_entropy))
    strategy.epoch(0, 50, {})
    taken = one_hot(beside.space, strategy.architecture())
    with torch.no_grad():
        before = beside(taken, batch[0])
        strategy.epoch(50, 50, {})
        assert not torch.allclose(before, beside(taken, batch[0]))


def test_search_that_ends_early_has_no_auxiliary_skips_in_the_end() -> None:
    strategy = minus()
    strategy.epoch(10, 50, {})
    strategy.finish(strategy.task.data)
    assert {m.strength for m in strategy.supernet.modules() if isinstance(m, AuxiliarySkip)} == {0.0}


def test_auxiliary_skip_adds_its_share_of_the_input() -> None:
    skip = AuxiliarySkip(nn.Linear(3, 3))
    x = torch.randn(2, 3)
    skip.strength = 0.25
    assert torch.allclose(skip(x), skip.edge(x) + 0.25 * x)


def test_module_without_auxiliary_skips_is_refused() -> None:
    with pytest.raises(InputError, match="auxiliary_skip=True"):
        rows(torch.zeros(1, 2), DARTSMinus)


def test_snas_steps_weights_and_alphas_by_one_training_batch() -> None:
    strategy = rows(torch.zeros(2, 3), SNAS)
    seen: list[str] = []
    take = strategy.task.data.next
    strategy.task.data.next = lambda name: (seen.append(name), take(name))[1]  # type: ignore[method-assign, func-returns-value]
    temperatures = []
    for done in (0, 20, 40):
        strategy.epoch(done, 41, {})
        temperatures.append(strategy.temperature)
    weight, alpha = strategy.weights.parameters[0].detach().clone(), next(iter(strategy.alphas.values())).detach().clone()
    strategy.step(strategy.task.data)
    assert seen == ["train"]
    assert not torch.equal(weight, strategy.weights.parameters[0]) and not torch.equal(alpha, next(iter(strategy.alphas.values())))
    assert temperatures == pytest.approx([1.0, 0.665, 0.33])


@pytest.mark.parametrize(
    ("channels", "said"),
    [
        (4, "4 channels cannot be split into 6 equal parts, of which operations see one: take 6"),
        (6, r"the stage \{'partial': 4\} cannot be built: 6 channels cannot be split into 4 .*: take 4 or 8"),
    ],
)
def test_channels_that_a_stage_cannot_share_out_are_refused_before_the_search(channels: int, said: str) -> None:
    sizes = {"channels": channels, "cells": 3, "nodes": 1, "shape": (3, 8, 8), "operations": "s5"}
    batch = [(torch.randn(2, 3, 8, 8), torch.tensor([0, 1]))]
    with pytest.raises(InputError, match=said):
        net = cell.supernet(**sizes, partial=6)
        DrNAS(net, Task(batch, batch, loss=F.cross_entropy), build=lambda **more: cell.supernet(**{**sizes, **more}))


def test_a_stage_with_other_choices_is_refused_before_the_search() -> None:
    sizes = {"channels": 12, "cells": 3, "nodes": 1, "shape": (3, 8, 8), "operations": "s5", "partial": 6}
    batch = [(torch.randn(2, 3, 8, 8), torch.tensor([0, 1]))]
    with pytest.raises(InputError, match=r"'normal\.3' is in one of them only"):
        DrNAS(cell.supernet(**sizes), Task(batch, batch, loss=F.cross_entropy), build=lambda **more: cell.supernet(**{**sizes, "nodes": 2}))
