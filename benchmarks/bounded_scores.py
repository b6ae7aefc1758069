"""Do scores of untrained networks choose well within a bound? Of networks of NAS-Bench-201 drawn at random, on CIFAR-10.

    python benchmarks/bounded_scores.py nb201.npz nb201_latency.npz [--drawn 300]

Networks are scored as ``auto`` scores them (8 channels, one cell a stage), by ``standing`` and by ``jacob-cov``. Bounds are quartiles of
the multiply-adds, and of the latencies of devices, of the table. Of each bound: the best test accuracy of those within it, what the best
of 10 of them drawn at random has in the mean, what the first by each score has, and the best of its first four. A Markdown table, with the
means of its rows. CIFAR-10 is looked for in $SUPERNET_DATA.
"""

from __future__ import annotations

import argparse
from functools import partial
from random import Random
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from supernet import Task
from supernet.data import images
from supernet.data.batches import KNOWN, Batches
from supernet.estimators.jacob_cov import JacobCov
from supernet.estimators.standing import Standing
from supernet.estimators.tabular import Table
from supernet.progress import Progress
from supernet.space import Architecture
from supernet.spaces import nasbench201

TIMES, TEN, FEW = 2000, 10, 4
QUARTILES = (0.25, 0.5, 0.75, 1.0)
DEVICES = ("1080ti_1", "2080ti_32", "silver_4210r")
SIZES = {"channels": 8, "cells": 1, "shape": (3, 32, 32)}
Values = np.ndarray[Any, Any]


def scored(drawn: list[Architecture]) -> dict[str, Values]:
    """What each score says of each architecture."""
    mean, std = KNOWN["cifar10"]
    data = images.load("cifar10")
    few = Batches(data.x_train[-64:], data.y_train[-64:], 64, train=False, mean=mean, std=std)
    task, build = Task(few, few, loss=F.cross_entropy), partial(nasbench201.network, **SIZES)
    scores = (Standing(build, task, space=nasbench201.supernet(**SIZES).space), JacobCov(build, task))
    progress, found = Progress("scoring", len(drawn), unit="networks"), []
    for architecture in drawn:
        found.append({name: value for score in scores for name, value in score(architecture).items()})
        progress.advance()
    progress.close()
    return {name: np.array([entry[name] for entry in found]) for name in found[0]}


def row(cost: Values, bound: float, test: Values, scores: dict[str, Values], rng: np.random.Generator) -> list[float]:
    """The figures of a bound."""
    within = np.flatnonzero(cost <= bound)
    chosen = [test[within[np.argsort(-score[within])[:FEW]]] for score in scores.values()]
    drawn = test[rng.choice(within, (TIMES, TEN))].max(1).mean()
    return [test[within].max(), drawn, *(value for first in chosen for value in (first[0], first.max()))]


def written(name: str, figures: Any) -> str:
    """A line of the table."""
    return f"| {name} | {' | '.join(f'{value:.2f}' for value in figures)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table")
    parser.add_argument("latencies")
    parser.add_argument("--drawn", type=int, default=300)
    given = parser.parse_args()
    torch.set_num_threads(1)
    space, draw, rng = nasbench201.supernet(**SIZES).space, Random(0), np.random.default_rng(0)
    own = Table.read(given.table, space=space, report="test200_v11")
    timed = {device: Table.read(given.table, space=space, latency=given.latencies, device=device) for device in DEVICES}
    drawn = [space.sample(draw) for _ in range(given.drawn)]
    drawn = [architecture for architecture in drawn if np.isfinite(own.report(architecture)["test"])]
    scores, test = scored(drawn), np.array([own.report(architecture)["test"] for architecture in drawn])
    costs = {"multiply-adds": (own, "macs")} | {f"latency on {device}": (table, "latency") for device, table in timed.items()}
    heads = [f"{which} by {score}" for score in scores for which in ("first", f"best of {FEW}")]
    print(f"| bound, quartile | best | best of {TEN} drawn | {' | '.join(heads)} |")
    print(f"|{'---|' * (3 + len(heads))}")
    rows = []
    for name, (table, cost) in costs.items():
        every = np.array(table.every()[cost])
        for quartile in QUARTILES:
            of_drawn = np.array([table.costs(architecture)[cost] for architecture in drawn])
            rows.append(row(of_drawn, float(np.quantile(every, quartile)), test, scores, rng))
            print(written(f"{name}, {quartile:.2f}", rows[-1]), flush=True)
    bounded = [figures for number, figures in enumerate(rows) if QUARTILES[number % len(QUARTILES)] < 1]
    print(written("mean of those that bind", np.mean(bounded, axis=0)))


if __name__ == "__main__":
    main()
