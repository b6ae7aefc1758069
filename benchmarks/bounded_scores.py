"""Do scores of untrained networks choose well within a bound? By those that NAS-Bench-201's table has, at the benchmark's own size.

    python benchmarks/bounded_scores.py nb201.npz [nb201_latency.npz]

Bounds are quartiles of the multiply-adds, and of the latencies of devices, over all networks. Of each bound: the best test accuracy on
CIFAR-10 within it, what the best of 10 networks drawn within it has in the mean, what the first by ``standing`` (naswot and synflow) has,
the best of its first four, and the one that multiplies and adds most. A Markdown table.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

DRAWN, TIMES = 10, 2000
QUARTILES = (0.25, 0.5, 0.75, 1.0)
DEVICES = ("1080ti_1", "2080ti_32", "silver_4210r")
Values = np.ndarray[Any, Any]


def standing(*scores: Values) -> Values:
    """The mean of scores, each in interquartile ranges above its median, as ``supernet.estimators.standing`` has it."""
    columns = []
    for score in scores:
        able = score[np.isfinite(score)]
        low, median, high = np.percentile(able, (25, 50, 75))
        columns.append(np.maximum((np.where(np.isfinite(score), score, able.min()) - median) / (high - low), -5.0))
    found: Values = np.mean(columns, axis=0)
    return found


def row(name: str, quartile: float, cost: Values, test: Values, scores: Values, macs: Values, rng: np.random.Generator) -> str:
    """A line of the table."""
    within = np.flatnonzero(cost <= np.quantile(cost, quartile))
    drawn = test[rng.choice(within, (TIMES, DRAWN))].max(1).mean()
    first = test[within[np.argsort(-scores[within])[:4]]]
    largest = test[within[np.argmax(macs[within])]]
    cells = (test[within].max(), drawn, first[0], first.max(), largest)
    return f"| {name}, {quartile:.2f} | " + " | ".join(f"{value:.2f}" for value in cells) + " |"


def main() -> None:
    table, rng = np.load(sys.argv[1]), np.random.default_rng(0)
    own, other = (table[name][:, 0] for name in ("test200_v11", "test200_nats"))
    test, macs = np.where(np.isfinite(own), own, other), table["flops"][:, 0]
    scores = standing(table["naswot"][:, 0], table["log10_synflow"][:, 0])
    costs = {"multiply-adds": macs}
    if len(sys.argv) > 2:
        timed = np.load(sys.argv[2])
        named = [str(device) for device in timed["devices"]]
        costs |= {f"latency on {device}": timed["latency_ms"][:, named.index(device)] for device in DEVICES}
    print(f"| bound, quartile | best | best of {DRAWN} drawn | first by standing | best of its first 4 | most multiply-adds |")
    print("|---|---|---|---|---|---|")
    for name, cost in costs.items():
        for quartile in QUARTILES:
            print(row(name, quartile, cost, test, scores, macs, rng))


if __name__ == "__main__":
    main()
