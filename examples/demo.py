"""The whole path on the embedded digits: search, derive, retrain, export, report, beside random search of equal cost.

    python examples/demo.py [--out runs/demo] [--device cuda] [--epochs 1]

Every step is a command of ``supernet``; a demo that was stopped goes on where it was. ``--epochs``: of each training; without it, as
many as give the results that are told of it.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

CELLS, CHANNELS, BUDGET, SCORED, EPOCHS = 1, 4, 60, 200, 40
THREADS = 1  # of images of 8x8 every operation is so small that a second thread costs more than it gives


def supernet(*commands: Sequence[object]) -> list[Any]:
    """Run commands of supernet side by side, each said first; the JSON of each. Progress is shown of the first, errors of all."""
    lines = [[str(word) for word in command] for command in commands]
    for words in lines:
        print(f"$ supernet {shlex.join(words)}", flush=True)

    def ended(words: list[str], shown: bool) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "supernet", *words, "--json"]
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=None if shown else subprocess.PIPE, text=True)

    with ThreadPoolExecutor() as pool:
        every = list(pool.map(ended, lines, (words is lines[0] for words in lines)))
    for done in every:
        if done.returncode:
            if done.stderr:
                print(done.stderr.strip().rpartition("\n")[2], file=sys.stderr)
            sys.exit(done.returncode)
    return [json.loads(done.stdout) for done in every]


def run(folder: Path, *arguments: object) -> Sequence[object]:
    """A command that writes a run, or goes on with it."""
    return (*arguments, "--out", folder, *(["--resume"] if (folder / "config.yaml").exists() else []))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/demo"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--epochs", type=int)
    given = parser.parse_args()
    out = given.out
    began = time.monotonic()
    print("Every step is a command; on two cores all of them take two to five minutes.", flush=True)
    sizes = ("--channels", CHANNELS, "--cells", CELLS, "--threads", THREADS, "--device", given.device)
    how = ("--space", "nasbench201", "--data", "digits", *sizes, "--budget", f"{given.epochs or BUDGET}epochs", "--trials", SCORED)
    (search,) = supernet(run(out / "search", "search", "auto", *how, "--baseline", "random"))
    print(f"found {search['genotype']}")
    final = (*sizes, "--data", "digits", "--epochs", given.epochs or EPOCHS, "--batch-size", 64)
    recipe = ("--set", "data.cutout=0", "--set", "weights.lr=0.1")
    sources = {"found": out / "search", "random": out / "search" / "baseline"}
    results = supernet(*(run(out / name, "retrain", source, *final, *recipe) for name, source in sources.items()))
    accuracy = {name: result["test"]["accuracy"] for name, result in zip(sources, results, strict=True)}
    (exported,) = supernet(("export", out / "found", "--out", out / "exported"))
    print(f"\nexported and checked: {', '.join(str(e['path']) for e in exported.values())}")
    print(f"reports: {out / 'search' / 'report.html'}, {out / 'found' / 'report.html'}")
    print(f"test accuracy: {accuracy['found']:.2%} (what was found), {accuracy['random']:.2%} (best of random search of equal cost)")
    print(f"{time.monotonic() - began:.0f} seconds")
    further = (*activation(), f"supernet describe {out / 'search'}", f"supernet evaluate {out / 'found'} --split test", "supernet --help")
    print("\nto go on:\n  " + "\n  ".join(further))


def activation() -> list[str]:
    """The line that puts ``supernet`` on the path of a shell; none where it is there."""
    script = Path(sys.prefix) / "bin" / "activate"
    if shutil.which("supernet") or not script.exists():
        return []
    return [f". {script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script}"]


if __name__ == "__main__":
    main()
