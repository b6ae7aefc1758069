"""FBNet against its paper's formulae, computed once more without torch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet import InputError, OneOf, Supernet, Task, relaxations
from supernet.costs.price import Price
from supernet.strategies.fbnet import FBNet

LAYERS, OPTIONS = 22, 9
ROWS, COLUMNS = np.arange(LAYERS)[:, None], np.arange(OPTIONS)[None]
THETA, NOISE = 0.1 * np.sin(ROWS + 2 * COLUMNS), 0.5 * np.cos(3 * ROWS + COLUMNS)
LATENCY = 900 + 40 * ROWS + 700 * np.abs(np.sin(1 + 3 * ROWS + 5 * COLUMNS)) * (COLUMNS + 1)  # microseconds
LOSS = 2.5


class Options(nn.Module):
    """Layers of options whose blend leaves the loss as it is: the cost alone has slopes."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.layers = nn.ModuleList(OneOf({f"{i}": nn.Identity() for i in range(OPTIONS)}, name=f"layer.{n}") for n in range(LAYERS))

    def forward(self, x: Tensor) -> Tensor:
        return sum((layer(x.detach()) for layer in self.layers), self.weight * x) * 0


def priced(**settings: Any) -> tuple[FBNet, Any]:
    table = {(f"layer.{n}",): torch.tensor(LATENCY[n]) for n in range(LAYERS)}
    batch = (torch.ones(2), torch.ones(2))
    task = Task([batch], [batch], loss=lambda out, _: out.sum() + LOSS)
    strategy = FBNet(Supernet(Options()), task, penalty=Price(table, **FBNet.pricing), **settings)
    for n, row in enumerate(THETA):
        strategy.alphas[f"layer.{n}"].data.copy_(torch.tensor(row))
    return strategy, batch


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("temperature", [5.0, 1.0])
def test_price_and_its_gradient_are_the_papers_formula(temperature: float, monkeypatch: pytest.MonkeyPatch) -> None:
    shares = np.exp((THETA + NOISE) / temperature)
    shares /= shares.sum(1, keepdims=True)
    latency = float((shares * LATENCY).sum())
    total = LOSS * 0.2 * math.log(latency) ** 0.6
    slopes = shares * (LATENCY - (shares * LATENCY).sum(1, keepdims=True)) / temperature
    slopes *= LOSS * 0.2 * 0.6 * math.log(latency) ** -0.4 / latency

    def rows() -> Iterator[Tensor]:
        while True:
            yield from torch.tensor(NOISE)

    given = rows()
    monkeypatch.setattr(relaxations, "gumbel_noise", lambda logits, rng: next(given))
    strategy, batch = priced(temperature=temperature)
    mixture = strategy.blended(strategy.relax)
    assert torch.allclose(torch.stack([m.weights for m in mixture.values()]), torch.tensor(shares))  # type: ignore[misc]
    loss = strategy.descended(strategy.objective(batch, mixture), mixture)
    assert float(loss.detach()) == pytest.approx(total, rel=1e-12)
    strategy.alpha_step(batch, batch)
    found = torch.stack([p.grad for p in strategy.alphas.values()])  # type: ignore[misc]
    assert torch.allclose(found, torch.tensor(slopes), rtol=1e-9, atol=1e-15)


def test_temperature_falls_by_the_same_factor_in_each_of_ninety_epochs() -> None:
    strategy, _ = priced()
    found = {}
    for done in (0, 1, 10, 45, 89):
        strategy.epoch(done, 90, {})
        found[done] = strategy.temperature
    assert found == pytest.approx({0: 5.0, 1: 4.7799874091655, 10: 3.1881407581088665, 45: 0.6599692159391511, 89: 0.09112144629338652})


def test_a_shorter_search_cools_as_far() -> None:
    strategy, _ = priced()
    strategy.epoch(9, 9, {})
    short = strategy.temperature
    strategy.epoch(90, 90, {})
    assert short == pytest.approx(strategy.temperature) == pytest.approx(5.0 * math.exp(-0.045) ** 90)


def small(**settings: Any) -> tuple[FBNet, Task]:
    torch.manual_seed(0)
    net = Supernet(nn.Sequential(OneOf({o: nn.Linear(6, 6) for o in "abc"}), nn.Linear(6, 3)))
    batch = (torch.randn(8, 6), torch.randint(3, (8,)))
    task = Task([batch] * 8, [batch] * 2, loss=F.cross_entropy)
    return FBNet(net, task, **settings), task


def test_alphas_wait_ten_of_ninety_epochs_and_take_one_step_after_four_of_the_weights() -> None:
    strategy, task = small()
    taken: list[str] = []
    weights, alphas = strategy.weight_step, strategy.alpha_step
    strategy.weight_step = lambda batches: taken.append("w") or weights(batches)  # type: ignore[method-assign, assignment, func-returns-value]
    strategy.alpha_step = lambda *batches: taken.append("a") or alphas(*batches)  # type: ignore[method-assign, assignment, func-returns-value]
    assert strategy.steps(task.data) == 2
    for done in (9, 10):
        strategy.epoch(done, 90, {})
        strategy.step(task.data)
        taken.append("|")
    assert "".join(taken) == "wwww|awwww|"


def test_weights_and_alphas_are_trained_by_the_papers_recipe() -> None:
    strategy, _ = small()
    (weights,), (alphas,) = strategy.weights.optimiser.param_groups, strategy.alphas.optimiser.param_groups
    assert isinstance(strategy.weights.optimiser, torch.optim.SGD) and weights["lr"] == 0.1 and weights["momentum"] == 0.9
    assert isinstance(strategy.alphas.optimiser, torch.optim.Adam) and (alphas["lr"], alphas["weight_decay"]) == (0.01, 5e-4)
    strategy.epoch(45, 90, {})
    assert strategy.weights.lr == pytest.approx(0.05)


def test_temperatures_that_are_not_positive_are_refused() -> None:
    with pytest.raises(InputError, match="above 0"):
        small(temperature=0.0)
