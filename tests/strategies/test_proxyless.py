"""ProxylessNAS against the numbers of its authors' code (float64), and what makes it cheap."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet import InputError, OneOf, Supernet, Task, relaxations
from supernet.costs.price import FREE, Price
from supernet.mixture import Mix, Mixture
from supernet.ops import InvertedResidual
from supernet.spaces import cell
from supernet.strategies.darts import DARTS
from supernet.strategies.gradient import Gradient
from supernet.strategies.proxyless import ProxylessNAS
from supernet.strategies.proxyless_reinforce import ProxylessREINFORCE

SGD = partial(torch.optim.SGD, lr=0.01)
ALPHA = [0.1, -0.2, 0.3, 0.0]


class Times(nn.Module):
    """Multiplies by a number."""

    def __init__(self, k: float):
        super().__init__()
        self.k = nn.Parameter(torch.tensor(float(k)))

    def forward(self, x: Tensor) -> Tensor:
        return self.k * x


def gated(**settings: Any) -> tuple[ProxylessNAS, Any]:
    """The example of the official numbers: four options (k + 1) x, of which the third is to be on."""
    batch = (torch.tensor([0.5, -1.0, 2.0]), torch.zeros(3))
    task = Task([batch], [batch], loss=lambda out, _: 0.5 * (out * out).sum())
    strategy = ProxylessNAS(Supernet(OneOf({f"{k}": Times(k + 1) for k in range(4)}, name="a")), task, **settings)
    strategy.alphas["a"].data.copy_(torch.tensor(ALPHA))
    return strategy, batch


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes the draws of options those that it is given, one after the other."""

    def give(*draws: tuple[int, ...]) -> None:
        left = list(draws)
        monkeypatch.setattr(relaxations, "drawn", lambda logits, rng, count: left.pop(0))

    return give


@pytest.mark.usefixtures("double")
def test_gate_gradients_are_the_official_codes(drawn: Callable[..., None]) -> None:
    drawn((2,))
    strategy, batch = gated(paths="full")
    gates = torch.tensor([0.0, 0.0, 1.0, 0.0], requires_grad=True)
    loss = strategy.objective(batch, {"a": Mix(gates, (0, 1, 2, 3), (0, 1, 3))})
    assert float(loss.detach()) == 23.625
    assert torch.autograd.grad(loss, gates)[0].tolist() == [15.75, 31.5, 47.25, 63.0]
    strategy.alpha_step(batch, batch)
    grad = strategy.alphas["a"].grad
    assert grad is not None
    assert grad[2:].tolist() == pytest.approx([2.3618163754900747, 5.434955664933511], rel=1e-12)
    assert float(grad.sum()) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.usefixtures("double")
def test_two_path_gradient_and_the_rescaled_step_are_the_official_codes(drawn: Callable[..., None]) -> None:
    drawn((0, 2), (1,))
    strategy, batch = gated(alpha_optimiser=SGD)
    pair = strategy.alphas["a"].detach()[[0, 2]].logsumexp(0)
    strategy.alpha_step(batch, batch)
    grad = strategy.alphas["a"].grad
    assert grad is not None
    assert grad.tolist() == pytest.approx([-7.796772040423586, 0.0, 7.796772040423589, 0.0], rel=1e-12)
    now = strategy.alphas["a"].detach()
    assert now.tolist() == pytest.approx([0.18271671818740487, -0.2, 0.2267812773789331, 0.0], rel=1e-12)
    assert float(now[[0, 2]].logsumexp(0)) == pytest.approx(float(pair), rel=1e-14)
    before = torch.tensor([0.17796772040423586, -0.2, 0.2220322795957641, 0.0])  # the step alone
    assert (now - before)[[0, 2]].tolist() == pytest.approx([float(pair - before[[0, 2]].logsumexp(0))] * 2, rel=1e-10)


@pytest.mark.usefixtures("double")
def test_first_step_of_the_recipe_is_the_official_codes(drawn: Callable[..., None]) -> None:
    drawn((0, 2), (1,))
    strategy, batch = gated()
    strategy.alpha_step(batch, batch)
    assert strategy.alphas["a"].tolist() == pytest.approx([0.10109917292725787, -0.2, 0.299099172929823, 0.0], rel=1e-12)


@pytest.mark.usefixtures("double")
def test_gradient_of_seven_gates_is_the_official_codes() -> None:
    alpha = torch.tensor([0.1, -0.2, 0.3, 0.0, 0.5, -0.4, 0.2], requires_grad=True)
    gates = relaxations.all_paths(alpha, torch.Generator()).weights
    assert gates is not None
    (gates @ torch.tensor([0.3, -0.1, 0.2, 0.05, -0.25, 0.4, -0.15])).backward()
    expected = [0.0380422853851858, -0.013727452372285417, 0.02919052854245923, 0.002429063612780886, -0.0592922376089991]
    assert alpha.grad is not None
    assert alpha.grad.tolist() == pytest.approx([*expected, 0.03165203741921712, -0.028294224978358533], rel=1e-12)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    ("before", "baseline", "gradient"),
    [
        (None, 0.525, [0.00625, -0.01875, 0.0125]),
        (0.4, 0.52375, [0.006359480672248393, -0.018749889029222866, 0.012390408356974476]),
    ],
)
def test_policy_gradient_and_baseline_are_the_official_codes(before: float | None, baseline: float, gradient: list[float]) -> None:
    batch = (torch.ones(2), torch.ones(2))
    net = Supernet(OneOf({o: Times(1) for o in "abc"}, name="a"))
    strategy = ProxylessREINFORCE(net, Task([batch], [batch], loss=F.mse_loss))
    strategy.alphas["a"].data.copy_(torch.tensor([0.2, -0.1, 0.4]))
    strategy.baseline = before
    paths: list[Mixture] = [{"a": Mix(None, (i,))} for i in (0, 2, 1, 2)]
    advantages = strategy.compared(torch.tensor([0.5, 0.7, 0.6, 0.3]))
    assert strategy.baseline == pytest.approx(baseline, rel=1e-12)
    (found,) = torch.autograd.grad(strategy.surrogate(paths, advantages), strategy.alphas["a"])
    assert found.tolist() == pytest.approx(gradient, rel=1e-9)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(("paths", "shares"), [("two", [0, 2]), ("full", [0, 1, 2, 3])])
def test_what_is_paid_for_is_the_softmax_over_the_options_that_run(paths: str, shares: list[int], drawn: Callable[..., None]) -> None:
    costs = torch.tensor([3.0, 5.0, 11.0, 2.0])
    strategy, _ = gated(paths=paths, penalty=Price({("a",): costs}, **ProxylessNAS.pricing, reference=4.0))
    drawn(*(((0, 2), (1,)) if paths == "two" else ((2,),)))
    mixture = strategy.blended(strategy.relax)
    loss = strategy.descended(torch.tensor(2.5), mixture)
    p = torch.tensor(ALPHA)[shares].softmax(0)
    mean = p @ costs[shares]
    assert float(loss.detach()) == pytest.approx(float(2.5 + 0.1 * (mean - 4.0) / 4.0), rel=1e-12)
    expected = torch.zeros(4)
    expected[shares] = 0.1 / 4.0 * p * (costs[shares] - mean)
    assert torch.allclose(torch.autograd.grad(loss, strategy.alphas["a"])[0], expected, atol=1e-15)


def test_a_choice_whose_zero_is_on_learns_too_unless_the_official_exception_is_asked_for(drawn: Callable[..., None]) -> None:
    for zero, learns in ((None, True), ("2", False), ("0", True)):
        strategy, batch = gated(zero=zero)
        drawn((0, 2), (1,))
        strategy.alpha_step(batch, batch)
        assert (strategy.alphas["a"].tolist() != pytest.approx(ALPHA)) is learns


class Counted(nn.Linear):
    """Says when it runs."""

    def __init__(self, calls: list[str], name: str):
        super().__init__(6, 6)
        self.calls, self.name = calls, name

    def forward(self, x: Tensor) -> Tensor:
        self.calls.append(self.name + ("" if torch.is_grad_enabled() else "-"))
        return super().forward(x)


def small(method: Any, calls: list[str] | None = None, **settings: Any) -> tuple[Any, Task]:
    torch.manual_seed(0)
    calls = [] if calls is None else calls
    net = Supernet(nn.Sequential(*(OneOf({o: Counted(calls, o) for o in options}) for options in ("abc", "defg")), nn.Linear(6, 3)))
    batch = (torch.randn(8, 6), torch.randint(3, (8,)))
    task = Task([batch] * 10, [batch], loss=F.cross_entropy)
    return method(net, task, **settings), task


@pytest.mark.parametrize(
    ("method", "settings", "graphs", "bare"),
    [(ProxylessNAS, {}, 2, 2), (ProxylessNAS, {"paths": "full"}, 2, 5), (ProxylessREINFORCE, {"samples": 3}, 0, 6)],
)
def test_a_step_holds_the_graph_of_one_path(method: Any, settings: dict[str, Any], graphs: int, bare: int) -> None:
    calls: list[str] = []
    strategy, task = small(method, calls, warmup=0, **settings)
    strategy.epoch(1, 10, {})
    calls.clear()
    strategy.step(task.data)  # five steps on the weights, one on the alphas
    assert sum(not c.endswith("-") for c in calls) == 5 * 2 + graphs
    assert sum(c.endswith("-") for c in calls) == bare


@pytest.mark.parametrize("paths", ["two", "full"])
def test_idle_options_get_no_gradient_and_change_none_also_where_edges_share_computations(paths: str) -> None:
    torch.manual_seed(0)
    net = cell.supernet(channels=4, cells=3, nodes=2, shape=(3, 8, 8), classes=3)
    batch = (torch.randn(4, 3, 8, 8), torch.randint(3, (4,)))
    strategy = ProxylessNAS(net, Task([batch], [batch], loss=F.cross_entropy), paths=paths)
    mixture = strategy.blended(strategy.relax)
    with_graphs = {name: mix._replace(idle=()) for name, mix in mixture.items()}
    wanted = [*strategy.alphas.values(), *net.parameters()]
    found, plain = (
        torch.autograd.grad(strategy.objective(batch, m), wanted, retain_graph=True, allow_unused=True, materialize_grads=True)
        for m in (mixture, with_graphs)
    )
    assert any(bool(g.abs().sum() > 0) for g in found)
    for a, b in zip(found, plain, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


class Chain(nn.Module):
    """Four layers of inverted residuals, of any number of kinds."""

    def __init__(self, kinds: int):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        made = [{f"{i}": InvertedResidual(8, 8, (3, 5, 7)[i % 3], 3) for i in range(kinds)} for _ in range(4)]
        self.layers = nn.Sequential(*(OneOf(options, name=f"layer.{n}") for n, options in enumerate(made)))
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layers(self.stem(x)).mean((2, 3)))


def saved(strategy: Gradient, step: Callable[[], Any]) -> int:
    """The bytes that a step keeps for its backward passes, without parameters; each storage once."""
    own = {p.untyped_storage().data_ptr() for p in strategy.supernet.parameters()}
    held: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        if (place := tensor.untyped_storage().data_ptr()) not in own:
            held[place] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        step()
    return sum(tensor.untyped_storage().nbytes() for tensor in held.values())


def test_memory_does_not_grow_with_the_number_of_options(drawn: Callable[..., None]) -> None:
    def bytes_of(method: Any, kinds: int, which: str) -> int:
        torch.manual_seed(0)
        batch = (torch.randn(4, 3, 12, 12), torch.randint(3, (4,)))
        strategy = method(Supernet(Chain(kinds)), Task([batch], [batch], loss=F.cross_entropy))
        drawn(*[(1,)] * 4 if which == "weight" else [(0, 1), (1,)] * 4)
        return saved(strategy, lambda: strategy.weight_step([batch]) if which == "weight" else strategy.alpha_step(batch, batch))

    for which in ("weight", "alpha"):
        assert bytes_of(ProxylessNAS, 6, which) < 1.1 * bytes_of(ProxylessNAS, 3, which)
        assert bytes_of(DARTS, 6, which) > 1.8 * bytes_of(DARTS, 3, which)
        assert bytes_of(ProxylessNAS, 3, which) < 0.5 * bytes_of(DARTS, 3, which)


@pytest.mark.parametrize("method", [ProxylessNAS, ProxylessREINFORCE])
def test_alphas_wait_for_forty_epochs_of_warm_up_and_the_first_of_the_search_and_the_rate_falls_twice(method: Any) -> None:
    strategy, _ = small(method)
    rates, warm = {}, []
    for done in range(160):
        strategy.epoch(done, 160, {})
        rates[done] = strategy.weights.lr
        warm.append(strategy.alphas_learn)
    assert warm.index(True) == 41 and all(warm[41:])
    assert [rates[e] for e in (0, 20, 40, 100)] == pytest.approx([0.05, 0.025, 0.025, 0.0125])
    assert max(rates[39], rates[159]) < 1e-4
    strategy, _ = small(method, warmup=0)
    strategy.epoch(0, 3, {})
    assert not strategy.alphas_learn


@pytest.mark.parametrize(
    ("weights", "settings", "expected"),
    [
        ({"lr": 0.1}, {}, (0.1, 0.05, 0.1, 0.05)),  # a rate that is given is the one that is run
        ({"lr": 0.1, "lr_min": 0.02}, {}, (0.1, 0.06, 0.1, 0.06)),
        ({"lr_min": 0.005}, {"warmup_lr": 0.205}, (0.205, 0.105, 0.025, 0.015)),
        ({"lr": 20.0, "lr_min": 20.0}, {}, (20.0, 20.0, 20.0, 20.0)),
        ({"schedule": lambda done: 1.0, "lr": 0.3}, {}, (0.3, 0.3, 0.3, 0.3)),
    ],
)
def test_given_rates_are_run(weights: dict[str, Any], settings: dict[str, Any], expected: tuple[float, ...]) -> None:
    strategy, _ = small(ProxylessNAS, weights=weights, **settings)
    rates = []
    for done in (0, 20, 40, 100):  # of 160, of which 40 are warm-up
        strategy.epoch(done, 160, {})
        rates.append(strategy.weights.lr)
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize("method", [ProxylessNAS, ProxylessREINFORCE])
def test_weights_and_alphas_are_trained_by_the_official_recipe(method: Any) -> None:
    strategy, task = small(method)
    (weights,), (alphas,) = strategy.weights.optimiser.param_groups, strategy.alphas.optimiser.param_groups
    assert (weights["nesterov"], weights["momentum"], weights["weight_decay"], strategy.weights.clip) == (True, 0.9, 4e-5, None)
    assert (alphas["lr"], alphas["betas"], alphas["weight_decay"]) == (1e-3, (0.0, 0.999), 0)
    assert strategy.steps(task.data) == 2


def better(method: Any, **settings: Any) -> tuple[Any, Task]:
    """A search in which one option sees the inputs and the other does not."""
    torch.manual_seed(0)

    class Blind(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 0 * x

    x = torch.randn(64, 4)
    batch = (x, (x[:, 0] > 0).long())
    net = Supernet(nn.Sequential(OneOf({"blind": Blind(), "sees": nn.Identity()}, name="a"), nn.Linear(4, 2)))
    task = Task([batch] * 5, [batch], loss=F.cross_entropy)
    return method(net, task, warmup=0, alpha_lr=0.05, weights={"lr": 0.2}, **settings), task


@pytest.mark.parametrize(
    ("method", "settings"),
    [(ProxylessNAS, {}), (ProxylessNAS, {"paths": "full"}), (ProxylessREINFORCE, {}), (ProxylessREINFORCE, {"renewal": 0.5})],
)
@pytest.mark.parametrize(("bound", "taken"), [(None, "sees"), pytest.param(9.0, "sees", marks=pytest.mark.slow), (2.0, "blind")])
def test_the_better_option_is_found_unless_it_is_too_dear(method: Any, settings: dict[str, Any], bound: float | None, taken: str) -> None:
    price = {"penalty": Price({("a",): torch.tensor([1.0, 8.0])}, **method.pricing, bound=bound, rate=4.0)} if bound else {}
    strategy, task = better(method, **price, **settings)
    for done in range(25):
        strategy.epoch(done, 25, {})
        for _ in range(2):
            strategy.step(task.data)
        if done > 3 and bound == 2.0 and strategy.architecture() == {"a": taken}:
            break  # from here the price relents
    assert strategy.architecture() == {"a": taken}


def test_rewards_are_accuracies_times_what_is_saved_and_likelihoods_where_there_is_no_accuracy() -> None:
    price = Price({("a",): torch.tensor([1.0, 8.0])}, form="reward", exponent=0.1, reference=2.0)
    strategy, task = better(ProxylessREINFORCE, penalty=price)
    paths: list[Mixture] = [{"a": Mix(None, (i,))} for i in (0, 1)]
    batch = next(iter(task.data.each("train")))
    outputs = [strategy.supernet(path, batch[0]).detach() for path in paths]
    accuracies = [float((out.argmax(1) == batch[1]).float().mean()) for out in outputs]
    expected = [right * (2.0 / cost) ** 0.1 for right, cost in zip(accuracies, (1.0, 8.0), strict=True)]
    assert strategy.rewards(paths, batch).tolist() == pytest.approx(expected)
    strategy.task.metrics, strategy.price = {}, FREE
    assert strategy.rewards(paths, batch).tolist() == pytest.approx([float((-F.cross_entropy(out, batch[1])).exp()) for out in outputs])


def test_evaluated_is_the_path_that_would_be_derived() -> None:
    strategy, _ = small(ProxylessNAS)
    arch = {name: choice.options[1] for name, choice in strategy.supernet.space.items()}
    for alpha in strategy.alphas.values():
        alpha.data[1] = 5.0
    assert strategy.architecture() == arch
    mixture = {name: Mix(None, (1,)) for name in arch}
    assert strategy.evaluate() == strategy.task.evaluate(strategy.supernet, "validation", mixture)


@pytest.mark.parametrize(
    ("method", "settings", "said"),
    [
        (ProxylessNAS, {"paths": "three"}, "unknown number of paths 'three'"),
        (ProxylessNAS, {"single_level": True}, "excludes single_level"),
        (ProxylessNAS, {"relax_weights": relaxations.two_paths}, "excludes relax_weights"),
        (ProxylessNAS, {"weights": {"lr_min": -1.0}}, "lr_min at least 0"),
        (ProxylessNAS, {"weights": {"schedule": lambda done: 1.0}, "warmup_lr": 0.1}, "warmup_lr would have no effect"),
        (ProxylessNAS, {"zero": "nil"}, "no choice has an option 'nil'"),
        (ProxylessNAS, {"stops": ("curvature",)}, "no curvature"),
        (ProxylessREINFORCE, {"samples": 1}, "at least 2; got 1"),
        (ProxylessREINFORCE, {"renewal": 0.0}, "above 0 and at most 1; got 0"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(method: Any, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        small(method, **settings)
