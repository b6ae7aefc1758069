"""Seconds and peak memory of one DARTS step on the standard supernet, plain and fast, interleaved in one run.

    python benchmarks/step.py [--rounds 5] [--batch-size 16] [--threads 2]

Plain: contiguous tensors, nothing shared between edges, one backward pass for alphas and weights together. Fast: what the
package does. Both give the same result (tests/test_fast.py). Times are medians of interleaved rounds; memory is the peak
resident size of a process of its own, above what it held before the step.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from supernet import Task
from supernet.spaces import cell
from supernet.strategies.darts import DARTS


class Plain(DARTS):
    """The step as a straightforward program takes it: every backward pass computes every gradient."""

    def alpha_step(self, train: Any, validation: Any) -> None:
        if self.order == 2:
            return super().alpha_step(train, validation)
        self.weights.optimiser.zero_grad()
        self.alpha_optimiser.zero_grad()
        self.objective(validation, self.mixture(self.relax)).backward()
        self.alpha_optimiser.step()

    def weight_step(self, batches: Any) -> dict[str, torch.Tensor]:
        (batch,) = batches
        self.weights.optimiser.zero_grad()
        loss = self.objective(batch, self.mixture(self.relax))
        loss.backward()
        self.weights.update()
        return {"loss": loss.detach()}


def build(kind: str, order: int, batch_size: int) -> Callable[[], Any]:
    """One step of a kind on the standard supernet: 8 cells, 16 channels, 3x32x32."""
    torch.manual_seed(0)
    batches = [(torch.randn(batch_size, 3, 32, 32), torch.randint(0, 10, (batch_size,))) for _ in range(2)]
    supernet = cell.supernet()
    supernet.share = kind == "fast"
    task = Task(batches, batches, loss=F.cross_entropy)
    if kind == "fast":
        task.place(supernet)
    else:
        task.data._prepare = lambda batch: batch
    strategy = (DARTS if kind == "fast" else Plain)(supernet, task, order=order)
    return partial(strategy.step, task.data)


def seconds(order: int, rounds: int, batch_size: int) -> dict[str, float]:
    """Median seconds a step of each kind, the two taken in turn."""
    steps = {kind: build(kind, order, batch_size) for kind in ("plain", "fast")}
    spent: dict[str, list[float]] = {kind: [] for kind in steps}
    for turn in range(rounds + 1):
        for kind, step in steps.items():
            began = time.perf_counter()
            step()
            if turn:
                spent[kind].append(time.perf_counter() - began)
    return {kind: statistics.median(times) for kind, times in spent.items()}


def memory(kind: str, order: int, batch_size: int) -> float:
    """Peak MB of one step above what the process held before it."""
    step = build(kind, order, batch_size)
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
    parser.add_argument("--memory", nargs=2, metavar=("KIND", "ORDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.memory:
        print(json.dumps(memory(given.memory[0], int(given.memory[1]), given.batch_size)))
        return
    print(f"torch {torch.__version__}, {given.threads} threads, batch {given.batch_size}")
    for order in (1, 2):
        times = seconds(order, given.rounds, given.batch_size)
        peak = {}
        for kind in times:
            command = [sys.executable, __file__, "--batch-size", str(given.batch_size), "--threads", str(given.threads)]
            peak[kind] = json.loads(subprocess.run([*command, "--memory", kind, str(order)], check=True, capture_output=True).stdout)
        for kind in times:
            print(f"order {order}  {kind:5}  {times[kind]:6.2f} s  {peak[kind]:7.0f} MB")
        print(f"order {order}  ratio  {times['plain'] / times['fast']:6.2f}    {peak['plain'] / peak['fast']:9.2f}")


if __name__ == "__main__":
    main()
