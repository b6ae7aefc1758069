"""Sharing pure operations, gradients by phase and channels_last change nothing but the time: float64, against the plain path."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from supernet import Supernet, Task
from supernet.spaces import cell, nasbench201
from supernet.strategies.darts import DARTS

BATCHES = 3


def trained(make: Any, fast: bool, order: int) -> tuple[list[torch.Tensor], Supernet]:
    """Weights, running statistics and alphas after three steps, and the outputs in evaluation mode."""
    torch.manual_seed(0)
    net = make()
    net.share = fast
    batches = [(torch.randn(8, 3, 8, 8), torch.randint(0, 10, (8,))) for _ in range(BATCHES)]
    task = Task(batches, batches, loss=F.cross_entropy)
    if fast:
        task.place(net)
    else:
        task.data._prepare = lambda batch: batch
    strategy = DARTS(net, task, order=order)
    for p in strategy.alphas.values():
        p.data.normal_()
    for _ in range(BATCHES):
        strategy.step(task.data)
    net.eval()
    out = net(strategy.mixture(strategy.relax), batches[0][0])
    return [*net.state_dict().values(), *strategy.alphas.values(), out], net


FAST = {
    "cell": lambda: cell.supernet(channels=4, cells=4, nodes=2, shape=(3, 8, 8)),
    "partial": lambda: cell.supernet(channels=8, cells=3, nodes=2, shape=(3, 8, 8), partial=4),
    "nasbench201": lambda: nasbench201.supernet(channels=4, cells=1, shape=(3, 8, 8)),
}
LONG = [pytest.param(*each, marks=pytest.mark.slow) for each in (("partial", 1), ("cell", 2), ("nasbench201", 2))]


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(("name", "order"), [("cell", 1), ("nasbench201", 1), ("partial", 2), *LONG])
def test_the_fast_path_equals_the_plain_one(name: str, order: int) -> None:
    plain, _ = trained(FAST[name], False, order)
    fast, net = trained(FAST[name], True, order)
    assert any(p.is_contiguous(memory_format=torch.channels_last) and not p.is_contiguous() for p in net.parameters() if p.dim() == 4)
    tolerance = 1e-9 if order == 1 else 1e-6  # the second order's difference quotient magnifies rounding at the kinks
    for a, b in zip(plain, fast, strict=True):
        assert torch.allclose(a.double(), b.double(), rtol=tolerance, atol=tolerance)


@pytest.mark.usefixtures("double")
def test_every_pooled_edge_keeps_its_own_running_statistics() -> None:
    torch.manual_seed(0)
    net = cell.supernet(channels=4, cells=3, shape=(3, 16, 16))
    x = torch.randn(4, 3, 16, 16)
    counted = {n: b for n, b in net.named_buffers() if n.endswith("num_batches_tracked")}
    mixture = {n: (len(c.options), c) for n, c in net.space.items()}
    from supernet.mixture import Mix

    net({n: Mix(None, tuple(range(k))) for n, (k, _) in mixture.items()}, x)
    assert set(map(int, counted.values())) == {1}
