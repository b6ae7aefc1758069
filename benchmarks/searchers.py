"""Processor seconds, memory and what is found by each searcher on a benchmark table, beside random search in the same run.

    python benchmarks/searchers.py TABLE [--dataset cifar10] [--searchers surrogate tpe] [--estimates 1000] [--seeds 2] [--threads 1]

Each searcher is a process of its own, which first makes a short search, so that nothing is imported while it is measured. Seconds: of
the processor, a seed, estimates and the loop among them, and as a multiple of random search's. Memory: by how much the peak of the
process grows over the seeds after the first, MB (Linux), 0 where nothing is kept. Best: the mean of the best score, and that less random
search's. A searcher that asks for less than a whole estimate needs a table with columns of shorter trainings.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from resource import RUSAGE_SELF, getrusage
from statistics import fmean
from time import process_time

import torch

from supernet.costs.objective import Objective
from supernet.errors import InputError
from supernet.estimators.tabular import Table
from supernet.explore.loop import explore
from supernet.searchers import SEARCHERS, make_searcher

SHORT = 30  # estimates of the search that imports what is needed


def search(table: Table, name: str, seed: int, estimates: int) -> float:
    """The best score that a searcher finds."""
    space = table.space()
    trials = explore(space, make_searcher(name, space, seed, budget=estimates), table.estimate, estimates, Objective(("validation",)))
    return float((trials[0].score or (0.0,))[0])


def measured(table: Table, name: str, estimates: int, seeds: int) -> dict[str, float] | str:
    """Seconds a seed, MB and the mean best score; or why there are none."""
    try:
        search(table, name, 0, SHORT)
    except InputError as error:
        return str(error)
    began, best, peaks = process_time(), list[float](), list[int]()
    for seed in range(seeds):
        best.append(search(table, name, seed, estimates))
        peaks.append(getrusage(RUSAGE_SELF).ru_maxrss)
    return {"seconds": (process_time() - began) / seeds, "memory": (peaks[-1] - peaks[0]) / 1024, "best": fmean(best)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table")
    parser.add_argument("--dataset")
    parser.add_argument("--searchers", nargs="+", default=list(SEARCHERS), metavar="NAME")
    parser.add_argument("--estimates", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--measure", metavar="NAME", help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.measure:
        print(json.dumps(measured(Table.read(given.table, dataset=given.dataset), given.measure, given.estimates, given.seeds)))
        return
    print(f"{given.table}, {given.estimates} estimates, {given.seeds} seeds, torch {torch.__version__}, {given.threads} threads")
    print(f"{'':20} seconds  x random  memory, MB      best  - random", flush=True)
    sizes = ["--estimates", str(given.estimates), "--seeds", str(given.seeds), "--threads", str(given.threads)]
    command = [sys.executable, __file__, given.table, *sizes, *(["--dataset", given.dataset] if given.dataset else [])]
    base: dict[str, float] = {}
    for name in ["random", *(name for name in given.searchers if name != "random")]:
        done = subprocess.run([*command, "--measure", name], check=True, stdout=subprocess.PIPE)
        line = json.loads(done.stdout)
        if isinstance(line, str):
            print(f"{name:20} {line}", flush=True)
            continue
        base = base or line
        ratio, ahead = line["seconds"] / base["seconds"], line["best"] - base["best"]
        print(f"{name:20} {line['seconds']:7.2f} {ratio:9.1f} {line['memory']:11.1f} {line['best']:9.3f} {ahead:+9.3f}", flush=True)


if __name__ == "__main__":
    main()
