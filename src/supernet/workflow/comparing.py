"""The command ``compare``: methods by name, a budget with a unit, seeds.

On data each run is a process of its own: a search, then the network it found trained from nothing on the training part for
the same short time as all others, scored on the validation part and on the test split.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from supernet.compare import compare, on_table
from supernet.decided import undecided
from supernet.errors import InputError, unknown
from supernet.progress import Progress
from supernet.report.page import write_comparison
from supernet.run import check_writable, read_history
from supernet.searchers import SEARCHERS
from supernet.settings import Settings, accepted, checked, overlaid, taken
from supernet.spaces import space_module
from supernet.stopping import Interrupted
from supernet.strategies import STRATEGIES
from supernet.strategies.weights import Weights
from supernet.tasks import kind_for
from supernet.tasks.kind import Kind
from supernet.workflow.children import Children
from supernet.workflow.commands import NOT_FOR_USERS, Compare, Machine
from supernet.workflow.limits import bounds_of
from supernet.workflow.methods import open_table
from supernet.workflow.planning import use_threads
from supernet.workflow.retraining import RETRAIN
from supernet.workflow.searching import SEARCH, check_search, keeps_bounds
from supernet.workflow.searching import plan_of as search_plan
from supernet.workflow.tasks import with_recipe

UNITS = {"evals": "trials", "epochs": "epochs", "steps": "steps", "s": "seconds"}
COMPARE: Settings = Compare().model_dump()


def budget_of(text: str) -> tuple[int, str]:
    """(300, "evals") from 300evals; raises ``InputError`` for anything else."""
    found = re.fullmatch(r"([0-9]{1,9})([a-z]+)", text.strip())
    if not found or int(found[1]) < 1:
        raise InputError(f"--budget is a number with a unit ({', '.join(UNITS)}), for example 300evals, and below 10^9; got {text!r:.60}")
    if found[2] not in UNITS:
        raise unknown("unit of --budget", found[2], UNITS)
    return int(found[1]), found[2]


def compare_run(methods: Sequence[str], settings: Settings, budget: str, seeds: int, out: Path | None) -> dict[str, Any]:
    """Compare ``methods``, random search among them; ``out``: the folder that keeps results, so that it can be resumed."""
    settings, wanted, (amount, unit) = check_compare(methods, settings, budget, seeds)
    use_threads(settings)
    children = Children(kept=out is not None)
    with tempfile.TemporaryDirectory() as temporary:
        folder, kind = out or Path(temporary), kind_for(settings["space"], settings["task"])
        if settings["table"]["file"]:
            _, table = open_table(settings)
            bounds = bounds_of(settings)
            if other := bounds.keys() - {"params", "macs"}:
                raise InputError(f"on a table the bounds of a comparison are on params and macs, not on {', '.join(sorted(other))}")
            run: Callable[[str], Callable[[int], Any]] = on_table(table, amount, limits=bounds)
        else:
            run = partial(_on_data, settings, kind, amount, unit, folder, children)
        progress = Progress("comparing", len(wanted) * seeds, unit="runs")
        kept = {k: v for k, v in settings.items() if k not in ("seed", "workers", "threads")}
        try:
            result = compare(
                wanted,
                run,
                range(seeds),
                folder,
                space=settings["space"],
                budget=budget,
                settings=kept,
                metric=None if settings["table"]["file"] else kind.judged_by(),
                progress=lambda name, seed: progress.advance(method=name, seed=seed),
                workers=settings["workers"],
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


def check_compare(
    methods: Sequence[str], settings: Settings, budget: str, seeds: int
) -> tuple[Settings, list[str], tuple[int, str]]:
    """The settings as their types have them, the methods with random search, the budget; refuses what does not go together."""
    settings, (amount, unit) = checked(Compare, settings), budget_of(budget)
    if settings["space"] is None:
        raise InputError("no search space: give --space (supernet list spaces)")
    wanted = list(dict.fromkeys(methods)) + ([] if "random" in methods else ["random"])
    for name in wanted:
        if name not in STRATEGIES and name not in SEARCHERS:
            raise unknown("method", name, [*STRATEGIES, *SEARCHERS])
    if idle := next((name for name in settings["methods"] if name not in wanted), None):
        raise unknown("method compared in the section methods:", idle, wanted)
    if not 1 <= seeds <= 10_000:
        raise InputError(f"--seeds must be at least 1 and at most 10000; got {seeds}")
    accepted("final.weights", Weights, settings["final"]["weights"], fixed=NOT_FOR_USERS["weights"])
    if settings["table"]["file"] and unit != "evals":
        raise InputError(f"on a table the budget is in evals, for example 300evals; got {budget!r}")
    for name in wanted:
        if name in STRATEGIES and unit == "evals":
            raise InputError(f"{name} trains a supernet: its budget is in epochs, steps or s, for example 10epochs; got {budget!r}")
        check_search(search_settings(settings, name, 0, amount, unit))
    return settings, wanted, (amount, unit)


def plan_of(methods: Sequence[str], settings: Settings, budget: str, seeds: int, out: Path | None) -> dict[str, Any]:
    """What ``--dry-run`` prints: the settings, and those of each method's search with all their values.

    Refuses what the comparison would refuse, up to its first run.
    """
    settings, wanted, (amount, unit) = check_compare(methods, settings, budget, seeds)
    use_threads(settings)
    if out:
        check_writable(out)
    plans = {name: search_plan(search_settings(settings, name, 0, amount, unit)) for name in wanted}
    own = {name: plan["settings"]["resolved"] for name, plan in plans.items()}
    return {"settings": settings, "methods": own, "budget": budget, "seeds": seeds}


def search_settings(settings: Settings, name: str, seed: int, amount: int, unit: str) -> Settings:
    """The settings of one method's search: what all share, the budget, and what ``methods.NAME`` sets."""
    own = {k: v for k, v in settings.items() if k in SEARCH}
    own |= {"command": "search", "method": name, "seed": seed, UNITS[unit]: amount}
    if unit == "epochs" and name in SEARCHERS:
        own["estimator"] = {**own["estimator"], "epochs": max(amount // own["trials"], 1)}
    return overlaid(own, settings["methods"].get(name, {}))


def _on_data(
    settings: Settings, kind: type[Kind], amount: int, unit: str, folder: Path, children: Children, name: str
) -> Callable[[int], dict[str, Any]]:
    def run(seed: int) -> dict[str, Any]:
        place = folder / f"{name}-{seed}"
        wanted = search_settings(settings, name, seed, amount, unit)
        command = partial(_command, children, f"{name} with seed {seed}")
        searched = command("search", name, wanted, place / "search")
        sizes = taken(space_module(wanted["space"]).network, wanted["supernet"])
        data = with_recipe(wanted, wanted["space"])["data"]  # the batches of the search
        final = {**RETRAIN, **{k: wanted[k] for k in Machine.model_fields}, "data": data, "network": {**sizes, **wanted["network"]}}
        final |= {"task": kind.name, "beside": False, "retrain": dict(kind.short), **settings["final"]}
        trained = command("retrain", str(place / "search"), final, place / "final")
        lines = [line.get("measured", {}) for line in read_history(place / "search")]
        rates = [measured["steps_per_second"] for measured in lines if "steps_per_second" in measured]
        measured = {"seconds": searched["measured"]["seconds"], "peak_memory_mb": searched["measured"]["peak_memory_mb"]}
        if rates:
            measured["seconds_per_step"] = len(rates) / sum(rates)
        scores = {part: kind.main(trained[part]) for part in ("validation", "test")}
        costs = {"params": trained["params"], "macs": trained["macs"], "genotype": searched["genotype"]}
        tried = wanted["trials"] if name in SEARCHERS else 1  # architectures that were scored to choose one
        holds = {"holds": keeps_bounds(searched)} if "limits" in searched else {}
        return {**scores, "evaluations": tried, **costs, **holds, "measured": measured}

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
