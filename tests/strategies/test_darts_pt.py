"""DARTS-PT: selection by what the supernet loses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet import InputError, OneOf, Supernet, Task
from supernet.layers.some_of import SomeOf
from supernet.strategies.darts_pt import DARTSPT


class Scale(nn.Module):
    """Multiplies by a constant."""

    def __init__(self, by: float):
        super().__init__()
        self.by = by

    def forward(self, x: Tensor) -> Tensor:
        return self.by * x


class Net(nn.Module):
    """Adds up what two of three edges make of the input; ``useful`` is what brings the outputs near the targets."""

    def __init__(self) -> None:
        super().__init__()
        scales = ((0.0, 1.0), (0.0, 3.0), (0.0, 2.0))
        edges = [OneOf({"off": Scale(a), "on": Scale(b)}, name=f"edge{i}") for i, (a, b) in enumerate(scales)]
        self.node, self.bias = SomeOf(edges, pick=(2, 2), name="node"), nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.node([x, x, x]) + self.bias


def search(factor: float = 5.0, **settings: Any) -> DARTSPT:
    x = torch.randn(16, 1, generator=torch.Generator().manual_seed(0))
    task = Task([(x, factor * x)] * 2, [(x, factor * x)], loss=F.mse_loss)
    return DARTSPT(Supernet(Net()), task, tune_epochs=1, **settings)


def test_options_and_inputs_that_the_supernet_misses_most_stay_whatever_the_alphas_say() -> None:
    strategy = search()
    strategy.epoch(0, 1, {})
    for name, alpha in strategy.alphas.items():
        alpha.data.copy_(torch.tensor([2.0, -2.0]))
        assert strategy.architecture()[name] == "off"
    strategy.finish(strategy.task.data)
    found = strategy.architecture()
    assert found == {"node": (1, 2), "edge0": "on", "edge1": "on", "edge2": "on"}
    assert strategy.supernet.space.check(found)


def test_weights_are_tuned_between_decisions_at_a_tenth_of_the_rate() -> None:
    strategy = search()
    rates: list[float] = []
    step = strategy.weight_step
    strategy.weight_step = lambda batches: (rates.append(strategy.weights.lr), step(batches))[1]  # type: ignore[method-assign, func-returns-value]
    strategy.epoch(0, 1, {})
    strategy.finish(strategy.task.data)
    assert rates == pytest.approx([0.0025] * 3 * 2)  # after all but the last of four choices, an epoch of two steps


def test_selection_is_the_same_for_the_same_seed() -> None:
    found = []
    for _ in range(2):
        strategy = search(factor=0.3, seed=3)
        strategy.epoch(0, 1, {})
        strategy.step(strategy.task.data)
        strategy.finish(strategy.task.data)
        found.append((strategy.architecture(), strategy.supernet.model.bias.item()))
    assert found[0] == found[1]


def test_task_without_validation_data_is_refused() -> None:
    x = torch.randn(4, 1)
    with pytest.raises(InputError, match="validation loader"):
        DARTSPT(Supernet(Net()), Task([(x, x)], loss=F.mse_loss), alphas_on="train")
