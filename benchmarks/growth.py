"""How cost grows: seconds and memory of a step with cells, channels, operations and images, and what a space needs with ever more choices.

    python benchmarks/growth.py [--rounds 3] [--out pictures] [--only cells channels operations images choices]

Steps: of DARTS, GDAS and one-shot on the cell supernet (8 cells, 8 channels, 8 operations, 3x32x32, 8 images), of which one size is
changed at a time. Methods are taken in turn; seconds are medians of processor time with one thread, MB are what a step keeps for
its backward passes. Choices: a chain of layers with two options each, and what is asked of its space, of its table of parameters and of
its networks. Last come the exponent e of size^e, fitted to logarithms, and that of the last two sizes alone.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from memory import saved
from torch import nn
from torch.nn import functional as F

from supernet import OneOf, Supernet, Task, derive
from supernet.costs.table import count_tables
from supernet.described import described_network
from supernet.mixture import expected
from supernet.relaxations import softmax
from supernet.report.chart import Series, chart
from supernet.spaces import cell
from supernet.strategies import STRATEGIES

Grown = dict[str, dict[int, float]]  # what -> size -> cost
METHODS = ("darts", "gdas", "one-shot")
OPERATIONS = ["sep_conv_3x3", "dil_conv_3x3", "sep_conv_5x5", "dil_conv_5x5", "max_pool_3x3", "avg_pool_3x3", "skip_connect", "none"]
SIZES = {"cells": 8, "channels": 8, "operations": 8, "images": 8}
GROWN = {"cells": (4, 8, 16, 32), "channels": (4, 8, 16, 32), "operations": (2, 4, 6, 8), "images": (4, 8, 16, 32)}
CHOICES = (10, 100, 1000)


def strategy_of(method: str, cells: int, channels: int, operations: int, images: int) -> Any:
    """A method on a cell supernet of these sizes."""
    torch.manual_seed(0)
    batch = (torch.randn(images, 3, 32, 32), torch.randint(0, 10, (images,)))
    task = Task([batch], [batch], loss=F.cross_entropy)
    supernet = cell.supernet(cells=cells, channels=channels, operations=tuple(OPERATIONS[:operations]))
    return STRATEGIES[method].load()(task.place(supernet), task)


def steps(what: str, rounds: int) -> tuple[Grown, Grown]:
    """Seconds and MB of a step of every method, by a size."""
    spent: Grown = {method: {} for method in METHODS}
    kept: Grown = {method: {} for method in METHODS}
    for size in GROWN[what]:
        made = {method: strategy_of(method, **{**SIZES, what: size}) for method in METHODS}
        calls = {method: partial(strategy.step, strategy.task.data) for method, strategy in made.items()}
        for method, strategy in made.items():
            kept[method][size] = saved(strategy, calls[method]) / 2**20
        for method, seconds in in_turn(calls, rounds).items():
            spent[method][size] = seconds
    return spent, kept


def in_turn(calls: Mapping[Any, Callable[[], Any]], rounds: int) -> dict[Any, float]:
    """The median processor seconds of each call, all taken in turn."""
    spent: dict[Any, list[float]] = {key: [] for key in calls}
    for _ in range(rounds):
        for key, call in calls.items():
            began = time.process_time()
            call()
            spent[key].append(time.process_time() - began)
    return {key: statistics.median(times) for key, times in spent.items()}


def chain(choices: int) -> Supernet:
    """So many layers in a row, each a choice of two."""
    return Supernet(nn.Sequential(*(OneOf({"linear": nn.Linear(16, 16), "none": nn.Identity()}) for _ in range(choices))))


def asked(choices: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    """What is asked of a space of so many choices, and of its networks."""
    supernet, rng, example = chain(choices), Random(0), torch.randn(1, 16)
    space = supernet.space
    table, drawn = count_tables(supernet, example)["params"], space.sample(rng)
    mixture = {name: softmax(torch.zeros(len(choice.options)), torch.Generator()) for name, choice in space.items()}
    yield "space.sample", partial(space.sample, rng)
    yield "space.mutate", partial(space.mutate, drawn, rng)
    yield "space.key", partial(space.key, drawn)
    yield "expected", partial(expected, space, mixture, table)
    yield "count_tables", partial(count_tables, supernet, example)
    yield "derive", partial(derive, supernet, drawn, example)
    yield "describe", lambda: described_network(supernet)


def spaces(rounds: int) -> Grown:
    """Milliseconds of what is asked, by the number of choices."""
    calls = {(name, choices): call for choices in CHOICES for name, call in asked(choices)}
    taken = in_turn(calls, rounds)
    return {name: {n: 1000 * taken[name, n] for n in CHOICES} for name in dict.fromkeys(name for name, _ in calls)}


def exponents(costs: Mapping[int, float]) -> tuple[float, float]:
    """Of all sizes, by least squares of logarithms, and of the last two."""
    x, y = np.log(list(costs)), np.log(np.maximum(list(costs.values()), 1e-9))
    return float(np.polyfit(x, y, 1)[0]), float((y[-1] - y[-2]) / (x[-1] - x[-2]))


def show(what: str, grown: Grown, out: Path | None, unit: str) -> None:
    """A table, and a picture with both axes by their logarithms."""
    sizes = list(next(iter(grown.values())))
    print(f"\n| {unit} by {what} | {' | '.join(map(str, sizes))} | exponent | of the last two |\n|{'---|' * (len(sizes) + 3)}")
    for name, costs in grown.items():
        numbers = " | ".join(f"{costs[size]:.3g}" for size in sizes)
        print(f"| {name} | {numbers} | {' | '.join(f'{e:.2f}' for e in exponents(costs))} |", flush=True)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        series = [Series(name, [(float(size), cost) for size, cost in costs.items()]) for name, costs in grown.items()]
        (out / f"{what}-{unit}.svg").write_text(chart(series, unit, what, log="xy"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", choices=[*GROWN, "choices"], nargs="+", default=[*GROWN, "choices"])
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, one thread, median of {given.rounds}")
    for what in given.only:
        if what == "choices":
            show(what, spaces(given.rounds), given.out, "ms")
        else:
            for grown, unit in zip(steps(what, given.rounds), ("s", "MB"), strict=True):
                show(what, grown, given.out, unit)


if __name__ == "__main__":
    main()
