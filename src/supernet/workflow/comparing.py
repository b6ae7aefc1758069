"""The command ``compare``: methods by name, a budget with a unit, seeds."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from supernet.compare import compare, on_table
from supernet.errors import InputError, unknown
from supernet.progress import Progress
from supernet.report.page import write_comparison
from supernet.searchers import SEARCHERS
from supernet.settings import Settings
from supernet.strategies import STRATEGIES
from supernet.workflow.classification import use_threads
from supernet.workflow.searching import check_search, open_table, search_run

UNITS = ("evals", "epochs", "steps")


def budget_of(text: str) -> tuple[int, str]:
    """(300, "evals") from 300evals; raises ``InputError`` for anything else."""
    found = re.fullmatch(r"(\d+)([a-z]+)", text.strip())
    if not found or int(found[1]) < 1:
        raise InputError(f"--budget is a number with a unit ({', '.join(UNITS)}), for example 300evals; got {text!r}")
    if found[2] not in UNITS:
        raise unknown("unit of --budget", found[2], UNITS)
    return int(found[1]), found[2]


def compare_run(methods: Sequence[str], settings: Settings, budget: str, seeds: int, out: Path | None) -> dict[str, Any]:
    """Compare ``methods``, random search among them; ``out``: the folder that keeps results, so that it can be resumed."""
    amount, unit = budget_of(budget)
    for name in methods:
        if name not in STRATEGIES and name not in SEARCHERS:
            raise unknown("method", name, [*STRATEGIES, *SEARCHERS])
    if seeds < 1:
        raise InputError(f"--seeds must be at least 1; got {seeds}")
    use_threads(settings)
    wanted = list(dict.fromkeys(methods)) + ([] if "random" in methods else ["random"])
    with tempfile.TemporaryDirectory() as temporary:
        folder = out or Path(temporary)
        if settings["table"]["file"]:
            if unit != "evals":
                raise InputError(f"on a table the budget is in evals, for example 300evals; got {budget!r}")
            _, table = open_table(settings)
            run: Callable[[str], Callable[[int], Any]] = on_table(table, amount)
        else:
            for name in wanted:
                check_search(_settings(settings, name, 0, amount, unit))
            run = partial(_on_data, settings, amount, unit, folder)
        progress = Progress("comparing", len(wanted) * seeds, unit="runs")
        kept = {k: settings[k] for k in ("data", "table", "supernet", "estimator")}
        try:
            result = compare(
                wanted,
                run,
                range(seeds),
                folder,
                space=settings["space"],
                budget=budget,
                settings=kept,
                progress=lambda name, seed: progress.advance(method=name, seed=seed),
            )
        finally:
            progress.close()
        if out:
            write_comparison(result, out)
    return result


def _settings(settings: Settings, name: str, seed: int, amount: int, unit: str) -> Settings:
    own = {"method": name, "seed": seed}
    own |= {"trials": amount} if unit == "evals" else {unit: amount}
    return {**settings, **own}


def _on_data(settings: Settings, amount: int, unit: str, folder: Path, name: str) -> Callable[[int], dict[str, Any]]:
    def run(seed: int) -> dict[str, Any]:
        place = folder / f"{name}-{seed}"
        result = search_run(_settings(settings, name, seed, amount, unit), place, resume=(place / "config.yaml").exists())
        return {"validation": result["validation"], "evaluations": amount, "params": result["params"], "macs": result["macs"]}

    return run
