"""The command ``compare``: methods by name, a budget with a unit, seeds.

On data each run is a process of its own: a search, then the network it found trained from nothing on the training part for
the same short time as all others, scored on the validation part and on the test split.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from supernet.compare import compare, on_table
from supernet.decided import undecided
from supernet.errors import InputError, unknown
from supernet.plan.bounds import bounds_of
from supernet.plan.recipe import with_recipe
from supernet.plan.resolved import use_threads
from supernet.plan.scoring import open_table
from supernet.plan.search import check_search, plan_search
from supernet.plan.supernets import sketch
from supernet.progress import Progress
from supernet.report.page import write_comparison
from supernet.run import check_writable, read_history
from supernet.searchers import SEARCHERS
from supernet.settings.given import NOT_FOR_USERS, Settings, accepted
from supernet.spaces import space as space_named
from supernet.stopping import Interrupted
from supernet.strategies import STRATEGIES
from supernet.strategies.weights import Weights
from supernet.tasks import kind_for
from supernet.tasks.kind import Kind
from supernet.workflow.children import Children
from supernet.workflow.finishing import keeps_bounds

UNITS = {"evals": "trials", "epochs": "epochs", "steps": "steps", "s": "seconds"}


@dataclass(frozen=True)
class Comparison:
    """What is compared. ``settings``: those that all methods share. ``searches``, ``finals``: by method, the settings of its search and of
    the training of what it finds; the seed counts for nothing, and data and network of the training are those of the search.
    ``budget``: as it was given, which is ``amount`` in ``unit``. ``seeds``: how many.
    """

    settings: Settings
    searches: dict[str, Settings]
    finals: dict[str, Settings]
    budget: str
    amount: int
    unit: str
    seeds: int


def budget_of(text: str) -> tuple[int, str]:
    """(300, "evals") from 300evals; raises ``InputError`` for anything else."""
    found = re.fullmatch(r"([0-9]{1,9})([a-z]+)", text.strip())
    if not found or int(found[1]) < 1:
        raise InputError(f"--budget is a number with a unit ({', '.join(UNITS)}), for example 300evals, and below 10^9; got {text!r:.60}")
    if found[2] not in UNITS:
        raise unknown("unit of --budget", found[2], UNITS)
    return int(found[1]), found[2]


def compare_run(asked: Comparison, out: Path | None) -> dict[str, Any]:
    """Compare methods, random search among them; ``out``: the folder that keeps results, so that it can be resumed."""
    check_compare(asked)
    settings = asked.settings
    use_threads(settings)
    children = Children(kept=out is not None)
    with tempfile.TemporaryDirectory() as temporary:
        folder, kind = out or Path(temporary), kind_for(settings["space"], settings["task"])
        if settings["table"]["file"]:
            table = open_table(settings, sketch(settings).space)
            bounds = bounds_of(settings)
            if other := bounds.keys() - {"params", "macs"}:
                raise InputError(f"on a table the bounds of a comparison are on params and macs, not on {', '.join(sorted(other))}")
            run: Callable[[str], Callable[[int], Any]] = on_table(table, asked.amount, limits=bounds)
        else:
            run = partial(_on_data, asked, kind, folder, children)
        progress = Progress("comparing", len(asked.searches) * asked.seeds, unit="runs")
        kept = {k: v for k, v in settings.items() if k not in ("seed", "workers", "threads")}
        try:
            result = compare(
                asked.searches,
                run,
                range(asked.seeds),
                folder,
                space=settings["space"],
                budget=asked.budget,
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


def check_compare(asked: Comparison) -> None:
    """Refuse what does not go together."""
    settings, wanted = asked.settings, asked.searches
    if settings["space"] is None:
        raise InputError("no search space: give --space (supernet list spaces)")
    for name in wanted:
        if name not in STRATEGIES and name not in SEARCHERS:
            raise unknown("method", name, [*STRATEGIES, *SEARCHERS])
    if idle := next((name for name in settings["methods"] if name not in wanted), None):
        raise unknown("method compared in the section methods:", idle, wanted)
    if not 1 <= asked.seeds <= 10_000:
        raise InputError(f"--seeds must be at least 1 and at most 10000; got {asked.seeds}")
    accepted("final.weights", Weights, settings["final"]["weights"], fixed=NOT_FOR_USERS["weights"])
    if settings["table"]["file"] and asked.unit != "evals":
        raise InputError(f"on a table the budget is in evals, for example 300evals; got {asked.budget!r}")
    for name, search in wanted.items():
        if name in STRATEGIES and asked.unit == "evals":
            raise InputError(f"{name} trains a supernet: its budget is in epochs, steps or s, for example 10epochs; got {asked.budget!r}")
        check_search(search)


def plan_of(asked: Comparison, out: Path | None) -> dict[str, Any]:
    """What ``--dry-run`` prints: the settings, and those of each method's search with all their values.

    Refuses what the comparison would refuse, up to its first run.
    """
    check_compare(asked)
    use_threads(asked.settings)
    if out:
        check_writable(out)
    own = {name: plan_search(search).config["resolved"] for name, search in asked.searches.items()}
    return {"settings": asked.settings, "methods": own, "budget": asked.budget, "seeds": asked.seeds}


def _on_data(asked: Comparison, kind: type[Kind], folder: Path, children: Children, name: str) -> Callable[[int], dict[str, Any]]:
    def run(seed: int) -> dict[str, Any]:
        place = folder / f"{name}-{seed}"
        threads = asked.searches[name]["threads"] or asked.settings["threads"]  # said, since results depend on how many there are
        wanted = {**asked.searches[name], "seed": seed, "threads": threads}
        command = partial(_command, children, f"{name} with seed {seed}")
        searched = command("search", name, wanted, place / "search")
        sizes = space_named(wanted["space"]).network.taken(wanted["supernet"])
        data = with_recipe(wanted, wanted["space"])["data"]  # the batches of the search
        final = {**asked.finals[name], "seed": seed, "threads": threads, "data": data, "network": {**sizes, **wanted["network"]}}
        final |= {"task": kind.name, "beside": False, "retrain": dict(kind.short)}
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
