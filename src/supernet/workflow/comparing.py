"""The command ``compare``: from a plan to a table of methods.

On a table searchers look up what others trained. On data each run is a process of its own: a search, then the network it found trained
from nothing on the training part for the same short time as all others, scored on the validation part and on the test split.
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

from supernet.compare import compare
from supernet.costs.limits import COSTS
from supernet.decided import named, undecided
from supernet.files.whole import make_folder, write_whole
from supernet.plan.compare import ComparePlan
from supernet.plan.goals import led_by_first
from supernet.progress import Progress
from supernet.report.page import write_comparison
from supernet.run import read_history
from supernet.settings.given import Settings
from supernet.stopping import Interrupted
from supernet.study.on_table import Study
from supernet.tasks.kind import Kind
from supernet.workers import Workers
from supernet.workers.here import Process
from supernet.workers.packed import Packed
from supernet.workers.within import InTurn, Thread
from supernet.workflow.children import Children
from supernet.workflow.finishing import keeps_bounds

COMPARING = "comparing"


def compare_run(plan: ComparePlan, out: Path | None) -> dict[str, Any]:
    """Compare methods, random search among them; ``out``: the folder that keeps results, so that it can be resumed."""
    with tempfile.TemporaryDirectory() as temporary, Shown() as shown:
        folder = out or Path(temporary)
        kept = f"{out} holds what was done, and the same command goes on" if out else "nothing is kept without --out"
        how: dict[str, Any] = {
            "settings": partial(_depends, plan.config),
            **{"space": plan.space, "budget": plan.budget},
            **{"begin": shown.begin, "progress": shown.advance},
        }
        how |= _on_table(plan, plan.study) if plan.study else _on_data(plan, folder, Children(kept=out is not None))
        try:
            result = compare(plan.resolved, how.pop("method"), range(plan.seeds), folder, **how)
        except KeyboardInterrupt:
            raise Interrupted(f"stopped; {kept}") from None
        for name, found in result["methods"].items():
            if not found.get("holds", True):
                print(f"warning: {name} misses a bound with some seed", file=sys.stderr)
            for score, verdict in found.get("decided", {}).items():
                for sentence in undecided({score: verdict}):
                    print(f"undecided: {name}, {score}: {sentence}", file=sys.stderr)
        if out:
            write_comparison(result, out)
    return result


def _depends(config: Settings, name: str) -> Settings:
    """Of the settings of a comparison those that the results of a method depend on."""
    shared = {setting: value for setting, value in config.items() if setting not in ("seed", "workers", "threads", "methods")}
    own = config["methods"].get(name)
    return shared | ({"methods": {name: own}} if own else {})


class Shown:
    """The progress of a comparison, which begins with what is known already."""

    def __init__(self) -> None:
        self.progress: Progress | None = None

    def __enter__(self) -> Shown:
        return self

    def __exit__(self, *raised: object) -> None:
        if self.progress:
            self.progress.close()

    def begin(self, total: int, done: int) -> None:
        """So many runs, of which some are done."""
        self.progress = Progress(COMPARING, total, done, unit="runs")

    def advance(self, name: str, seed: int) -> None:
        """One more is done."""
        assert self.progress, "it begins before"
        self.progress.advance(method=name, seed=seed)


def _on_table(plan: ComparePlan, study: Study) -> dict[str, Any]:
    """How searchers are run on a table: one at a time here, several in processes of their own."""
    led = [said for name in plan.resolved for said in led_by_first(study.searcher(name), study.objective)]
    for remark in [*filter(None, [study.table.note]), *dict.fromkeys(led)]:
        print(f"note: {remark}", file=sys.stderr)

    def workers(run: Callable[..., Any]) -> Workers | InTurn:
        if plan.workers == 1:
            return InTurn(run)
        packed = Packed(run)
        return Workers(lambda: Process(packed, threads=1), plan.workers, COMPARING)

    facts = {**study.facts(list(plan.resolved)), **({"left_out": dict(plan.left_out)} if plan.left_out else {})}
    return {"method": study.method, "facts": facts, "workers": workers}


def _on_data(plan: ComparePlan, folder: Path, children: Children) -> dict[str, Any]:
    """How methods are run on data: in processes of their own, by commands."""
    assert plan.kind, "what is on data is of a kind of task"
    asked = {"objective": plan.config["objective"], "limits": {name: plan.config["limits"][name] for name in COSTS}}
    asked["limits"] = {name: bound for name, bound in asked["limits"].items() if bound is not None}
    facts = {name: value for name, value in asked.items() if value}
    method = partial(_commands, plan, plan.kind, folder, children)

    def workers(run: Callable[..., Any]) -> Workers:
        return Workers(lambda: Thread(run, children.stop), plan.workers, COMPARING)

    if plan.judge:
        facts |= {"judge": {"best": plan.judge.best, "networks": len(plan.judge.tests)}}
    how = {} if plan.judge else {"metric": plan.kind.judged_by()}  # a table has units of its own
    return {"method": method, "facts": facts, "workers": workers, **how}


def _commands(plan: ComparePlan, kind: type[Kind], folder: Path, children: Children, name: str) -> Callable[[int], dict[str, Any]]:
    method = plan.methods[name]

    def run(seed: int) -> dict[str, Any]:
        place = folder / f"{name}-{seed}"
        command = partial(_command, children, f"{name} with seed {seed}")
        searched = command("search", method.search["method"], {**method.search, "seed": seed}, place / "search")
        holds = {"holds": keeps_bounds(searched)} if "limits" in searched else {}
        model = named("model", searched.get("decided", {}).get("model"))
        if plan.judge:
            judged = plan.judge.line(searched, read_history(place / "search"), method.objective)
            measured = {name: searched["measured"][name] for name in ("seconds", "peak_memory_mb")}
            return {**judged, "evaluations": method.tried, "genotype": searched["genotype"], **holds, **model, "measured": measured}
        trained = command("retrain", str(place / "search"), {**method.final, "seed": seed}, place / "final")
        lines = [line.get("measured", {}) for line in read_history(place / "search")]
        rates = [measured["steps_per_second"] for measured in lines if "steps_per_second" in measured]
        measured = {"seconds": searched["measured"]["seconds"], "peak_memory_mb": searched["measured"]["peak_memory_mb"]}
        if rates:
            measured["seconds_per_step"] = len(rates) / sum(rates)
        if latency := searched["measured"].get("latency"):
            measured["latency_ms"] = latency["ms"]
        scores = {part: kind.main(trained[part]) for part in ("validation", "test")}
        costs = {name: searched[name] for name in COSTS if name in searched} | {"params": trained["params"], "macs": trained["macs"]}
        costs |= {"genotype": searched["genotype"]}
        return {**scores, "evaluations": method.tried, **costs, **holds, **model, "measured": measured}

    return run


def _command(children: Children, who: str, verb: str, what: str, settings: Settings, out: Path) -> dict[str, Any]:
    """Run a command of supernet in a process of its own, or go on with it; its JSON."""
    make_folder(out.parent)
    config = out.parent / f"{verb}.yaml"
    write_whole(config, yaml.safe_dump(json.loads(json.dumps(settings)), sort_keys=False))
    words = [verb, what, "--config", str(config), "--out", str(out), "--json"]
    words += ["--resume"] if (out / "config.yaml").exists() else []
    found: dict[str, Any] = json.loads(children.run(words, out.parent / f"{verb}.log", who))
    return found
