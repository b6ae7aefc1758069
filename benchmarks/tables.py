"""Every searcher on four benchmark tables, over many seeds: a table of test scores for each, with intervals and searcher seconds.

    python benchmarks/tables.py --nasbench201 nb201.npz --macro nas_bench_macro_cifar10.npz --widths channel_bench_resnet.npz --out study

Runs ``supernet compare`` on NAS-Bench-201 (CIFAR-10 and CIFAR-100), NAS-Bench-Macro and Channel-Bench-Macro, and prints what they found as
Markdown. Stopped, it goes on from where it was. ``--methods evolution,local`` compares fewer.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nasbench201", required=True)
    parser.add_argument("--macro", required=True)
    parser.add_argument("--widths", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--methods", default="all")
    parser.add_argument("--at", default="50,150,300,1000")
    parser.add_argument("--seeds", default="100")
    parser.add_argument("--workers", default="2")
    given = parser.parse_args()
    cells = ("--space", "nasbench201", "--table", given.nasbench201)
    tables = {
        "NAS-Bench-201, CIFAR-10": (*cells, "--set", "table.dataset=cifar10"),
        "NAS-Bench-201, CIFAR-100": (*cells, "--set", "table.dataset=cifar100"),
        "NAS-Bench-Macro": ("--space", "nasbench-macro", "--table", given.macro),
        "Channel-Bench-Macro": ("--table", given.widths),
    }
    how = ("--budget", f"{max(map(int, given.at.split(',')))}evals", "--at", given.at, "--seeds", given.seeds, "--workers", given.workers)
    for number, (name, table) in enumerate(tables.items()):
        folder = given.out / str(number)
        command = [sys.executable, "-m", "supernet", "compare", given.methods, *table, *how, "--out", str(folder), "--json"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        print(f"\n{name}\n\n{written(json.loads((folder / 'compare.json').read_text()))}", flush=True)


def written(document: dict[str, Any]) -> str:
    """The document of a comparison as a Markdown table: test scores at each number of estimates, and the seconds of each searcher."""
    looked, best = document["at"], document["best"]
    lines = [f"| test, the best is {best['test']:.2f} | {' | '.join(map(str, looked))} | seeds better than random | searcher |"]
    lines.append("|---" * (len(looked) + 3) + "|")
    for name, entry in document["methods"].items():
        scores = [entry["at"][str(number)]["test"] for number in looked]
        cells = [f"{score['mean']:.2f} [{score['low']:.2f}, {score['high']:.2f}]" for score in scores]
        better = f"{100 * entry['at'][str(looked[-1])]['beats_random']['test']:.0f} %" if name != "random" else ""
        lines.append(f"| `{name}` | {' | '.join(cells)} | {better} | {entry['measured']['searcher_seconds']:.2g} s |")
    return "\n".join([*lines, *(f"\n`{name}` is left out: {why}" for name, why in document.get("left_out", {}).items())])


if __name__ == "__main__":
    main()
