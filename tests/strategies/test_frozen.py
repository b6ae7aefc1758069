"""Every method with networks some of whose parameters do not learn."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from supernet import OneOf, SomeOf, Supernet, Task, UpTo, search
from supernet.errors import InputError
from supernet.layers.auxiliary_skip import AuxiliarySkip
from supernet.layers.hypernetwork import Generated, GeneratedConv2d, HyperNetwork
from supernet.layers.superkernel import SuperKernelBlock
from supernet.ops import SkipDropout
from supernet.strategies import STRATEGIES

KINDS = ("one that takes no part", "a frozen layer", "all frozen")


class Made(nn.Module):
    """One or two convolutions whose weights are generated."""

    def __init__(self) -> None:
        super().__init__()
        edges = [GeneratedConv2d(4, 4) for _ in range(2)]
        self.read = SomeOf(edges, pick=(1, 2), name="block")
        self.maker = HyperNetwork([Generated("block", frozenset((0, 1)), "block", edges, {}, ())], 2, 2, 2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.maker(x)
        return self.read([x, x])


class Net(nn.Module):
    def __init__(self, kind: str, method: str):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        edge: nn.Module = OneOf({"conv": nn.Conv2d(4, 4, 1), "skip_connect": nn.Identity()}, name="block")
        if method == "p-darts":
            edge = OneOf({"conv": nn.Conv2d(4, 4, 1), "skip_connect": SkipDropout()}, name="block")
        elif method == "darts-minus":
            edge = AuxiliarySkip(edge)
        elif method == "single-path":
            edge = SuperKernelBlock(4, 4, name="block")
        elif method == "smash":
            edge = Made()
        elif method in ("bignas", "attentive", "ofa"):
            edge = UpTo([edge, nn.Identity()], (1, 2), name="depth")
        self.block, self.head = edge, nn.Linear(4, 2)
        if kind == KINDS[0]:
            self.unused = nn.Linear(3, 3)
        elif kind == KINDS[1]:
            self.stem.requires_grad_(False)
        else:
            self.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.block(self.stem(x)).mean((2, 3)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", STRATEGIES)
def test_a_method_runs_with_parameters_that_do_not_learn_or_says_why_not(method: str, kind: str) -> None:
    torch.manual_seed(0)
    batches = [(torch.randn(4, 1, 4, 4), torch.randint(2, (4,))) for _ in range(2)]
    net = Supernet(Net(kind, method))
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    extra: dict[str, Any] = {"p-darts": {"stages": [{}], "dropout": [0.0], "keep": [2]}, "ofa": {"trained": True}}.get(method, {})
    run = lambda: search(net, Task(batches, batches, loss=F.cross_entropy), method, epochs=1, trials=1, **extra)  # noqa: E731
    if kind == "all frozen":
        with pytest.raises(InputError, match="no weights to train: all of its parameters are frozen"):
            run()
        return
    found = run()
    after = dict(found.supernet.named_parameters()) if found.supernet else {}
    still = "model.unused.weight" if kind == KINDS[0] else "model.stem.weight"
    assert torch.equal(after[still], before[still])
    assert not torch.equal(after["model.head.weight"], before["model.head.weight"])
