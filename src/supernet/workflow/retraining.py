"""The command ``retrain``: the evaluation network of an architecture, trained from nothing."""

from __future__ import annotations

from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from torch import nn

from supernet.derive import recalibrate
from supernet.files.records import FORMAT
from supernet.memory import peak_memory
from supernet.metrics import finite
from supernet.modules.weights import fill, warm_start
from supernet.naming.design import Design
from supernet.plan.resolved import computing
from supernet.plan.retrain import RetrainPlan
from supernet.randomness import seed_everything
from supernet.report.page import write_report
from supernet.run import Run
from supernet.searchers.state import plain
from supernet.settings.given import Settings, json_ready
from supernet.tasks.kind import Companion, Kind
from supernet.train import fit

PARTS = ("validation", "test")
CALIBRATION = 20  # batches for the batch norms of shared weights, as a search takes by default


def retrain_run(plan: RetrainPlan, out: Path, resume: bool = False) -> dict[str, Any]:
    """Train the evaluation network of an architecture as planned, and write the run and its report.

    What the task has to stand beside it, as an LSTM as large beside a recurrent cell, is trained alike.
    """
    there, task, sizes = plan.there, plan.task, plan.sizes
    with Run(out, plan.config, resume) as run:
        start = task.data.state_dict()
        task.keep(run)
        seed_everything(plan.seed)
        model = there.network(sizes)
        if plan.initial:
            warm_start(model, plan.initial)
        if plan.shared:
            fill(model, plan.shared)
        model = task.place(model)
        before = untrained(task, model) if plan.shared else {}
        scores = train_network(plan, model, run)
        described = there.describe(sizes)
        beside: dict[str, dict[str, Any]] = {}
        for companion in task.beside(described) if plan.beside else ():
            task.forget(start)
            beside[companion.name] = train_beside(plan, companion, run)
        costs = {k: described[k] for k in ("params", "macs")}
        said = by_split(task, scores) | {f"shared_{k}": v for k, v in by_split(task, before).items() if k not in PARTS}
        for name, other in beside.items():
            main = {f"{part}_{task.judged.name}" for part in ("validation", "test")}
            said |= {f"{name.upper()}_{k}": v for k, v in by_split(task, other).items() if k in main}
            costs |= {f"{name.upper()}_params": other["params"]}
        stored = {
            "format": FORMAT,
            "space": there.space,
            "settings": described["settings"],
            "choices": plain(there.choices) if there.choices else None,
            "genotype": there.written(sizes),
            "task": task.name,
            "found_by": plan.found_by,
            "trained": {"epochs": plan.epochs, "data": plan.source, **task.about},
            "preprocessing": task.preprocessing,
            **kept_bounds(there, described["settings"]),
            "scores": said,
            "costs": costs,
        }
        run.write_json("architecture.json", stored)
        write_report(run.folder)
    measured = {"seconds": run.seconds(), "peak_memory_mb": peak_memory(plan.device), "computing": computing(plan.config)}
    found = {k: stored[k] for k in ("choices", "genotype")} | {k: described[k] for k in ("params", "macs")}
    shared = {"shared": before} if before else {}
    return {**found, **scores, **shared, **beside, "out": str(out), "measured": measured}


def untrained(task: Kind, model: nn.Module) -> dict[str, dict[str, float]]:
    """The metrics by split of a network before its training, its batch norms recalibrated on training batches."""
    recalibrate(model, partial(task.predict, model), islice(task.data.calibrating("train"), CALIBRATION))
    return {part: finite(task.evaluate(model, part)) for part in PARTS if task.data.has(part)}


def train_beside(plan: RetrainPlan, companion: Companion, run: Run) -> dict[str, Any]:
    """Train a plain network in a folder of ``run`` by its name, like the one that it stands beside: its sizes and metrics."""
    sizes, alike = companion.settings, {k: run.config[k] for k in ("seed", "epochs", "data")}
    with run.sub(companion.name, {"architecture": companion.name, "network": sizes, "metrics": plan.task.scores(), **alike}) as sub:
        seed_everything(plan.seed)
        model = plan.task.place(companion.build())
        scores = train_network(plan, model, sub)
        costs = {"params": companion.params, "macs": companion.macs(model)}
        flat = {f"{part}_{name}": value for part, metrics in scores.items() for name, value in metrics.items()}
        stored = {"format": FORMAT, "space": companion.name, "settings": sizes, "choices": None, "scores": flat, "costs": costs}
        sub.write_json("architecture.json", stored)
        write_report(sub.folder)
    return {**costs, **companion.said, **scores}


def train_network(plan: RetrainPlan, model: nn.Module, run: Run) -> dict[str, dict[str, float]]:
    """Train a network as planned and write its weights; its metrics by split."""
    task = plan.task
    watched = "validation" if task.data.has("validation") else "test"
    strategy = plan.strategy(model)
    watch = lambda: {watched: strategy.evaluate(watched)}  # noqa: E731
    how: dict[str, Any] = {"save_every": plan.save_every, "ranks": task.ranks}
    history = fit(strategy, task.data, plan.epochs, run, evaluate=watch, what="retraining", **how)
    model.eval()
    run.write_weights(model, *task.example)
    last = {"validation": finite(history[-1]["validation"])} if watched == "validation" else {}
    return {"test": finite(task.evaluate(model, "test")), **last}


def kept_bounds(there: Design, settings: Settings) -> dict[str, Any]:
    """The bounds of the search that found the architecture and what was measured, where this is the network that they are on."""
    same = there.stored.get("limits") and json_ready(there.sized({})) == json_ready(settings)
    return {name: there.stored[name] for name in ("limits", "measured") if name in there.stored} if same else {}


def by_split(task: Kind, scores: dict[str, Any]) -> dict[str, Any]:
    """Metrics by split as one level of names, the main one also by that of its split alone."""
    found: dict[str, Any] = {}
    for part in PARTS:
        if part in scores:
            found |= {part: task.main(scores[part]), **{f"{part}_{name}": value for name, value in scores[part].items()}}
    return found
