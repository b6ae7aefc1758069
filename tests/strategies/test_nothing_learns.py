"""Steps in which nothing learns, and searches in which nothing could."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet import InputError, OneOf, SomeOf, Supernet, Task, search
from supernet.strategies import STRATEGIES

SINGLE_LEVEL = ("darts", "gdas", "snas")
LAYERS_OF_THEIR_OWN = {"single-path", "p-darts", "darts-minus", "bignas", "attentive", "ofa", "smash"}  # which they need


class Net(nn.Module):
    """Of all weights only those of one option learn."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(4, 4).requires_grad_(False), nn.Linear(4, 2).requires_grad_(False)
        self.block = OneOf({"linear": nn.Linear(4, 4), "skip_connect": nn.Identity()}, name="block")

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.block(self.stem(x)))
        return out


def batches(n: int) -> list[tuple[Tensor, Tensor]]:
    rng = torch.Generator().manual_seed(n)
    return [(torch.randn(4, 4, generator=rng), torch.randint(2, (4,), generator=rng)) for _ in range(n)]


def searched(method: str, **settings: Any) -> Supernet:
    torch.manual_seed(0)
    net = Supernet(Net())
    search(net, Task(batches(6), batches(3), loss=F.cross_entropy), method, epochs=3, trials=2, **settings)
    return net


@pytest.mark.parametrize(
    "method", [pytest.param(m, marks=pytest.mark.slow if m == "enas" else ()) for m in sorted(STRATEGIES.keys() - LAYERS_OF_THEIR_OWN)]
)
def test_a_path_without_trained_weights_changes_nothing_and_the_next_one_learns(method: str) -> None:
    torch.manual_seed(0)
    before, after = Net(), searched(method).model
    assert not torch.equal(before.block.branches[0].weight, after.block.branches[0].weight)
    assert torch.equal(before.stem.weight, after.stem.weight) and torch.equal(before.head.weight, after.head.weight)


@pytest.mark.parametrize("method", SINGLE_LEVEL)
def test_one_loss_for_alphas_and_weights_may_have_no_trained_weights_in_it(method: str) -> None:
    searched(method, single_level=True, warmup=2)


@pytest.mark.parametrize("method", STRATEGIES)
def test_a_network_without_parameters_is_refused(method: str) -> None:
    net = Supernet(OneOf({"same": nn.Identity(), "softmax": nn.Softmax(1)}))
    with pytest.raises(InputError, match=r"no parameters| needs |build the supernet"):
        search(net, Task(batches(2), batches(2), loss=F.cross_entropy), method, epochs=1, trials=2)


def test_a_method_whose_alphas_are_for_nothing_says_so() -> None:
    class Sums(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.sum = SomeOf([nn.Linear(4, 2), nn.Linear(4, 2)], pick=(1, 1))

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.sum([x, x])
            return out

    with pytest.raises(InputError, match=r"DARTS has nothing to learn: every choice keeps several of its options"):
        search(Supernet(Sums()), Task(batches(2), batches(2), loss=F.cross_entropy), "darts", epochs=1)
    assert search(Supernet(Sums()), Task(batches(2), batches(2), loss=F.cross_entropy), "pc-darts", epochs=1).architecture
