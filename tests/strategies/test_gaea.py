"""GAEA's update against the formula, the mirror descent that it is, and autograd's own gradient."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from supernet import InputError, OneOf, Supernet, Task
from supernet.strategies.gaea import GAEA, LEAST, ExponentiatedGradient


def made(**settings: Any) -> tuple[GAEA, Task]:
    torch.manual_seed(0)
    options = {"linear": nn.Linear(4, 4), "tanh": nn.Tanh(), "skip": nn.Identity()}
    batches = [(torch.randn(8, 4).double(), torch.randint(3, (8,))) for _ in range(2)]
    task = Task(batches[:1], batches[1:], loss=F.cross_entropy)
    return GAEA(Supernet(nn.Sequential(OneOf(options, name="one"), nn.Linear(4, 3))).double(), task, **settings), task


def stepped(share: list[float], gradient: list[float], lr: float) -> list[float]:
    p = nn.Parameter(torch.tensor(share, dtype=torch.float64))
    p.grad = torch.tensor(gradient, dtype=torch.float64)
    ExponentiatedGradient([p], lr).step()
    return p.tolist()


def test_the_update_is_that_of_the_paper() -> None:
    share, gradient, lr = [0.2, 0.5, 0.3], [1.0, -2.0, 0.5], 0.1
    grown = [s * math.exp(-lr * g) for s, g in zip(share, gradient, strict=True)]
    assert stepped(share, gradient, lr) == pytest.approx([g / sum(grown) for g in grown], rel=1e-12)


def test_the_update_is_the_mirror_step_under_the_relative_entropy() -> None:
    share, gradient, lr = torch.tensor([0.2, 0.5, 0.3]).double(), torch.tensor([1.0, -2.0, 0.5]).double(), 0.4
    new = torch.tensor(stepped(share.tolist(), gradient.tolist(), lr))

    def descended(p: torch.Tensor) -> torch.Tensor:
        return lr * (gradient * p).sum() + (p * (p / share).log()).sum()

    rng = torch.Generator().manual_seed(0)
    for _ in range(200):
        other = new + 0.05 * torch.randn(3, generator=rng, dtype=torch.float64)
        other = other.clamp(min=1e-6) / other.clamp(min=1e-6).sum()
        assert descended(new) <= descended(other)


def test_shares_stay_shares_and_none_is_lost_for_good() -> None:
    new = stepped([0.5, 0.5], [1000.0, 0.0], 1.0)
    assert new == pytest.approx([LEAST / (0.5 + LEAST), 0.5 / (0.5 + LEAST)])  # as in the code, it is kept up before the shares are


def test_a_step_moves_the_equal_first_shares_by_the_slope_of_the_validation_loss() -> None:
    strategy, task = made(weights={"lr": 0.1})
    assert strategy.belief() == {"one": [1 / 3] * 3}
    (batch,) = task.data.each("validation")
    alpha = strategy.alphas["one"].detach().clone().requires_grad_()
    loss = strategy.objective(batch, {"one": strategy.relax(alpha, strategy.rng)})
    (slope,) = torch.autograd.grad(loss, alpha)
    strategy.step(task.data)
    expected = (alpha * (-0.1 * slope).exp()).detach()
    assert torch.allclose(strategy.alphas["one"].detach(), expected / expected.sum(), rtol=1e-12)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"alpha_decay": 0.1}, "alpha_decay would have no effect"),
        ({"alpha_betas": (0.9, 0.9)}, "alpha_betas would have no effect"),
        ({"regularise": ("beta",)}, "excludes regularise"),
        ({"alpha_lr": 0.0}, "alpha_lr must be above 0"),
    ],
)
def test_settings_that_do_not_go_with_shares_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        made(**settings)
