"""Strict fairness: every option is trained as often as every other, and a step is one update by all of its paths."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet import OneOf, Supernet, Task
from supernet.mixture import Mixture
from supernet.strategies.fairnas import FairNAS
from supernet.strategies.weights import Weights


def net(*options: int) -> Supernet:
    """Choices between so many linear layers each."""
    torch.manual_seed(0)
    layers = [OneOf({f"o{i}": nn.Linear(4, 4) for i in range(n)}, name=f"choice{j}") for j, n in enumerate(options)]
    return Supernet(nn.Sequential(*layers))


def task() -> Task:
    g = torch.Generator().manual_seed(0)
    batches = [(torch.randn(6, 4, generator=g), torch.randint(4, (6,), generator=g)) for _ in range(12)]
    return Task(batches[:9], batches[9:], loss=F.cross_entropy)


def watched(strategy: FairNAS) -> list[Mixture]:
    """The blends of all forward passes from now on."""
    ran: list[Mixture] = []
    strategy.supernet.register_forward_pre_hook(lambda module, given: ran.append(given[0]))
    return ran


def counts(ran: list[Mixture], name: str) -> Counter[int]:
    return Counter(mixture[name].runs[0] for mixture in ran)


def test_after_t_steps_every_option_was_trained_exactly_t_times() -> None:
    strategy = FairNAS(net(3, 3, 3), task())
    ran = watched(strategy)
    for step in range(1, 6):
        strategy.step(strategy.task.data)
        assert all(counts(ran, f"choice{j}") == dict.fromkeys(range(3), step) for j in range(3))
    assert len({str([ran[i][f"choice{j}"].runs for i in range(15)]) for j in range(3)}) == 3  # permuted by each choice for itself


@pytest.mark.parametrize("options", [(3, 2), (5, 3, 2, 1)])
def test_of_unequal_choices_no_option_is_ever_ahead_by_more_than_one(options: tuple[int, ...]) -> None:
    strategy = FairNAS(net(*options), task())
    ran = watched(strategy)
    for step in range(1, 8):
        strategy.step(strategy.task.data)
        assert len(ran) == step * max(options)
        for j, n in enumerate(options):
            often = [counts(ran, f"choice{j}")[i] for i in range(n)]
            assert max(often) - min(often) <= 1
    assert counts(ran, "choice0") == dict.fromkeys(range(options[0]), 7)


def test_a_step_is_one_update_by_the_sum_of_the_gradients_of_its_paths_each_on_a_batch_of_its_own() -> None:
    plain: dict[str, Any] = {"weights": partial(Weights, lr=0.1, momentum=0.0, decay=0.0, clip=None)}
    strategy, other = FairNAS(net(3, 3), task(), **plain), task()
    ran, twin = watched(strategy), net(3, 3)
    strategy.step(strategy.task.data)
    losses: list[Tensor] = []
    for mixture in ran:
        x, y = other.data.next("train")
        losses.append(F.cross_entropy(twin(mixture, x), y))
    torch.stack(losses).sum().backward()
    for p, q in zip(strategy.supernet.parameters(), twin.parameters(), strict=True):
        assert q.grad is not None and torch.allclose(p, q - 0.1 * q.grad, atol=1e-6)
    assert torch.equal(strategy.task.data.next("train")[0], other.data.next("train")[0])  # three batches were taken


def test_a_pass_over_the_data_has_as_many_steps_as_sets_of_batches() -> None:
    assert FairNAS(net(3, 2), task()).steps(task().data) == 3
    assert FairNAS(net(4), task(), weights={"accumulate": 2}).steps(task().data) == 1
