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
from pathlib import Path
from typing import Any

CELLS, CHANNELS, EPOCHS = 5, 8, 15
THREADS = 1  # of images of 8x8 every operation is so small that a second thread costs more than it gives


def supernet(*arguments: object) -> Any:
    """Run a command of supernet, said first; its JSON."""
    words = [str(a) for a in arguments]
    print(f"$ supernet {shlex.join(words)}", flush=True)
    done = subprocess.run([sys.executable, "-m", "supernet", *words, "--json"], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.returncode)
    return json.loads(done.stdout)


def run(folder: Path, *arguments: object) -> Any:
    """A command that writes a run, or goes on with it."""
    return supernet(*arguments, "--out", folder, *(["--resume"] if (folder / "config.yaml").exists() else []))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/demo"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--epochs", type=int)
    given = parser.parse_args()
    out = given.out
    began = time.monotonic()
    print("Every step is a command; on two cores all of them take under five minutes.", flush=True)
    sizes = ("--channels", CHANNELS, "--cells", CELLS, "--threads", THREADS, "--device", given.device)
    short = ("--epochs", given.epochs or 8, "--baseline", "random", "--set", "strategy.alpha_lr=0.003", "--set", "estimator.calibration=5")
    search = run(out / "search", "search", "darts", "--space", "darts", "--data", "digits", *sizes, *short)
    print(f"found {search['genotype']}")
    final = (*sizes, "--data", "digits", "--epochs", given.epochs or EPOCHS, "--batch-size", 64)
    recipe = ("--set", "data.cutout=0", "--set", "retrain.drop_path=0.1", "--set", "weights.lr=0.1")
    accuracy = {}
    for name, source in (("darts", out / "search"), ("random", out / "search" / "baseline")):
        result = run(out / name, "retrain", source, *final, *recipe)
        accuracy[name] = result["test"]["accuracy"]
    exported = supernet("export", out / "darts", "--out", out / "exported")
    print(f"\nexported and checked: {', '.join(str(e['path']) for e in exported.values())}")
    print(f"reports: {out / 'search' / 'report.html'}, {out / 'darts' / 'report.html'}")
    print(f"test accuracy: {accuracy['darts']:.2%} (DARTS), {accuracy['random']:.2%} (best of random search of equal cost)")
    print(f"{time.monotonic() - began:.0f} seconds")
    further = (*activation(), f"supernet describe {out / 'search'}", f"supernet evaluate {out / 'darts'} --split test", "supernet --help")
    print("\nto go on:\n  " + "\n  ".join(further))


def activation() -> list[str]:
    """The line that puts ``supernet`` on the path of a shell; none where it is there."""
    script = Path(sys.prefix) / "bin" / "activate"
    if shutil.which("supernet") or not script.exists():
        return []
    return [f". {script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script}"]


if __name__ == "__main__":
    main()
