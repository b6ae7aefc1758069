"""The command ``compare``: from a plan to a table of methods.

On data each run is a process of its own: a search, then the network it found trained from nothing on the training part for
the same short time as all others, scored on the validation part and on the test split.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from supernet.compare import compare, on_table
from supernet.decided import undecided
from supernet.plan.compare import ComparePlan
from supernet.progress import Progress
from supernet.report.page import write_comparison
from supernet.run import read_history
from supernet.settings.given import Settings
from supernet.stopping import Interrupted
from supernet.workflow.children import Children
from supernet.workflow.finishing import keeps_bounds


def compare_run(plan: ComparePlan, out: Path | None) -> dict[str, Any]:
    """Compare methods, random search among them; ``out``: the folder that keeps results, so that it can be resumed."""
    children = Children(kept=out is not None)
    with tempfile.TemporaryDirectory() as temporary:
        folder = out or Path(temporary)
        on_data = partial(_on_data, plan, folder, children)
        run: Callable[[str], Callable[[int], Any]] = on_table(plan.table, plan.amount, limits=plan.bounds) if plan.table else on_data
        progress = Progress("comparing", len(plan.methods) * plan.seeds, unit="runs")
        try:
            result = compare(
                plan.methods,
                run,
                range(plan.seeds),
                folder,
                space=plan.space,
                budget=plan.budget,
                settings={k: v for k, v in plan.config.items() if k not in ("seed", "workers", "threads")},
                metric=None if plan.table else plan.kind.judged_by(),
                progress=lambda name, seed: progress.advance(method=name, seed=seed),
                workers=plan.workers,
                stop=children.stop,
            )
        except KeyboardInterrupt:
            said = f"{out} holds what was done, and the same command goes on" if out else "nothing is kept without --out"
            raise Interrupted(f"stopped; {said}") from None
        finally:
            progress.close()
        for name, found in result["methods"].items():
            if not found.get("holds", True):
                print(f"warning: {name} misses a bound with some seed", file=sys.stderr)
            for score, verdict in found.get("decided", {}).items():
                for sentence in undecided({score: verdict}):
                    print(f"undecided: {name}, {score}: {sentence}", file=sys.stderr)
        if out:
            write_comparison(result, out)
    return result


def _on_data(plan: ComparePlan, folder: Path, children: Children, name: str) -> Callable[[int], dict[str, Any]]:
    method = plan.methods[name]

    def run(seed: int) -> dict[str, Any]:
        place = folder / f"{name}-{seed}"
        command = partial(_command, children, f"{name} with seed {seed}")
        searched = command("search", name, {**method.search, "seed": seed}, place / "search")
        trained = command("retrain", str(place / "search"), {**method.final, "seed": seed}, place / "final")
        lines = [line.get("measured", {}) for line in read_history(place / "search")]
        rates = [measured["steps_per_second"] for measured in lines if "steps_per_second" in measured]
        measured = {"seconds": searched["measured"]["seconds"], "peak_memory_mb": searched["measured"]["peak_memory_mb"]}
        if rates:
            measured["seconds_per_step"] = len(rates) / sum(rates)
        scores = {part: plan.kind.main(trained[part]) for part in ("validation", "test")}
        costs = {"params": trained["params"], "macs": trained["macs"], "genotype": searched["genotype"]}
        holds = {"holds": keeps_bounds(searched)} if "limits" in searched else {}
        return {**scores, "evaluations": method.tried, **costs, **holds, "measured": measured}

    return run


def _command(children: Children, who: str, verb: str, what: str, settings: Settings, out: Path) -> dict[str, Any]:
    """Run a command of supernet in a process of its own, or go on with it; its JSON."""
    out.parent.mkdir(parents=True, exist_ok=True)
    config = out.parent / f"{verb}.yaml"
    config.write_text(yaml.safe_dump(json.loads(json.dumps(settings)), sort_keys=False))
    words = [verb, what, "--config", str(config), "--out", str(out), "--json"]
    words += ["--resume"] if (out / "config.yaml").exists() else []
    found: dict[str, Any] = json.loads(children.run(words, out.parent / f"{verb}.log", who))
    return found
