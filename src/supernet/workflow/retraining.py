"""The command ``retrain``: the evaluation network of an architecture, trained from nothing."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

from supernet.designs import design
from supernet.errors import InputError
from supernet.report.page import write_report
from supernet.run import FORMAT, Run, seed_everything
from supernet.search import warm_start
from supernet.searchers.state import plain
from supernet.settings import Settings, accepted
from supernet.strategies.retrain import Retrain
from supernet.strategies.weights import Weights
from supernet.train import fit, peak_memory
from supernet.workflow.classification import DATA, MACHINE, dtype_of, fitted, image_task, use_threads

RETRAIN: Settings = {
    "command": "retrain",
    "architecture": None,
    **MACHINE,
    "epochs": 600,
    "data": {**DATA, "batch_size": 96, "validation": 0.0, "cutout": 16},
    "network": {},
    "retrain": {},
    "weights": {},
    "initial": None,
}


def retrain_run(settings: Settings, out: Path, resume: bool = False) -> dict[str, Any]:
    """Train the evaluation network of an architecture from nothing, and write the run and its report."""
    there = design(settings["architecture"])
    accepted("retrain", Retrain, settings["retrain"], fixed=("weights",))
    accepted("weights", Weights, settings["weights"])
    dtype_of(settings["autocast"])
    if settings["epochs"] < 1:
        raise InputError(f"epochs must be at least 1; got {settings['epochs']}")
    began = time.monotonic()
    use_threads(settings)
    with Run(out, settings, resume) as run:
        task = image_task(settings, testing=True)
        watched = "validation" if task.data.has("validation") else "test"
        sizes = {**there.settings, **fitted(settings, task, "network")}
        seed_everything(settings["seed"])
        model = there.network(sizes)
        if settings["initial"]:
            warm_start(model, settings["initial"])
        model = task.place(model)
        weights = partial(Weights, **{"lr_min": 0.0, **settings["weights"]})
        strategy = Retrain(model, task, weights=weights, **settings["retrain"])
        watch = lambda: {watched: strategy.evaluate(watched)}  # noqa: E731
        history = fit(strategy, task.data, settings["epochs"], run, evaluate=watch, what="retraining", save_every=settings["save_every"])
        model.eval()
        run.write_weights(model)
        test = task.evaluate(model, "test")
        described = there.describe(sizes)
        stored = {
            "format": FORMAT,
            "space": there.space,
            "settings": described["settings"],
            "choices": plain(there.choices) if there.choices else None,
            "genotype": there.notation,
            "found_by": there.stored.get("found_by", {"architecture": settings["architecture"]}),
            "trained": {"epochs": settings["epochs"], "data": settings["data"]["source"], "classes": list(task.set.classes)},
            "scores": {
                **({"validation": history[-1]["validation"]["accuracy"]} if watched == "validation" else {}),
                "test": test["accuracy"],
            },
            "costs": {"params": described["params"], "macs": described["macs"]},
        }
        run.write_json("architecture.json", stored)
        write_report(run.folder)
    measured = {"seconds": time.monotonic() - began, "peak_memory_mb": peak_memory()}
    return {**{k: stored[k] for k in ("choices", "genotype")}, **stored["costs"], "test": test, "out": str(out), "measured": measured}
