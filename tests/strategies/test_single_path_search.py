"""Single-Path NAS against the numbers of the official code (float64), and what its search promises."""

from __future__ import annotations

import copy
import io
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet import InputError, OneOf, Supernet, Task
from supernet.costs.price import Free, Price
from supernet.layers.superkernel import SuperKernel, SuperKernelBlock
from supernet.layers.width import width_mask
from supernet.mixture import Mixture, Table, expected, one_hot
from supernet.relaxations import Relaxation
from supernet.space import SearchSpace
from supernet.strategies.rms_prop import rms_prop, staircase
from supernet.strategies.single_path import SinglePath, believed, indicated, indicator

RUNTIMES = {"k3e3": 3.4111, "k3e6": 6.4022, "k5e3": 4.8853, "k5e6": 9.1518}  # of one layer in ms
PATTERN = torch.arange(100, dtype=torch.float64)


class One(nn.Module):
    """One block whose kernel has four channels, as in the oracle."""

    def __init__(self) -> None:
        super().__init__()
        self.block = SuperKernelBlock(2, 2, name="b")
        self.block.kernel = SuperKernel(4, name="b.kernel")
        self.block.kernel.weight.data = torch.sin(0.1 * PATTERN).view(5, 5, 4, 1).permute(2, 3, 0, 1).contiguous()

    def masked(self, x: Tensor) -> Tensor:
        """What the masked kernel gives at the centre of 5x5 images."""
        _, mix = self.block.own()
        _, mask = width_mask([((0, 2, 4)[i], None if mix.weights is None else mix.weights[i]) for i in mix.runs], x)
        return self.block.kernel(x, mask)[:, :, 2, 2]


class Net(nn.Module):
    """Two blocks of which the second can be skipped, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 2, 1)
        self.first, self.second = SuperKernelBlock(4, 6, name="layer.0"), SuperKernelBlock(6, 6, name="layer.1")
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.second(self.first(self.stem(x))).mean((2, 3)))


def batches(n: int, size: int = 16) -> list[tuple[Tensor, Tensor]]:
    """Images whose classes differ in brightness."""
    g = torch.Generator().manual_seed(n)
    y = torch.randint(3, (n * size,), generator=g)
    x = 0.5 * torch.randn(n * size, 3, 8, 8, generator=g) + y.view(-1, 1, 1, 1) - 1
    return list(zip(x.split(size), y.split(size), strict=True))


def joint(space: Any) -> Table:
    """Each layer's cost by kernel and expansion together: their areas."""
    table: Table = {(): torch.tensor(1.0)}
    for name in (n for n in space if n.endswith("kernel")):
        expansion = name.replace("kernel", "expansion")
        table[name, expansion] = torch.tensor([[k * k * float(e) / 150 for e in space[expansion].options] for k in (3, 5)])
    return table


def strategy(net: nn.Module | None = None, seed: int = 0, **settings: Any) -> SinglePath:
    torch.manual_seed(seed)
    supernet, task = Supernet(net or Net()), Task(batches(4), batches(2), loss=F.cross_entropy, seed=seed)
    return SinglePath(supernet, task, seed=seed, **{"weights": {"lr": 0.004}, **settings})


def priced(weight: float) -> Price:
    return Price(joint(Supernet(Net()).space), **{**SinglePath.pricing, "weight": weight})


def train(searched: SinglePath, epochs: int, begin: int = 0, end: int | None = None) -> None:
    """Steps ``begin`` to ``end`` of a search of four steps an epoch."""
    for i in range(begin, 4 * epochs if end is None else end):
        if i % 4 == 0:
            searched.epoch(i // 4, epochs, {})
        searched.step(searched.task.data)
    searched.epoch(epochs, epochs, {})


@pytest.mark.parametrize(
    ("thresholds", "indicators", "norms", "runtime", "loss", "slopes", "weights"),
    [
        (
            (0.0, 0.0, 0.0),
            (1, 1, 1),
            (5.5545236808014415, 4.8643893467033, 4.890295147141573),
            9.1518,
            (-7.677697773471705, -7.3418280838787044),
            (0.061684844671992214, 0.05809951845361082, 0.029117020825197553),
            None,
        ),
        (
            (7.0, 1.0, 1.0),
            (0, 1, 1),
            (5.5545236808014415, 2.8802343487162205, 2.903237351366269),
            6.4022,
            None,
            (2.4363671274512044, -0.9352704246208698, -0.3497328751687593),
            29.645937571173093,
        ),
        ((6.0, 4.0, 5.5), (0, 0, 0), None, 0.0, None, (0.0, -0.9369801948572887, 0.0), None),
        ((1.0, 9.0, 1.0), (1, 0, 1), None, 0.0, None, (0.0038475225225324343, 0.11822994597841358, 0.0), None),
    ],
)
def test_indicators_runtime_loss_and_gradients_are_those_of_the_official_code(
    thresholds: tuple[float, ...],
    indicators: tuple[int, ...],
    norms: tuple[float, ...] | None,
    runtime: float,
    loss: tuple[float, float] | None,
    slopes: tuple[float, ...],
    weights: float | None,
    double: None,
) -> None:
    searched = strategy(One())
    kernel, space = searched.supernet.model.block.kernel, searched.supernet.space
    t5, t50, t100 = thresholds
    searched.alphas["b.kernel"].data = torch.tensor([t5])
    searched.alphas["b.expansion"].data = torch.tensor([t50, t100])
    share = RUNTIMES["k3e6"] / RUNTIMES["k5e6"]  # the code takes this share for 3x3 kernels of either width
    rows = torch.tensor([0.0, RUNTIMES["k5e3"], RUNTIMES["k5e6"]])
    table: Table = {("b.kernel", "b.expansion"): torch.stack([share * rows, rows])}
    mixture = searched.mixture(indicated)
    ring, (skip, three, six) = mixture["b.kernel"].weights[1], mixture["b.expansion"].weights
    assert (ring.item(), skip.item()) == (indicators[0], 1 - indicators[1])
    assert (three.item(), six.item()) == (indicators[1] * (1 - indicators[2]), indicators[1] * indicators[2])
    if norms:
        assert [kernel.ring_norm().item(), *(n.item() for n in kernel.half_norms(ring))] == pytest.approx(norms, rel=1e-12)
    cost = expected(space, mixture, table)
    assert cost.item() == pytest.approx(runtime, rel=1e-12)
    image = torch.cos(0.2 * PATTERN).view(5, 5, 4).permute(2, 0, 1)[None]
    with searched.supernet.blending(mixture):
        error = searched.supernet.model.masked(image).sum()
    total = error + 0.1 * torch.log(19.5999 + cost)
    if loss:
        assert (error.item(), total.item()) == pytest.approx(loss, rel=1e-12)
    thresholds_and_kernel = [searched.alphas["b.kernel"], searched.alphas["b.expansion"], kernel.weight]
    by_kernel, by_expansion, by_weight = torch.autograd.grad(total, thresholds_and_kernel)
    assert [*by_kernel.tolist(), *by_expansion.tolist()] == pytest.approx(slopes, rel=1e-10, abs=1e-12)
    if weights:
        assert by_weight.square().sum().item() == pytest.approx(weights, rel=1e-10)


def test_indicator_is_a_step_with_the_gradient_of_the_sigmoid(double: None) -> None:
    x = torch.tensor([-40.0, -0.1, 0.0, 0.1, 7.0], requires_grad=True)
    value = indicator(x)
    assert value.tolist() == [0, 0, 1, 1, 1]
    (slope,) = torch.autograd.grad(value.sum(), x)
    assert torch.allclose(slope, x.sigmoid() * (1 - x.sigmoid()))


def test_there_is_a_threshold_for_each_indicator_and_they_begin_at_zero() -> None:
    searched = strategy()
    assert {n: p.tolist() for n, p in searched.alphas.items()} == {
        "layer.0.expansion": [0],
        "layer.0.kernel": [0],
        "layer.1.expansion": [0, 0],
        "layer.1.kernel": [0],
    }
    assert searched.architecture() == {n: c.options[-1] for n, c in searched.supernet.space.items()}


@pytest.mark.parametrize("thresholds", [(0, 0), (0, 9), (9, 0), (9, 9), (2.5, 3.1), (2.9, 0.5)])
@pytest.mark.parametrize("ring", [0, 9])
def test_what_would_be_derived_is_what_the_indicators_say(thresholds: tuple[float, float], ring: float) -> None:
    searched = strategy()
    searched.alphas["layer.1.expansion"].data = torch.tensor([float(t) for t in thresholds])
    searched.alphas["layer.0.kernel"].data.fill_(ring)
    on = {n: c.options[int(searched.mixture(indicated)[n].weights.argmax())] for n, c in searched.supernet.space.items()}
    assert searched.architecture() == on
    assert all(sum(shares) == pytest.approx(1) and min(shares) >= 0 for shares in searched.belief().values())


def test_beliefs_follow_the_margins_in_order_and_a_norm_at_its_threshold_counts() -> None:
    assert max(range(2), key=believed(torch.tensor([0.0])).__getitem__) == 1
    shares = believed(torch.tensor([0.4, 0.2]))  # each of the two is more probable than not, the product is not
    assert shares[2] == max(shares)
    assert max(range(3), key=believed(torch.tensor([-0.1, 50.0])).__getitem__) == 0
    assert max(range(3), key=believed(torch.tensor([50.0, -0.1])).__getitem__) == 1


def test_warm_up_drops_indicators_and_pays_nothing_and_evaluation_drops_none() -> None:

    class Nothing(Free):
        def __call__(self, loss: Tensor, mixture: Mixture, space: SearchSpace) -> Tensor:
            return loss * math.nan

    searched = strategy(penalty=Nothing())
    searched.epoch(0, 8, {})

    def seen(relax: Relaxation, times: int) -> list[float]:
        return [searched.blended(relax)["layer.0.kernel"].weights[1].item() for _ in range(times)]

    drawn = seen(searched.relax, 400)
    assert {round(d, 5) for d in drawn} == {0.0, round(1 / 0.6, 5)}
    assert 0.52 < sum(d > 0 for d in drawn) / 400 < 0.68
    assert set(seen(searched.relax_weights, 20)) == {1.0}
    before = {n: p.clone() for n, p in searched.alphas.items()}
    for _ in range(4):
        assert searched.step(searched.task.data)["loss"].isfinite()
    assert any(not torch.equal(p, before[n]) for n, p in searched.alphas.items())  # thresholds learn from the first step on
    assert all(p.isfinite().all() for p in searched.alphas.values())
    searched.epoch(4, 8, {})
    assert not searched.alphas_learn
    searched.epoch(5, 8, {})
    assert searched.alphas_learn and set(seen(searched.relax, 20)) == {1.0}
    searched.step(searched.task.data)
    assert any(not p.isfinite().all() for p in searched.alphas.values())


def test_price_does_not_adapt_to_its_bound_before_it_is_paid() -> None:
    price = Price(joint(Supernet(Net()).space), **SinglePath.pricing, bound=1.1)
    searched = strategy(penalty=price)
    train(searched, 8, end=4 * 5)
    assert price.strength == 20
    searched = strategy(penalty=price)
    train(searched, 8)
    assert price.strength > 20


@pytest.mark.parametrize(("weight", "cheapest"), [(0.0, False), (1000.0, True)])
def test_huge_price_drives_every_layer_to_its_cheapest_and_none_does_not(weight: float, cheapest: bool) -> None:
    searched = strategy(penalty=priced(weight))
    train(searched, 16)
    found = searched.supernet.space.matters(searched.architecture())
    least = {"layer.0.kernel": 3, "layer.0.expansion": 3, "layer.1.expansion": 0}
    most = {"layer.0.kernel": 5, "layer.0.expansion": 6, "layer.1.kernel": 5, "layer.1.expansion": 6}
    assert found == (least if cheapest else most)
    assert searched.evaluate()["accuracy"] > 0.8


def test_bounds_change_what_would_be_derived() -> None:
    space, table = Supernet(Net()).space, joint(Supernet(Net()).space)

    def excess(architecture: Any) -> float:
        return float(expected(space, one_hot(space, architecture), table)) / 1.6 - 1

    searched = strategy(within=excess)
    assert excess(searched.unbounded()) > 0 >= excess(searched.architecture())


def same(a: Any, b: Any) -> None:
    if isinstance(a, Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, list | tuple):
        for x, y in zip(a, b, strict=True):
            same(x, y)
    else:
        assert a == b


@pytest.mark.slow
@pytest.mark.parametrize("cut", [1, 6, 13, 18])
def test_search_that_is_killed_and_resumed_goes_on_bit_for_bit(cut: int) -> None:
    def saved(one: SinglePath) -> Any:
        file = io.BytesIO()
        torch.save({"strategy": one.state_dict(), "data": one.task.data.state_dict()}, file)
        file.seek(0)
        return torch.load(file, weights_only=True)

    searched = strategy(penalty=priced(20))
    for i in range(cut):
        if i % 4 == 0:
            searched.epoch(i // 4, 6, {})
        searched.step(searched.task.data)
    state = copy.deepcopy(saved(searched))
    train(searched, 6, begin=cut)
    again = strategy(seed=5, penalty=priced(20))
    again.load_state_dict(state["strategy"])
    again.task.data.load_state_dict(state["data"])
    train(again, 6, begin=cut)
    same(saved(again), saved(searched))
    assert again.architecture() == searched.architecture() and again.facts() == searched.facts()


def test_learning_rates_are_the_papers() -> None:
    searched = strategy(weights=None)
    rates = []
    for done in range(8):
        searched.epoch(done, 8, {})
        rates.append(searched.weights.lr)
        assert {g["lr"] for o in (searched.weights.optimiser, searched.alphas.optimiser) for g in o.param_groups} == {rates[-1]}
    assert rates == pytest.approx([0.016 * 0.97 ** (e * 10 // 24) for e in range(8)])
    assert staircase(0.0) == 1
    decays = {g["weight_decay"] for g in searched.weights.optimiser.param_groups}
    assert decays == {0, 1e-5} and searched.alphas.optimiser.param_groups[0]["weight_decay"] == 1e-5
    kept = strategy(alpha_lr=0.5)
    kept.epoch(7, 8, {})
    assert kept.alphas.optimiser.param_groups[0]["lr"] == 0.5 and kept.weights.lr < 0.004
    assert rms_prop(Net(), lr=0.064, clip=5.0).clip == 5


class Mixed(Net):
    """A network with a choice of another kind."""

    def __init__(self) -> None:
        super().__init__()
        self.head = OneOf({"linear": nn.Linear(6, 3), "free": nn.Linear(6, 3, bias=False)})  # type: ignore[assignment]


class Twice(Net):
    """Two blocks that share their choices have two norms for one threshold."""

    def __init__(self) -> None:
        super().__init__()
        self.first = SuperKernelBlock(4, 6, name="layer.0")
        self.second = SuperKernelBlock(6, 6, 2, name="layer.0")


@pytest.mark.parametrize(("net", "named"), [(Mixed, "'head'"), (Twice, "'layer.0.expansion'")])
def test_other_networks_are_refused_with_the_reason(net: type[nn.Module], named: str) -> None:
    with pytest.raises(InputError, match=f"needs .* {named} is not"):
        strategy(net())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"keep": 0}, "keep"),
        ({"single_level": False}, "single_level must be true"),
        ({"alpha_betas": (0.9, 0.9)}, "alpha_betas would have no effect"),
        ({"inner_steps": 2}, "inner_steps would have no effect"),
        ({"alpha_lr": 0.0}, "alpha_lr must be above 0"),
        ({"weights": {"lr_min": 0.001}}, "lr_min would have no effect"),
        ({"weights": {"nesterov": True}}, "nesterov would have no effect"),
        ({"weights": {"lr": -1.0}}, "learning rate must be above 0"),
    ],
)
def test_mistaken_settings_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        strategy(**settings)
