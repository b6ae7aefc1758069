"""By which score shared weights choose better: of the trials of searches over supernets, what the first by each is worth.

    python benchmarks/by_loss.py worth/fashion-bench [...] --table fashion-bench

Reads the folders of comparisons (``benchmarks/worth.py``), each METHOD-SEED with a run in ``search``. Of every run whose trials were scored
by shared weights it gives, by accuracy and by loss, how far the best of the first 1, 4, 8 and 16 trials is from the best of the table,
in points of its test score, and Kendall's tau of all trials. Prints a Markdown table of the means, by method.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from statistics import mean

from supernet.estimators.ranking import kendall
from supernet.estimators.tabular import Table
from supernet.run import read_config, read_history
from supernet.searchers.state import from_plain
from supernet.spaces import space as space_named

FIRST = (1, 4, 8, 16)
BY = {"accuracy": 1, "loss": -1}
Row = dict[str, list[float]]  # by the score: regrets of the first, then tau


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--table", required=True)
    given = parser.parse_args()
    rows: dict[str, list[Row]] = defaultdict(list)
    for run in sorted(path.parent for folder in given.folders for path in folder.glob("*/search/weights.safetensors")):
        if row := measured(run, given.table):
            rows[run.parent.name.rpartition("-")[0]].append(row)
    print(f"| method | seeds | by accuracy, the best of the first {', '.join(map(str, FIRST))}; tau | by loss |\n|---|---|---|---|")
    for method, each in rows.items():
        cells = [[mean(row[by][i] for row in each) for i in range(len(FIRST) + 1)] for by in BY]
        said = [f"{', '.join(f'{regret:.2f}' for regret in cell[:-1])}; {cell[-1]:.2f}" for cell in cells]
        print(f"| `{method}` | {len(each)} | {' | '.join(said)} |")


def measured(run: Path, name: str) -> Row | None:
    """What the trials of a run are worth by each score; None where they were not scored by shared weights."""
    trials = [line for line in read_history(run) if "trial" in line and set(BY) <= set(line.get("scores") or {})]
    config = read_config(run)
    if len(trials) < max(FIRST) or config["estimator"]["name"] not in (None, "shared") or not config["epochs"]:
        return None
    table = Table.read(name, space=space_named(config["space"]).supernet(**config["supernet"]).space)
    best = max(table.report(architecture)["test"] for architecture in table.space().enumerate())
    worth = [table.report(from_plain(trial["architecture"]))["test"] for trial in trials]
    found: Row = {}
    for by, sign in BY.items():
        scores = [sign * trial["scores"][by] for trial in trials]
        order = sorted(range(len(trials)), key=lambda i: -scores[i])
        found[by] = [best - max(worth[i] for i in order[:first]) for first in FIRST] + [kendall(scores, worth) or 0.0]
    return found


if __name__ == "__main__":
    main()
