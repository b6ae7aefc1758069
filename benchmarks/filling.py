"""What is derived under a bound from beliefs of known truth, by how far the derivation gives up belief to use the bound.

    python benchmarks/filling.py nb201.npz nas_bench_macro_cifar10.npz channel_bench_resnet.npz

A belief is the softmax of truth and noise: noise is standard normal, an option's truth is the mean test score of the table's architectures
that take it, standardised within its choice. Bounds are the quartiles of the table's multiply-adds. Prints, for each table and weight of
the truth, the mean test score over bounds and draws, and the share of the bound that is used.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from supernet.estimators.tabular import Table
from supernet.space import Architecture, SearchSpace
from supernet.strategies.rules import Belief, strongest, within

FILLS, TRUTHS, QUARTILES = (1.0, 0.7, 0.5, 0.3, 0.0), (0.0, 0.5, 1.0, 2.0), (25, 50, 75)
Truth = dict[str, np.ndarray]


class Known:
    """The architectures of a table with their test scores and multiply-adds."""

    def __init__(self, path: Path):
        table = Table.read(path)
        self.space: SearchSpace = table.space()
        architectures = list(self.space.enumerate())
        keys = [self.space.key(architecture) for architecture in architectures]
        reports = [table.report(architecture) for architecture in architectures]
        self.test = {key: report["test"] for key, report in zip(keys, reports, strict=True)}
        self.macs = {key: report["macs"] for key, report in zip(keys, reports, strict=True)}
        self.truth: Truth = {}
        for name, choice in self.space.items():
            means = [np.mean([r["test"] for a, r in zip(architectures, reports, strict=True) if a[name] == o]) for o in choice.options]
            self.truth[name] = (means - np.mean(means)) / (np.std(means) or 1)

    def derived(self, belief: Belief, bound: float, fill: float) -> tuple[float, float]:
        """The test score of what is derived, and its share of the bound."""

        def excess(architecture: Architecture) -> float:
            return self.macs[self.space.key(architecture)] / bound - 1

        key = self.space.key(within(self.space, belief, excess, strongest, fill))
        return self.test[key], self.macs[key] / bound


def beliefs(truth: Truth, weight: float, draws: int) -> Iterator[Belief]:
    """As many beliefs, always the same."""
    rng = np.random.default_rng(0)
    for _ in range(draws):
        logits = {name: weight * known + rng.standard_normal(len(known)) for name, known in truth.items()}
        yield {name: (np.exp(x) / np.exp(x).sum()).tolist() for name, x in logits.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path, nargs="+")
    parser.add_argument("--draws", type=int, default=30)
    given = parser.parse_args()
    print("| table, weight of the truth | " + " | ".join(f"{fill:g}" for fill in FILLS) + " |\n" + "|---" * (1 + len(FILLS)) + "|")
    for path in given.tables:
        known = Known(path)
        bounds = np.percentile(list(known.macs.values()), QUARTILES)
        for weight in TRUTHS:
            drawn = list(beliefs(known.truth, weight, given.draws))
            cells = [np.mean([known.derived(b, bound, fill) for bound in bounds for b in drawn], axis=0) for fill in FILLS]
            print(f"| {path.stem}, {weight:g} | " + " | ".join(f"{test:.2f} ({share:.2f})" for test, share in cells) + " |", flush=True)


if __name__ == "__main__":
    main()
