"""Is a search worth its cost? Methods against random search of equal cost, by judges that no search sees.

    python benchmarks/worth.py --out worth --judge fashion-bench --table fashion_bench.npz [--seeds 5] [--workers 2]
    python benchmarks/worth.py --out worth --judge nasbench201 --table nb201.npz --seeds 3

Stopped, it goes on from where it was. Judges: ``fashion-bench``, all networks of which were trained on Fashion-MNIST, by
``fashion_bench.py``; ``nasbench201``, with supernets and short trainings on CIFAR-10. Data are looked for in $SUPERNET_DATA. What is
compared, and how, stands in ``worth/JUDGE.yaml`` beside this file: the methods are the names in its section ``methods``. Each judge is one
``supernet compare``, whose report has the plots; its results are printed as a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent / "worth"
JUDGES = ("fashion-bench", "nasbench201")
BUDGETS = {"fashion-bench": "24epochs", "nasbench201": "24epochs"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--judge", choices=JUDGES, default=JUDGES[0])
    parser.add_argument("--table", required=True, help="the benchmark table, an .npz file")
    parser.add_argument("--methods", help="some of the methods, separated by commas; by default all")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    settings = yaml.safe_load((HERE / f"{given.judge}.yaml").read_text())
    names = given.methods.split(",") if given.methods else list(settings["methods"])
    settings["methods"] = {name: own for name, own in settings["methods"].items() if name in {*names, "random"}}
    given.out.mkdir(parents=True, exist_ok=True)
    config, folder = given.out / f"{given.judge}.yaml", given.out / given.judge
    config.write_text(yaml.safe_dump(settings))
    words = [
        ",".join(names),
        "--config",
        str(config),
        "--judge",
        given.table,
        "--budget",
        BUDGETS[given.judge],
        "--seeds",
        str(given.seeds),
    ]
    words += ["--workers", str(given.workers), "--out", str(folder), "--json"]
    subprocess.run([sys.executable, "-m", "supernet", "compare", *words], check=True, stdout=subprocess.DEVNULL)
    print(written(json.loads((folder / "compare.json").read_text())))


def written(document: dict[str, Any]) -> str:
    """The document of a comparison as a Markdown table, the best first: true test scores, against random search, cost."""
    best = document["judge"]["best"]
    rows = [f"| method, the best is {best:.2f} | test | over random search of equal cost | beats | tau | multiply-adds | minutes |"]
    rows.append("|---|---|---|---|---|---|---|")
    entries = sorted(document["methods"].items(), key=lambda entry: -entry[1]["test"]["mean"])
    for name, entry in entries:
        judge, seconds = entry["judge"], entry["measured"]["seconds"] / document["seeds"]
        test, over = best - judge["regret"]["mean"], entry.get("over_random", {}).get("test")
        cells = [f"{test:.2f} ± {entry['test']['std']:.2f}", said(over), f"{100 * judge['beats']['mean']:.0f} %"]
        cells += [f"{judge['tau']['mean']:.2f}" if "tau" in judge else "", f"{judge['multiply_adds']['mean']:.2g}", f"{seconds / 60:.1f}"]
        rows.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(rows)


def said(value: dict[str, float | None] | None) -> str:
    """A mean with its interval, where there is one."""
    if not value:
        return ""
    interval = "" if value["low"] is None else f" [{value['low']:+.2f}, {value['high']:+.2f}]"
    return f"{value['mean']:+.2f}{interval}"


if __name__ == "__main__":
    main()
