"""How much faster a search is with more workers: by the clock and by processor time, in rounds that take turns.

    python benchmarks/workers.py --workers 1,2 --rounds 3

Each search trains the same random architectures of NAS-Bench-201 from nothing on the images of digits, and all must find the same. Wall
time has the start of the command and of its workers in it; processor time is that of the command and all its processes. The load of the
machine is printed beside.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

SEARCH = "search random --space nasbench201 --data digits --channels 8 --cells 1 --batch-size 64 --threads 1 --json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", default="1,2", help="numbers of workers, with commas")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=5, help="of each training")
    given = parser.parse_args()
    counts, found = [int(text) for text in given.workers.split(",")], set[str]()
    walls: dict[int, list[float]] = {count: [] for count in counts}
    spent: dict[int, list[float]] = {count: [] for count in counts}
    for turn in range(given.rounds):
        for count in counts:
            wall, processor, result = searched(count, given.trials, given.epochs)
            walls[count].append(wall)
            spent[count].append(processor)
            found.add(result)
            load = os.getloadavg()[0]
            print(f"round {turn + 1}, {count} workers: {wall:.1f} s, {processor:.1f} processor seconds, load {load:.1f}", flush=True)
    assert len(found) == 1, "they find the same"
    print("\n| workers | wall time (s) | processor time (s) | faster by |\n|---|---|---|---|")
    for count in counts:
        times = [first / own for first, own in zip(walls[counts[0]], walls[count], strict=True)]
        print(f"| {count} | {median(walls[count]):.1f} | {median(spent[count]):.1f} | {median(times):.2f} |")


def searched(workers: int, trials: int, epochs: int) -> tuple[float, float, str]:
    """The seconds of a search, the processor seconds of all its processes, and its trials without what was measured."""
    with tempfile.TemporaryDirectory() as folder:
        words = [*SEARCH.split(), "--trials", str(trials), "--set", f"estimator.epochs={epochs}"]
        words += ["--workers", str(workers), "--out", folder]
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "-m", "supernet", *words], env=environment, check=True, capture_output=True)
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        lines = [json.loads(line) for line in (Path(folder) / "history.jsonl").read_text().splitlines()]
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, processor, json.dumps([{k: v for k, v in line.items() if k not in ("measured", "asked")} for line in lines])


if __name__ == "__main__":
    main()
