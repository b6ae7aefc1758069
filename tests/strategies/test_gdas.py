"""GDAS against the numbers of its authors' code (float64), and what makes it cheap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oracles import assert_signature, fill, fractions, inputs, sines
from supernet import InputError, OneOf, Supernet, Task, relaxations
from supernet.spaces import nasbench201
from supernet.strategies.gdas import GDAS

EDGES = [f"{i}<{j}" for i, j in nasbench201.EDGES]
NOISE = -torch.log(-torch.log(fractions(30, 3.0).clamp(1e-6, 1 - 1e-6).view(6, 5)))


@pytest.fixture
def noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gumbel noise of the official example, row by row, over and over."""

    def rows() -> Iterator[Tensor]:
        while True:
            yield from NOISE

    given = rows()
    monkeypatch.setattr(relaxations, "gumbel_noise", lambda logits, rng: next(given))


@pytest.mark.usefixtures("noise")
@pytest.mark.parametrize(
    ("temperature", "expected"),
    [
        (10.0, {"sq": 1.222815784, "wsum": 5.915908259, "first3": [0.1971904894, 0.1919482553, 0.2278101744], "last": 0.1733773603}),
        (
            0.1,
            {"sq": 4.769409386, "wsum": 5.922165739, "first3": [5.386098285e-07, 3.639943802e-08, 0.9999757056], "last": 3.382951921e-24},
        ),
    ],
)
def test_draws_and_their_probabilities_are_the_official_codes(temperature: float, expected: dict[str, Any]) -> None:
    rng = torch.Generator()
    soft = [relaxations.gumbel(row, rng, temperature).weights for row in sines(6, 5)]
    assert_signature(torch.stack(soft), expected)  # type: ignore[arg-type]
    hard = [relaxations.hard_gumbel(row, rng, temperature) for row in sines(6, 5)]
    assert [mix.runs for mix in hard] == [(2,), (2,), (1,), (4,), (0,), (0,)]
    assert torch.allclose(torch.stack([m.weights for m in hard]).sum(1), torch.ones(6, dtype=torch.float64))  # type: ignore[misc]


class Weighted(nn.Module):
    """One search cell, its output weighted by cos(0.01 i)."""

    def __init__(self) -> None:
        super().__init__()
        branches = [{o: build(4, False) for o, build in nasbench201.BUILD.items()} for _ in EDGES]
        for b in branches:
            for conv in (m for branch in b.values() for m in branch.modules() if isinstance(m, nn.Conv2d)):
                conv.bias = None
        self.cell = nasbench201.Cell([OneOf(b, name=e) for b, e in zip(branches, EDGES, strict=True)])

    def forward(self, x: Tensor) -> Tensor:
        self.out = self.cell(x)
        return self.out


@pytest.mark.usefixtures("noise", "double")
@pytest.mark.parametrize(
    ("bare", "expected"),
    [
        (False, {"sum": 0.0, "abs": 0.5956685359, "sq": 0.1109479343, "wsum": 0.001321903929, "first3": [0.0, 0.0, 0.0], "last": 0.0}),
        (
            True,
            {"sum": 0.0, "abs": 9.632659824, "sq": 9.958505775, "wsum": 0.01527823423, "first3": [0.0, 0.0, 0.0], "last": -0.4722089607},
        ),
    ],
)
def test_gradient_of_the_alphas_is_the_official_codes(bare: bool, expected: dict[str, Any]) -> None:
    net = Supernet(Weighted())
    fill(net)
    batch = (inputs(2, 4, 8, 8), torch.zeros(2))

    def weighted(out: Tensor, _: Tensor) -> Tensor:
        return (out.reshape(-1) * torch.cos(0.01 * torch.arange(out.numel()))).sum()

    strategy = GDAS(net, Task([batch], [batch], loss=weighted), bare=bare)
    for name, row in zip(EDGES, sines(6, 5), strict=True):
        strategy.alphas[name].data.copy_(row)
    strategy.alpha_step(batch, batch)
    out = net.model.out
    assert_signature(out, {"sum": 28.16072177, "abs": 93.59356723, "sq": 26.15183714, "wsum": -17.54700033, "last": -0.1773726509})
    grads = [strategy.alphas[n].grad for n in EDGES]
    assert_signature(torch.stack([torch.zeros(5) if g is None else g for g in grads]), expected)


def small(calls: list[str], **settings: Any) -> tuple[GDAS, Task]:
    class Counted(nn.Linear):
        def __init__(self, name: str):
            super().__init__(6, 6)
            self.name = name

        def forward(self, x: Tensor) -> Tensor:
            calls.append(self.name)
            return super().forward(x)

    torch.manual_seed(0)
    net = Supernet(nn.Sequential(OneOf({o: Counted(o) for o in "abc"}), OneOf({o: Counted(o) for o in "de"}), nn.Linear(6, 3)))
    batch = (torch.randn(8, 6), torch.randint(3, (8,)))
    task = Task([batch] * 4, [batch], loss=F.cross_entropy)
    return GDAS(net, task, **settings), task


def test_a_forward_pass_runs_one_operation_per_choice() -> None:
    calls: list[str] = []
    strategy, task = small(calls)
    strategy.epoch(0, 10, {})
    calls.clear()  # the batch shows itself to nobody before the step
    strategy.step(task.data)
    assert len(calls) == 4  # two choices, an alpha step and a weight step


def test_temperature_falls_linearly_to_its_last_value_in_the_last_epoch() -> None:
    strategy, _ = small([])
    found = []
    for done in (0, 1, 125, 249):
        strategy.epoch(done, 250, {})
        found.append(strategy.temperature)
    assert found == pytest.approx([10.0, 9.960240964, 5.030120482, 0.1])


def test_temperatures_that_are_not_positive_are_refused() -> None:
    with pytest.raises(InputError, match="above 0"):
        small([], temperature=(1.0, 0.0))


def test_weights_are_trained_by_the_papers_recipe_unless_told_otherwise() -> None:
    strategy, _ = small([])
    group = strategy.weights.optimiser.param_groups[0]
    assert (group["lr"], group["nesterov"], group["weight_decay"]) == (0.025, True, 5e-4)
    strategy, _ = small([], weights={"lr": 0.1})
    group = strategy.weights.optimiser.param_groups[0]
    assert (group["lr"], group["nesterov"], group["weight_decay"]) == (0.1, True, 5e-4)
