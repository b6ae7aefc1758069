"""Is a search worth its cost? Methods against random search of equal cost, by judges that no search sees.

    python benchmarks/worth.py --out worth --tables tables [--workers 2]      # all of it: days of one core
    python benchmarks/worth.py --out worth --tables tables --judge nasbench201 [--methods auto,fairnas] [--seeds 1]

Stopped, it goes on from where it was. Judges: ``fashion-bench``, the embedded table, all networks of which were trained on Fashion-MNIST;
``searchers``, the same table, in which all searchers look up; ``nasbench201`` and ``nasbench-macro``, by nb201.npz and
nas_bench_macro_cifar10.npz in the folder of tables, with supernets and short trainings on CIFAR-10; ``job``, a module of one's own under
a bound in ms, which ``job.py`` has. Data are looked for in $SUPERNET_DATA. What is compared, and how, stands in ``worth/JUDGE.yaml``
beside this file: the methods are the names in its section ``methods``; results there are in ``worth/JUDGE.jsonl``. Each is one ``supernet
compare``, whose report has the plots; its results are printed as a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from supernet.estimators.table_layout import EMBEDDED

HERE = Path(__file__).parent
TRUTH = "fashion-bench"
JUDGES = {  # the table of each, seeds, and how long methods train that are not given another length
    TRUTH: (TRUTH, 5, "10epochs"),
    "nasbench201": ("nb201.npz", 3, "24epochs"),
    "nasbench-macro": ("nas_bench_macro_cifar10.npz", 3, "24epochs"),
}
JOB, SEARCHERS = "job", "searchers"
LOOKED_UP = ("--budget", "100evals", "--at", "10,30,100", "--seeds", "100")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tables", type=Path, default=Path(), help="the folder of the benchmark tables")
    parser.add_argument("--judge", choices=[*JUDGES, SEARCHERS, JOB], help="one of the judges; by default all")
    parser.add_argument("--methods", help="some of the methods, separated by commas; by default all")
    parser.add_argument("--seeds", type=int, help="by default 5 on fashion-bench and of the job, 3 on the others")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--known", action="store_true", help="begin with the results in worth/JUDGE.jsonl, which are not run again")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for judge in [given.judge] if given.judge else [*JUDGES, SEARCHERS, JOB]:
        if judge == JOB:
            seeds = ["--seeds", str(given.seeds)] if given.seeds else []
            subprocess.run([sys.executable, str(HERE / "job.py"), "--out", str(given.out / JOB), *seeds], check=True)
        elif judge == SEARCHERS:
            command("all", "--table", TRUTH, *LOOKED_UP, "--workers", str(given.workers), "--out", str(given.out / SEARCHERS))
        else:
            file, usual, budget = JUDGES[judge]
            table = file if file in EMBEDDED else str(given.tables / file)
            known, results = HERE / "worth" / f"{judge}.jsonl", given.out / judge / "results.jsonl"
            if given.known and known.exists() and not results.exists():
                results.parent.mkdir(exist_ok=True)
                results.write_text(known.read_text())
            print(compared(judge, given.out, table, given.methods, given.seeds or usual, budget, given.workers), flush=True)


def compared(judge: str, out: Path, table: str, methods: str | None, seeds: int, budget: str, workers: int) -> str:
    """Compare by a judge, or go on with it; the results as a Markdown table."""
    settings = yaml.safe_load((HERE / "worth" / f"{judge}.yaml").read_text())
    names = methods.split(",") if methods else list(settings["methods"])
    settings["methods"] = {name: own for name, own in settings["methods"].items() if name in {*names, "random"}}
    config, folder = out / f"{judge}.yaml", out / judge
    config.write_text(yaml.safe_dump(settings))
    words = [",".join(names), "--config", str(config), "--judge", table, "--budget", budget, "--seeds", str(seeds)]
    words += ["--workers", str(workers), "--out", str(folder), "--json"]
    command(*words, stdout=subprocess.DEVNULL)
    return written(json.loads((folder / "compare.json").read_text()))


def command(*words: str, stdout: int | None = None) -> None:
    """Compare, as the command line does."""
    subprocess.run([sys.executable, "-m", "supernet", "compare", *words], check=True, stdout=stdout)


def written(document: dict[str, Any]) -> str:
    """The document of a comparison as a Markdown table, the best first: true test scores, against random search, cost."""
    best = document["judge"]["best"]
    rows = [f"| method, the best is {best:.2f} | test | over random search of equal cost | beats | tau, rho | multiply-adds | minutes |"]
    rows.append("|---|---|---|---|---|---|---|")
    entries = sorted(document["methods"].items(), key=lambda entry: -entry[1]["test"]["mean"])
    for name, entry in entries:
        judge, seconds = entry["judge"], entry["measured"]["seconds"] / document["seeds"]
        test, over = best - judge["regret"]["mean"], entry.get("over_random", {}).get("test")
        cells = [f"{test:.2f} ± {entry['test']['std']:.2f}", said(over), f"{100 * judge['beats']['mean']:.0f} %"]
        ranked = ", ".join(f"{judge[name]['mean']:.2f}" for name in ("tau", "spearman") if name in judge)
        cells += [ranked, f"{judge['multiply_adds']['mean']:.2g}", f"{seconds / 60:.1f}"]
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
