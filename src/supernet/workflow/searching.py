"""The command ``search``: settings to a run with an architecture, its costs and a report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from supernet.costs.objective import Objective
from supernet.derive import derive
from supernet.designs import Design
from supernet.errors import InputError, unknown
from supernet.estimators.scratch import FromScratch
from supernet.estimators.shared import SharedWeights
from supernet.estimators.tabular import Table
from supernet.layers.base import Supernet
from supernet.report.page import write_report
from supernet.run import FORMAT, Run, seed_everything
from supernet.search import Found, search, try_architectures, warm_start
from supernet.searchers import SEARCHERS, Searcher, make_searcher, searcher_class
from supernet.searchers.state import plain
from supernet.settings import Settings, accepted, taken
from supernet.space import SearchSpace
from supernet.spaces import space_module
from supernet.strategies import STRATEGIES
from supernet.strategies import strategy as strategy_named
from supernet.strategies.retrain import Retrain
from supernet.strategies.weights import Weights
from supernet.train import peak_memory
from supernet.workflow.baseline import random_baseline, work
from supernet.workflow.classification import DATA, MACHINE, ImageTask, dtype_of, fitted, image_task, use_threads
from supernet.workflow.limits import Limits

SEARCH: Settings = {
    "command": "search",
    "method": None,
    "space": None,
    **MACHINE,
    "epochs": 50,
    "steps": None,
    "data": DATA,
    "table": {"file": None, "search": None, "report": None, "dataset": None},
    "supernet": {},
    "network": {},
    "strategy": {},
    "weights": {},
    "initial": None,
    "searcher": {"name": "evolution"},
    "trials": 200,
    "estimator": {"name": None, "epochs": 1, "calibration": 20},
    "limits": {"params": None, "macs": None},
    "baseline": {"name": None, "trials": 4},
}


NOT_FOR_USERS = ("weights", "seed", "penalty", "rule", "build", "reduce", "draws", "alpha_optimiser", "relax_weights", "relax_inputs")


def search_run(settings: Settings, out: Path, resume: bool = False) -> dict[str, Any]:
    """Search as ``settings`` say, write the run and its report, return what INTERFACE calls the JSON of search."""
    check_search(settings)
    began = time.monotonic()
    use_threads(settings)
    with Run(out, settings, resume) as run:
        if settings["table"]["file"]:
            found, module_settings = _search_table(settings, run)
        elif settings["method"] in STRATEGIES:
            found, module_settings = _search_supernet(settings, run)
        else:
            found, module_settings = _search_scratch(settings, run)
        result = _finish(settings, run, found, module_settings, time.monotonic() - began)
        write_report(run.folder)
    return result


def check_search(settings: Settings) -> None:
    """Refuse what cannot work before any work: names, the settings of every part, and parts that do not go together."""
    method, module = settings["method"], space_module(settings["space"])
    if method not in STRATEGIES and method not in SEARCHERS:
        raise unknown("method", method, [*STRATEGIES, *SEARCHERS])
    if method in STRATEGIES:
        if settings["table"]["file"]:
            raise InputError(f"{method} trains a supernet on data: give --data; --table is for searchers ({', '.join(SEARCHERS)})")
        accepted(method, strategy_named(method).load(), settings["strategy"], fixed=NOT_FOR_USERS)
        accepted("weights", Weights, settings["weights"])
    name = settings["searcher"]["name"] if method in STRATEGIES else method
    accepted(name, searcher_class(name), {k: v for k, v in settings["searcher"].items() if k != "name"})
    supernet_settings(settings)
    accepted(f"a network of {settings['space']}", module.network, settings["network"])
    for what in ("epochs", "trials"):
        if settings[what] is not None and settings[what] < 1:
            raise InputError(f"{what} must be at least 1; got {settings[what]}")
    if settings["estimator"]["name"] not in (None, "shared", "scratch", "table"):
        raise unknown("estimator", settings["estimator"]["name"], ("shared", "scratch", "table"))
    dtype_of(settings["autocast"])


def plan_of(settings: Settings) -> dict[str, Any]:
    """What ``--dry-run`` prints: the settings, and the sizes of what would be searched."""
    check_search(settings)
    module = space_module(settings["space"])
    with torch.device("meta"):
        supernet = module.supernet(**supernet_settings(settings))
    sizes = {"supernet_params": sum(p.numel() for p in supernet.parameters()), "size": supernet.space.size()}
    return {"settings": settings, **sizes}


def build_supernet(settings: Settings, task: ImageTask) -> Supernet:
    """The supernet of the run's space and settings."""
    seed_everything(settings["seed"])
    supernet: Supernet = space_module(settings["space"]).supernet(**supernet_settings(settings, task))
    if settings["initial"]:
        warm_start(supernet, settings["initial"])
    return supernet


def supernet_settings(settings: Settings, task: ImageTask | None = None) -> Settings:
    """Of the space, of the method, of the data, of the user: the later counts."""
    module, method = space_module(settings["space"]), STRATEGIES.get(settings["method"])
    own = method.space.get(settings["space"], {}) if method else {}
    found = {"classes": task.classes, "shape": task.shape} if task else {}
    given = {**module.SEARCH, **own, **found, **settings["supernet"]}
    return accepted(f"the supernet of {settings['space']}", module.supernet, given)


def _search_supernet(settings: Settings, run: Run) -> tuple[Found, Settings]:
    task = image_task(settings)
    supernet = build_supernet(settings, task)
    method = strategy_named(settings["method"])
    network = fitted(settings, task, "network")
    limits = Limits.of(settings, network)
    task.place(supernet)
    extra = limits.for_gradient() if limits.any and method.alphas else {}
    seed_everything(settings["seed"])
    module, sizes = space_module(settings["space"]), supernet_settings(settings, task)
    if settings["space"] in method.builds:
        extra["build"] = lambda **more: module.supernet(**{**sizes, **more})
    strategy = method.load()(supernet, task, seed=settings["seed"], weights=settings["weights"], **settings["strategy"], **extra)
    objective, costs = Objective(limits=limits.bounds), limits.costs if limits.any else None
    found = search(
        supernet,
        task,
        strategy,
        epochs=settings["epochs"],
        steps=settings["steps"],
        out=run,
        searcher=searcher_of(settings, settings["searcher"]["name"], supernet.space),
        trials=settings["trials"],
        objective=objective,
        costs=costs,
        calibration=settings["estimator"]["calibration"],
        save_every=settings["save_every"],
    )
    assert found.supernet
    run.write_weights(derive(found.supernet, found.architecture, *task.example))
    found.built = {**sizes, **getattr(strategy, "built", {})}
    if settings["baseline"]["name"]:
        steps = settings["steps"] or len(found.history) * strategy.steps(task.data)
        searched = steps * work(task, lambda: strategy.step(task.data))
        if found.trials:
            estimate = SharedWeights(found.supernet, task, batches=settings["estimator"]["calibration"])
            searched += len(found.trials) * work(task, lambda: estimate(supernet.space.check(found.architecture)))
        found.baseline = random_baseline(
            run,
            supernet.space,
            searched,
            lambda steps: scratch_estimator(settings, task, 1, steps),
            found.architecture,
            trials=settings["baseline"]["trials"],
            seed=settings["seed"],
            objective=objective,
            costs=costs,
        )
    return found, network


def _search_scratch(settings: Settings, run: Run) -> tuple[Found, Settings]:
    task = image_task(settings)
    space = build_supernet(settings, task).space
    network = fitted(settings, task, "network")
    limits = Limits.of(settings, network)
    objective = Objective(limits=limits.bounds)
    trials = try_architectures(
        space,
        searcher_of(settings, settings["method"], space),
        scratch_estimator(settings, task, settings["estimator"]["epochs"]),
        settings["trials"],
        objective,
        run,
        costs=limits.costs if limits.any else None,
    )
    return Found(space.matters(trials[0].architecture), dict(trials[0].scores or {}), None, [], trials), network


def searcher_of(settings: Settings, name: str, space: SearchSpace) -> Searcher:
    """The searcher by name, with the settings of the section ``searcher``."""
    own = {k: v for k, v in settings["searcher"].items() if k != "name"}
    return make_searcher(name, space, settings["seed"], budget=settings["trials"], **own)


def scratch_estimator(settings: Settings, task: ImageTask, epochs: int, steps: int | None = None) -> FromScratch:
    """Trains the network of an architecture at the supernet's size: the proxy of the papers."""
    module = space_module(settings["space"])
    able = taken(module.network, supernet_settings(settings, task))
    train = partial(Retrain, drop_path=0.0, weights=partial(Weights, **{"lr_min": 0.0, **settings["weights"]}))
    return FromScratch(lambda arch: module.network(arch, **able), task, epochs=epochs, steps=steps, seed=settings["seed"], strategy=train)


def _search_table(settings: Settings, run: Run) -> tuple[Found, Settings]:
    space, table = open_table(settings)
    limits = {k: v for k, v in settings["limits"].items() if v is not None}
    trials = try_architectures(
        space,
        searcher_of(settings, settings["method"], space),
        table.estimate,
        settings["trials"],
        Objective(maximise=("validation",), limits=limits),
        run,
        costs=table.costs,
        every=1000,
    )
    return Found(space.matters(trials[0].architecture), dict(trials[0].scores or {}), None, [], trials), dict(settings["network"])


def open_table(settings: Settings) -> tuple[SearchSpace, Table]:
    """The search space and the benchmark table of a command's settings."""
    module = space_module(settings["space"])
    with torch.device("meta"):
        space = module.supernet(**supernet_settings(settings)).space
    given = {k: v for k, v in settings["table"].items() if k != "file" and v is not None}
    return space, Table.read(settings["table"]["file"], space=space, **given)


def _finish(settings: Settings, run: Run, found: Found, network: Settings, seconds: float) -> dict[str, Any]:
    """Write architecture.json and return the JSON of a search."""
    space, module = settings["space"], space_module(settings["space"])
    there = Design(space, found.architecture, dict(found.architecture), module.notation(found.architecture), network)
    described = there.describe()
    score = found.scores
    validation = score.get("accuracy", score.get("validation"))
    alike = {f"{k}_trained_alike": v for k, v in found.baseline.get("found", {}).items()}
    bounds = {k: v for k, v in settings["limits"].items() if v is not None}
    holds = {k: bool(described[k] <= bound) for k, bound in bounds.items()}
    found_by = {"method": settings["method"], "seed": settings["seed"], "epochs": settings["epochs"], "trials": len(found.trials)}
    stored = {
        "format": FORMAT,
        "space": space,
        "settings": json_ready(network),
        "choices": plain(found.architecture),
        "genotype": there.notation,
        "found_by": found_by,
        "scores": {"validation": validation, **{f"validation_{k}": v for k, v in score.items() if k != "validation"}, **alike},
        "costs": {"params": described["params"], "macs": described["macs"]},
        **({"supernet": json_ready(found.built)} if found.built else {}),
        **({"limits": {k: {"bound": bounds[k], "holds": holds[k]} for k in bounds}} if bounds else {}),
    }
    run.write_json("architecture.json", stored)
    result = {"choices": stored["choices"], "genotype": there.notation, "params": described["params"], "macs": described["macs"]}
    result |= {"validation": validation, **({"limits": stored["limits"]} if bounds else {})}
    if found.baseline:
        result["baseline"] = _finish_baseline(settings, run, found.baseline, network)
    return {**result, "out": str(run.folder), "measured": {"seconds": seconds, "peak_memory_mb": peak_memory()}}


def json_ready(settings: Mapping[str, Any]) -> Settings:
    """Settings as JSON has them."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in settings.items()}


def _finish_baseline(settings: Settings, run: Run, baseline: dict[str, Any], network: Settings) -> dict[str, Any]:
    """Write the baseline's architecture.json: what random search found, and the found architecture trained in the same way."""
    best = Found(baseline["best"], baseline["scores"])
    random = {**settings, "method": "random", "trials": baseline["budget"]["trials"]}
    with run.sub("baseline", {}) as sub:
        result = _finish(random, sub, best, network, 0.0)
    kept = {k: result[k] for k in ("choices", "genotype", "params", "macs", "validation")}
    return {**kept, "found_trained_alike": baseline["found"]["accuracy"], "budget": baseline["budget"]}
