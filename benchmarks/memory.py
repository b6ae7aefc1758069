"""What one step keeps for its backward pass, and peak memory, for DARTS and ProxylessNAS as the candidate operations double.

    python benchmarks/memory.py [--operations 6] [--batch-size 16] [--threads 2]

On a chain of six searchable layers for 3x32x32 images, whose candidates are inverted residuals of kernels 3, 5, 7 and expansions 6,
3. Saved: the bytes of all tensors, parameters aside, that autograd keeps in a weight step and in an alpha step. Peak: the
largest resident size while both are taken, above what the process held before; each line is a process of its own (Linux). The
alphas of ProxylessNAS are such that it draws from the dearest operations.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet import OneOf, Supernet, Task
from supernet.ops import InvertedResidual, conv_norm_act
from supernet.strategies.darts import DARTS
from supernet.strategies.gradient import Gradient
from supernet.strategies.proxyless import ProxylessNAS

METHODS = {"darts": DARTS, "proxyless": ProxylessNAS}
KINDS = [(kernel, expansion) for expansion in (6, 3) for kernel in (3, 5, 7)]
LAYERS = [(16, 24, 1), (24, 24, 1), (24, 40, 2), (40, 40, 1), (40, 80, 2), (80, 80, 1)]  # inputs, outputs, stride


class Chain(nn.Module):
    """Layers of ``operations`` candidates each; more than there are kinds repeat them."""

    def __init__(self, operations: int):
        super().__init__()
        self.stem = conv_norm_act(3, 16, 3)
        kinds = [KINDS[i % len(KINDS)] for i in range(operations)]
        self.layers = nn.Sequential(
            *(OneOf({f"{i}": InvertedResidual(*place[:2], *kind, place[2]) for i, kind in enumerate(kinds)}) for place in LAYERS)
        )
        self.head = nn.Linear(80, 10)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.layers(self.stem(x)).mean((2, 3)))
        return logits


def steps(method: str, operations: int, batch_size: int) -> tuple[Gradient, dict[str, Callable[[], Any]]]:
    """A strategy, and its two steps by name."""
    torch.manual_seed(0)
    batch = (torch.randn(batch_size, 3, 32, 32), torch.randint(0, 10, (batch_size,)))
    supernet, task = Supernet(Chain(operations)), Task([batch], [batch], loss=F.cross_entropy)
    task.place(supernet)
    strategy = METHODS[method](supernet, task)
    if method == "proxyless":
        for alpha in strategy.alphas.values():
            alpha.data[:3] += 50.0
    batch = task.data.next("train")
    return strategy, {"weight": lambda: strategy.weight_step([batch]), "alpha": lambda: strategy.alpha_step(batch, batch)}


def saved(strategy: Gradient, step: Callable[[], Any]) -> int:
    """The bytes that a step keeps for its backward pass, each storage once, without parameters."""
    own = {p.untyped_storage().data_ptr() for p in strategy.supernet.parameters()}
    held: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        if (place := tensor.untyped_storage().data_ptr()) not in own:
            held[place] = tensor.detach()  # held, so that its place is not used again
        return tensor.detach()  # an output that its own graph held would stay for ever

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        step()
    return sum(tensor.untyped_storage().nbytes() for tensor in held.values())


def measured(method: str, operations: int, batch_size: int) -> dict[str, float]:
    """MB: peak of both steps, saved by each."""
    strategy, taken = steps(method, operations, batch_size)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = resident("VmRSS")
    for step in taken.values():
        step()
    peak = resident("VmHWM") - before
    return {**{name: saved(strategy, step) / 2**20 for name, step in taken.items()}, "peak": peak}


def resident(field: str) -> float:
    """A field of this process's status, in MB (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--measure", nargs=2, metavar=("METHOD", "OPERATIONS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.measure:
        print(json.dumps(measured(given.measure[0], int(given.measure[1]), given.batch_size)))
        return
    print(f"torch {torch.__version__}, {given.threads} threads, batch {given.batch_size}; MB")
    print(f"{'':10} operations  saved: weights   alphas   peak memory")
    for method in METHODS:
        found = {}
        for operations in (given.operations, 2 * given.operations):
            command = [sys.executable, __file__, "--batch-size", str(given.batch_size), "--threads", str(given.threads)]
            done = subprocess.run([*command, "--measure", method, str(operations)], check=True, capture_output=True)
            found[operations] = line = json.loads(done.stdout)
            print(f"{method:10} {operations:10}  {line['weight']:14.1f} {line['alpha']:8.1f} {line['peak']:13.1f}")
        once, twice = found.values()
        ratios = [twice[name] / once[name] for name in ("weight", "alpha", "peak")]
        print(f"{method:10} {'ratio':>10}  {ratios[0]:14.2f} {ratios[1]:8.2f} {ratios[2]:13.2f}")


if __name__ == "__main__":
    main()
