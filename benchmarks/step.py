"""Seconds and peak memory of one step, interleaved in one run: of DARTS as a textbook has it, plain, and as the package takes it, and of
other methods plain, fast and with native kernels.

    python benchmarks/step.py [--rounds 5] [--batch-size 16] [--threads 2] [--only darts]

Textbook: benchmarks/textbook.py. Plain: the package's supernet in contiguous tensors, nothing shared between edges, and for DARTS one
backward pass for alphas and weights together. Fast: what the package does in PyTorch alone. Native: the same with ``--kernels native``.
All but the textbook, whose weights are other ones, give the same result (tests/test_fast.py, tests/test_native.py). Times are medians of
interleaved rounds, of processor time with one thread and of wall time with more; memory is the peak resident size of a process of its
own, above what it held before the step.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from textbook import Textbook
from torch import Tensor, nn
from torch.nn import functional as F

from supernet import Supernet, Task
from supernet.naming.lookup import design
from supernet.native import kernels
from supernet.spaces import cell, fbnet, proxyless
from supernet.strategies import STRATEGIES
from supernet.strategies.darts import DARTS
from supernet.strategies.retrain import Retrain
from supernet.tree import mapped

Step = Callable[[], Any]
CHAIN = {"stem": "cifar", "shape": (3, 32, 32)}
METHODS: dict[str, tuple[str, Callable[[], Supernet]]] = {
    "pc-darts": ("pc-darts", lambda: cell.supernet(partial=4, least_inputs=2)),
    "gdas": ("gdas", cell.supernet),
    "fbnet": ("fbnet", lambda: fbnet.supernet(**CHAIN)),
    "proxyless": ("proxyless", lambda: proxyless.supernet(**CHAIN)),
    "one-shot": ("one-shot", lambda: proxyless.supernet(**CHAIN)),
}
KINDS = {
    "darts": ("textbook", "plain", "fast", "native"),
    "darts-2nd": ("textbook", "plain", "fast", "native"),
    **dict.fromkeys([*METHODS, "retrain"], ("plain", "fast", "native")),
}


class Contiguous(Task):
    """Tensors lie as they were made: nothing is in channels_last."""

    def prepare(self, batch: Any) -> Any:
        return mapped(lambda x: x.to(self.device), batch)

    def place(self, model: nn.Module) -> nn.Module:
        return model.to(self.device)


class Plain(DARTS):
    """The step as a straightforward program takes it: every backward pass computes every gradient."""

    def alpha_step(self, train: Any, validation: Any) -> None:
        if self.order == 2:
            return super().alpha_step(train, validation)
        alphas = list(self.alphas.values())
        for p in (*self.supernet.parameters(), *alphas):
            p.grad = None
        self.objective(validation, self.mixture(self.relax)).backward()
        self.alphas.apply([alpha.grad for alpha in alphas], self.task.ranks)

    def weight_step(self, batches: Any) -> dict[str, Tensor]:
        def losses() -> Iterator[Tensor]:
            for batch in batches:
                yield self.objective(batch, self.mixture(self.relax))

        self.weights.step(losses(), self.task.ranks)
        return {}


def build(method: str, kind: str, batch_size: int) -> Step:
    """One step of a kind, on images of 3x32x32."""
    torch.manual_seed(0)
    batches = [(torch.randn(batch_size, 3, 32, 32), torch.randint(0, 10, (batch_size,))) for _ in range(2)]
    order = 2 if method == "darts-2nd" else 1
    if kind == "textbook":
        textbook = Textbook(order)
        return lambda: textbook.step(*batches)
    kernels.use("native" if kind == "native" else "torch")  # compiles them where that was not done
    task = (Contiguous if kind == "plain" else Task)(batches, batches, loss=F.cross_entropy)
    strategy: Any
    if method == "retrain":
        network: nn.Module = cell.network(design("darts-v2").plan, auxiliary=True)
        strategy = Retrain(task.place(network), task)
    elif method in METHODS:
        name, make = METHODS[method]
        supernet = make()
        supernet.share = kind != "plain"
        strategy = STRATEGIES[name].load()(task.place(supernet), task)
    else:
        supernet = cell.supernet()
        supernet.share = kind != "plain"
        strategy = (Plain if kind == "plain" else DARTS)(task.place(supernet), task, order=order)

    def step() -> None:
        kernels.use("native" if kind == "native" else "torch")
        strategy.step(task.data)

    return step


def seconds(method: str, rounds: int, batch_size: int) -> dict[str, float]:
    """Median seconds a step of each kind, taken in turn."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    steps = {kind: build(method, kind, batch_size) for kind in KINDS[method]}
    spent: dict[str, list[float]] = {kind: [] for kind in steps}
    for turn in range(rounds + 1):
        for kind, step in steps.items():
            began = clock()
            step()
            if turn:
                spent[kind].append(clock() - began)
    return {kind: statistics.median(times) for kind, times in spent.items()}


def memory(method: str, kind: str, batch_size: int) -> float:
    """Peak MB of one step above what the process held before it."""
    step = build(method, kind, batch_size)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = resident("VmRSS")
    step()
    return resident("VmHWM") - before


def resident(field: str) -> float:
    """A field of this process's status, in MB (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--only", choices=KINDS, nargs="+", default=list(KINDS))
    parser.add_argument("--memory", nargs=2, metavar=("METHOD", "KIND"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.memory:
        print(json.dumps(memory(*given.memory, given.batch_size)))
        return
    print(f"torch {torch.__version__}, {given.threads} threads, batch {given.batch_size}")
    print("| step | kind | s | times as fast as the first | MB | of the first |\n|---|---|---|---|---|---|")
    for method in given.only:
        times, peaks = seconds(method, given.rounds, given.batch_size), {}
        for kind in times:
            command = [sys.executable, __file__, "--batch-size", str(given.batch_size), "--threads", str(given.threads)]
            done = subprocess.run([*command, "--memory", method, kind], check=True, capture_output=True)
            peaks[kind] = json.loads(done.stdout.splitlines()[-1])
        first = KINDS[method][0]
        for kind, spent in times.items():
            ratios = f"{times[first] / spent:.2f} | {peaks[kind]:.0f} | {peaks[kind] / peaks[first]:.2f}"
            print(f"| {method} | {kind} | {spent:.3f} | {ratios} |", flush=True)


if __name__ == "__main__":
    main()
