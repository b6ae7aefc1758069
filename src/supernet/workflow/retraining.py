"""The command ``retrain``: the evaluation network of an architecture, trained from nothing."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from supernet.errors import InputError
from supernet.metrics import finite
from supernet.naming.design import Design
from supernet.naming.lookup import design
from supernet.ops import AuxiliaryHead, DropPath
from supernet.randomness import seed_everything
from supernet.records import FORMAT
from supernet.report.page import write_report
from supernet.run import Run, check_folder, check_writable
from supernet.search import warm_start
from supernet.searchers.state import plain
from supernet.settings import NOT_FOR_USERS, Settings, accepted, defaults, json_ready
from supernet.sketch import fitting
from supernet.spaces import space as space_named
from supernet.strategies.weights import Weights
from supernet.task import usable
from supernet.tasks import kind_for
from supernet.tasks.kind import Companion, Kind
from supernet.train import fit, peak_memory
from supernet.workflow.planning import check_initial, use_threads, with_resolved
from supernet.workflow.tasks import with_recipe


def retrain_run(settings: Settings, out: Path, resume: bool = False) -> dict[str, Any]:
    """Train the evaluation network of an architecture from nothing, and write the run and its report.

    What the task has to stand beside it, as an LSTM as large beside a recurrent cell, is trained alike.
    """
    settings, there = check_retrain(settings)
    check_folder(out, {}, resume)
    began = time.monotonic()
    use_threads(settings)
    task = kind_for(there.space, settings["task"]).read(settings, testing=True)
    sizes = {**there.settings, **task.sizes, **settings["network"]}
    check_acting(fitting(f"a network of {there.space}", partial(there.network, sizes)), settings["retrain"])
    with Run(out, with_resolved(settings, resolved(settings, there, task, sizes)), resume) as run:
        start = task.data.state_dict()
        task.keep(run)
        seed_everything(settings["seed"])
        model = there.network(sizes)
        if settings["initial"]:
            warm_start(model, settings["initial"])
        scores = train_network(task.place(model), run, settings, task)
        described = there.describe(sizes)
        beside: dict[str, dict[str, Any]] = {}
        for companion in task.beside(described) if settings["beside"] else ():
            task.forget(start)
            beside[companion.name] = train_beside(companion, run, settings, task)
        costs = {k: described[k] for k in ("params", "macs")}
        said = by_split(task, scores)
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
            "found_by": there.stored.get("found_by", {"architecture": settings["architecture"]}),
            "trained": {"epochs": settings["epochs"], "data": settings["data"]["source"], **task.about},
            "preprocessing": task.preprocessing,
            **kept_bounds(there, described["settings"]),
            "scores": said,
            "costs": costs,
        }
        run.write_json("architecture.json", stored)
        write_report(run.folder)
    measured = {"seconds": time.monotonic() - began, "peak_memory_mb": peak_memory(settings["device"])}
    found = {k: stored[k] for k in ("choices", "genotype")} | {k: described[k] for k in ("params", "macs")}
    return {**found, **scores, **beside, "out": str(out), "measured": measured}


def train_beside(companion: Companion, run: Run, settings: Settings, task: Kind) -> dict[str, Any]:
    """Train a plain network in a folder of ``run`` by its name, like the one that it stands beside: its sizes and metrics."""
    sizes, alike = companion.settings, {k: run.config[k] for k in ("seed", "epochs", "data")}
    with run.sub(companion.name, {"architecture": companion.name, "network": sizes, "metrics": task.scores(), **alike}) as sub:
        seed_everything(settings["seed"])
        model = task.place(companion.build())
        scores = train_network(model, sub, settings, task)
        costs = {"params": companion.params, "macs": companion.macs(model)}
        flat = {f"{part}_{name}": value for part, metrics in scores.items() for name, value in metrics.items()}
        stored = {"format": FORMAT, "space": companion.name, "settings": sizes, "choices": None, "scores": flat, "costs": costs}
        sub.write_json("architecture.json", stored)
        write_report(sub.folder)
    return {**costs, **companion.said, **scores}


def check_retrain(settings: Settings) -> tuple[Settings, Design]:
    """The settings of a retraining over the recipe of the space, and the design; refuses what is wrong without reading data."""
    if settings["architecture"] is None:
        raise InputError("a retraining needs an architecture: a run, a file, a published name or a notation")
    usable(settings["device"])
    there = design(settings["architecture"])
    settings["task"] = settings["task"] or there.stored.get("task")
    accepted("retrain", kind_for(there.space, settings["task"]).trainer, settings["retrain"], fixed=NOT_FOR_USERS["retrain"])
    accepted("weights", Weights, settings["weights"], fixed=NOT_FOR_USERS["weights"])
    space_named(there.space).network.accepted(settings["network"])
    return with_recipe(settings, there.space), there


def check_acting(network: nn.Module, given: Settings) -> None:
    """Refuses settings of the training that act on parts which ``network`` does not have."""
    if given.get("auxiliary") and not any(isinstance(module, AuxiliaryHead) for module in network.modules()):
        raise InputError("retrain.auxiliary weighs the loss of an auxiliary head, and this network has none: ask for one with --auxiliary")
    if given.get("drop_path") and not any(isinstance(module, DropPath) for module in network.modules()):
        raise InputError("retrain.drop_path acts on networks of cells that drop paths, and this network has no such place: leave it out")


def plan_of(settings: Settings, out: Path, resume: bool = False) -> dict[str, Any]:
    """What ``--dry-run`` prints: all settings with their values, the network and its costs, the number of examples.

    Refuses what the retraining would refuse, up to its first step.
    """
    settings, there = check_retrain(settings)
    use_threads(settings)
    task = kind_for(there.space, settings["task"]).read(settings, testing=True)
    sizes = {**there.settings, **task.sizes, **settings["network"]}
    network = fitting(f"a network of {there.space}", partial(there.network, sizes))
    check_acting(network, settings["retrain"])
    if settings["initial"]:
        check_initial(network, settings["initial"])
    train = {"weights": partial(Weights, **{"lr_min": 0.0, **settings["weights"]}), **settings["retrain"]}
    task.trainer(network, task, **train)
    config = with_resolved(settings, resolved(settings, there, task, sizes))
    check_folder(out, config, resume)
    check_writable(out)
    described = there.describe(sizes)
    return {"settings": config, **{k: described[k] for k in ("params", "macs", "genotype")}, "examples": task.counts}


def resolved(settings: Settings, there: Design, task: Kind, sizes: Settings) -> Settings:
    """Section -> all its values, those that are not given too."""
    return {
        "network": {**defaults(space_named(there.space).network.sizes), **there.sized(sizes)},
        "data": {**settings["data"], **task.decided},
        "metrics": task.scores(),
        "retrain": {**defaults(task.trainer, NOT_FOR_USERS["retrain"]), **settings["retrain"]},
        "weights": {**defaults(Weights, NOT_FOR_USERS["weights"]), **Weights.usual, "lr_min": 0.0, **settings["weights"]},
    }


def train_network(model: nn.Module, run: Run, settings: Settings, task: Kind) -> dict[str, dict[str, float]]:
    """Train a network and write its weights; its metrics by split."""
    watched = "validation" if task.data.has("validation") else "test"
    weights = partial(Weights, **{"lr_min": 0.0, **settings["weights"]})
    strategy = task.paced(task.trainer(model, task, weights=weights, **settings["retrain"]))
    watch = lambda: {watched: strategy.evaluate(watched)}  # noqa: E731
    history = fit(strategy, task.data, settings["epochs"], run, evaluate=watch, what="retraining", save_every=settings["save_every"])
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
    for part in ("validation", "test"):
        if part in scores:
            found |= {part: task.main(scores[part]), **{f"{part}_{name}": value for name, value in scores[part].items()}}
    return found
