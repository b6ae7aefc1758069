"""Strided 1x1 convolutions of few channels train on the CPU, on images of any size, and compute what they always did.

A kernel that writes past its buffer ends the process: what could meet it runs in one of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import supernet
from supernet import ElasticConv2d, OneOf, Supernet, Task, derive
from supernet.mixture import one_hot
from supernet.modules.convolutions import Routes, strided
from supernet.ops import FactorizedReduce
from supernet.strategies.retrain import Retrain

SEARCH = """
import torch
from torch import nn
from torch.nn import functional as F
from supernet import ElasticConv2d, ElasticLinear, OneOf, Supernet, Task, search
from supernet.ops import FactorizedReduce
from supernet.strategies.retrain import Retrain

torch.set_num_threads(1)
torch.manual_seed(0)

class Net(nn.Module):
    def __init__(self, channels, plain):
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, padding=1)
        options = {"1x1": nn.Conv2d(channels, 4, 1, stride=2), "reduce": FactorizedReduce(channels, 4)}
        self.down = options["1x1"] if plain else OneOf(options)
        self.more = nn.Conv2d(4, 4, 1, stride=3) if plain else ElasticConv2d(4, (2, 4), 1, stride=2)
        self.head = nn.Linear(4, 3) if plain else ElasticLinear(4, 3)
    def forward(self, x):
        return self.head(self.more(self.down(self.stem(x))).mean((2, 3)))

for size, channels in CASES:
    batches = [(torch.randn(8, 3, size, size), torch.randint(0, 3, (8,))) for _ in range(2)]
    task = Task(batches, batches, loss=F.cross_entropy)
    search(Supernet(Net(channels, False)), task, "darts", epochs=1)
    strategy = Retrain(task.place(Net(channels, True)), task, drop_path=0.0)
    for _ in range(3):
        strategy.step(task.data)
print("trained")
"""


@pytest.mark.parametrize(
    "cases",
    [
        "[(28, 3), (48, 12), (64, 8)]",
        *(pytest.param(more, marks=pytest.mark.slow) for more in ("[(96, 1), (224, 4)]", "[(57, 15), (80, 24)]")),
    ],
)
def test_searching_and_retraining_go_through_whatever_the_size_of_the_images(cases: str) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(supernet.__file__).parents[1])}
    code = SEARCH.replace("CASES", cases)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)
    assert (done.returncode, done.stdout) == (0, "trained\n"), done.stderr


CONVOLUTIONS = {
    "plain": lambda: nn.Conv2d(5, 7, 1, 2),
    "bias-free": lambda: nn.Conv2d(5, 7, 1, 2, bias=False),
    "one axis": lambda: nn.Conv2d(5, 7, 1, (1, 3)),
    "valid": lambda: nn.Conv2d(5, 7, 1, 2, padding="valid", dilation=2),
    "transposed": lambda: nn.ConvTranspose2d(5, 7, 1, 2),
    "transposed with more": lambda: nn.ConvTranspose2d(5, 7, 1, (2, 3), output_padding=(1, 2), bias=False),
}


@pytest.mark.parametrize("make", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
@pytest.mark.parametrize("sides", [(6, 6), (7, 4), (1, 5)])
def test_what_is_computed_is_the_convolution_with_its_gradients(make: type[nn.Module], sides: tuple[int, int]) -> None:
    torch.manual_seed(0)
    module = make().double()  # float64 never meets the kernel
    assert strided(nn.Sequential(module)) == [module]
    x = torch.randn(2, 5, *sides, dtype=torch.float64, requires_grad=True)
    plain = module(x)
    slope = torch.randn_like(plain)
    with Routes(module).taken():
        other = module(x)
    learnt = [x, *module.parameters()]
    for a, b in zip(torch.autograd.grad(plain, learnt, slope), torch.autograd.grad(other, learnt, slope), strict=True):
        assert torch.allclose(a, b, atol=1e-12)
    assert torch.allclose(plain, other, atol=1e-12)


@pytest.mark.parametrize(
    "module",
    [nn.Conv2d(16, 4, 1, 2), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3, 2), nn.Conv2d(4, 4, 1, 2, padding=1), nn.Conv2d(4, 4, 1, 2, groups=2)],
)
def test_other_convolutions_are_left_alone(module: nn.Module) -> None:
    assert strided(module) == []


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.reduce = OneOf({"1x1": nn.Conv2d(3, 4, 1, 2), "factorized": FactorizedReduce(3, 4)})
        self.elastic = ElasticConv2d(4, (2, 4), 1, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.elastic(self.reduce(x)).mean((2, 3))


def test_nothing_of_it_is_left_when_the_network_has_run() -> None:
    torch.manual_seed(0)
    net, x = Supernet(Net()), torch.randn(2, 3, 8, 8)
    before = [set(m.__dict__) for m in net.modules()]
    arch = {"reduce": "1x1", "elastic": 4}
    out = net(one_hot(net.space, net.space.check(arch)), x)
    with pytest.raises(RuntimeError):
        net(one_hot(net.space, net.space.check(arch)), x[:, :2])
    assert [set(m.__dict__) for m in net.modules()] == before
    derived = derive(net, arch, x)
    assert torch.allclose(derived(x), out, atol=1e-6)
    assert all("_conv_forward" not in m.__dict__ for m in derived.modules())
    task = Task([(x, torch.tensor([0, 1]))], loss=F.cross_entropy)
    Retrain(derived, task, drop_path=0.0).step(task.data)
    assert all("_conv_forward" not in m.__dict__ for m in derived.modules())
