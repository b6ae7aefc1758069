"""The command ``search``: settings to a run with an architecture, its costs and a report."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import nn

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
from supernet.search import Found, default_objective, search, try_architectures, warm_start
from supernet.searchers import SEARCHERS, Searcher, make_searcher, searcher_class
from supernet.searchers.state import plain
from supernet.settings import Settings, accepted, taken
from supernet.space import SearchSpace
from supernet.spaces import space_module
from supernet.strategies import STRATEGIES
from supernet.strategies import strategy as strategy_named
from supernet.strategies.retrain import Retrain
from supernet.strategies.weights import Weights
from supernet.task import Task
from supernet.train import peak_memory
from supernet.workflow.baseline import random_baseline, work
from supernet.workflow.classification import DATA, MACHINE, ImageTask, dtype_of, use_threads
from supernet.workflow.language import (
    TextTask,
    by_length,
    finite,
    fitted,
    keep_vocabulary,
    main_score,
    reads_text,
    task_of,
    with_recipe,
)
from supernet.workflow.limits import Limits
from supernet.workflow.pace import steps_for
from supernet.workflow.watching import ALARM, JUDGE, alarm_of, judge_of, watcher

SEARCH: Settings = {
    "command": "search",
    "method": None,
    "space": None,
    **MACHINE,
    "epochs": 50,
    "steps": None,
    "seconds": None,
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
    "alarm": ALARM,
    "judge": JUDGE,
}


ESTIMATORS = ("shared", "scratch", "table")
NOT_FOR_USERS = ("weights", "seed", "penalty", "rule", "build", "reduce", "draws", "alpha_optimiser", "relax_weights", "relax_inputs")


def search_run(settings: Settings, out: Path, resume: bool = False) -> dict[str, Any]:
    """Search as ``settings`` say, write the run and its report, return the JSON of the command.

    Its "validation" is an accuracy or a table's score; of language it is a perplexity, and None where that is not finite.
    """
    check_search(settings)
    began = time.monotonic()
    settings = with_recipe(settings, settings["space"])
    use_threads(settings)
    with Run(out, settings, resume) as run:
        if settings["table"]["file"]:
            found, module_settings = _search_table(settings, run)
        elif settings["method"] in STRATEGIES:
            found, module_settings = _search_supernet(settings, run)
        else:
            found, module_settings = _search_scratch(settings, run)
        result = _finish(settings, run, found, module_settings, time.monotonic() - began)
        space = found.supernet.space if found.supernet else {}
        write_report(run.folder, {name: choice.options for name, choice in space.items()})
    return result


def check_search(settings: Settings) -> None:
    """Refuse what cannot work before any work: names, the settings of every part, and parts that do not go together."""
    method, module = settings["method"], space_module(settings["space"])
    if method not in STRATEGIES and method not in SEARCHERS:
        raise unknown("method", method, [*STRATEGIES, *SEARCHERS])
    if method in STRATEGIES:
        if settings["table"]["file"]:
            raise InputError(f"{method} trains a supernet on data: give --data; --table is for searchers ({', '.join(SEARCHERS)})")
        known = strategy_named(method)
        fixed = known.fixed if settings["space"] in known.variants else ()
        accepted(method, known.load(settings["space"]), settings["strategy"], fixed=(*NOT_FOR_USERS, *fixed))
        accepted("weights", Weights, settings["weights"])
    name = settings["searcher"]["name"] if method in STRATEGIES else method
    accepted(name, searcher_class(name), {k: v for k, v in settings["searcher"].items() if k != "name"})
    supernet_settings(settings)
    accepted(f"a network of {settings['space']}", module.network, settings["network"])
    for what in ("epochs", "trials"):
        if settings[what] is not None and settings[what] < 1:
            raise InputError(f"{what} must be at least 1; got {settings[what]}")
    if reads_text(settings["space"]) and any(settings["limits"].values()):
        raise InputError(f"limits choose nothing in {settings['space']}: its cells all have the same size; set network.hidden instead")
    check_estimator(settings)
    dtype_of(settings["autocast"])
    alarm_of(settings)
    if settings["judge"]["file"]:
        judge_of(settings, space_of(settings))


def check_estimator(settings: Settings) -> None:
    """What scores architectures follows from the method and its data; refuse a name that says otherwise."""
    name, method = settings["estimator"]["name"], settings["method"]
    if name not in (None, *ESTIMATORS):
        raise unknown("estimator", name, ESTIMATORS)
    own = "shared" if method in STRATEGIES else "table" if settings["table"]["file"] else "scratch"
    if name not in (None, own):
        able = {"shared": f"search one-shot --searcher {method}", "scratch": "a searcher on --data", "table": "a searcher with --table"}
        raise InputError(f"here {method} scores architectures by {own}, not by {name}; for {name} use {able[name]}")


def plan_of(settings: Settings) -> dict[str, Any]:
    """What ``--dry-run`` prints: the settings, and the sizes of what would be searched."""
    check_search(settings)
    settings, module = with_recipe(settings, settings["space"]), space_module(settings["space"])
    with torch.device("meta"):
        supernet = module.supernet(**supernet_settings(settings))
    sizes = {"supernet_params": sum(p.numel() for p in supernet.parameters()), "size": supernet.space.size()}
    return {"settings": settings, **sizes}


def build_supernet(settings: Settings, task: ImageTask | TextTask) -> Supernet:
    """The supernet of the run's space and settings."""
    seed_everything(settings["seed"])
    supernet: Supernet = space_module(settings["space"]).supernet(**supernet_settings(settings, task))
    if settings["initial"]:
        warm_start(supernet, settings["initial"])
    return supernet


def supernet_settings(settings: Settings, task: ImageTask | TextTask | None = None) -> Settings:
    """Of the space, of the method, of the data, of the user: the later counts."""
    module, method = space_module(settings["space"]), STRATEGIES.get(settings["method"])
    own = method.space.get(settings["space"], {}) if method else {}
    given = {**module.SEARCH, **own, **(task.sizes if task else {}), **settings["supernet"]}
    return accepted(f"the supernet of {settings['space']}", module.supernet, given)


def _search_supernet(settings: Settings, run: Run) -> tuple[Found, Settings]:
    task = task_of(settings, settings["space"])
    start = task.data.state_dict()
    keep_vocabulary(run, task)
    supernet = build_supernet(settings, task)
    method = strategy_named(settings["method"])
    network = fitted(settings, task, "network")
    limits = Limits.of(settings, network)
    task.place(supernet)
    extra = limits.for_gradient() if limits.any and method.alphas else {}
    module, sizes = space_module(settings["space"]), supernet_settings(settings, task)
    if settings["space"] in method.builds:
        extra["build"] = lambda **more: module.supernet(**{**sizes, **more})

    def make(supernet: Supernet) -> Any:
        own = {**settings["strategy"], **extra}
        return by_length(method.load(settings["space"])(supernet, task, seed=settings["seed"], weights=settings["weights"], **own), task)

    steps = settings["steps"]
    if settings["seconds"]:
        steps = steps_for(settings["seconds"], lambda: make(deepcopy(supernet)), task, run)
    seed_everything(settings["seed"])
    strategy = make(supernet)
    objective, costs = replace(default_objective(task), limits=limits.bounds), limits.costs if limits.any else None
    found = search(
        supernet,
        task,
        strategy,
        epochs=settings["epochs"],
        steps=steps,
        out=run,
        searcher=searcher_of(settings, settings["searcher"]["name"], supernet.space),
        trials=settings["trials"],
        objective=objective,
        costs=costs,
        calibration=settings["estimator"]["calibration"],
        save_every=settings["save_every"],
        watch=watcher(settings, run, supernet),
    )
    assert found.supernet
    run.write_weights(derive(found.supernet, found.architecture, *task.example))
    found.built = {**sizes, **getattr(strategy, "built", {})}
    if settings["baseline"]["name"]:
        searched = (steps or len(found.history) * strategy.steps(task.data)) * work(task, lambda: strategy.step(task.data))
        if found.trials:
            estimate = SharedWeights(found.supernet, task, batches=settings["estimator"]["calibration"])
            searched += len(found.trials) * work(task, lambda: estimate(supernet.space.check(found.architecture)))
        if isinstance(task, TextTask):
            task.data.load_state_dict(start)  # its stream carries the hidden state of the supernet
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
    task = task_of(settings, settings["space"])
    space = build_supernet(settings, task).space
    network = fitted(settings, task, "network")
    limits = Limits.of(settings, network)
    objective, steps = replace(default_objective(task), limits=limits.bounds), settings["steps"]
    if settings["seconds"]:
        one = scratch_estimator(settings, task, 1)
        drawn = space.sample(Random(settings["seed"]))
        steps = steps_for(settings["seconds"], lambda: one.begin(drawn), task, run)
    if steps is not None:
        steps = max(steps // settings["trials"], 1)
    trials = try_architectures(
        space,
        searcher_of(settings, settings["method"], space),
        scratch_estimator(settings, task, settings["estimator"]["epochs"], steps),
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


def scratch_estimator(settings: Settings, task: ImageTask | TextTask, epochs: int, steps: int | None = None) -> FromScratch:
    """Trains the network of an architecture at the supernet's size: the proxy of the papers."""
    module = space_module(settings["space"])
    able = taken(module.network, supernet_settings(settings, task))
    weights = partial(Weights, **{"lr_min": 0.0, **settings["weights"]})

    def train(model: nn.Module, of: Task) -> Any:
        return by_length(Retrain(model, of, drop_path=0.0, weights=weights), task)

    return FromScratch(lambda arch: module.network(arch, **able), task, epochs=epochs, steps=steps, seed=settings["seed"], strategy=train)


def _search_table(settings: Settings, run: Run) -> tuple[Found, Settings]:
    space, table = open_table(settings)
    if table.note:
        print(f"note: {table.note}", file=sys.stderr)
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


def space_of(settings: Settings) -> SearchSpace:
    """The search space of a command's settings."""
    with torch.device("meta"):
        space: SearchSpace = space_module(settings["space"]).supernet(**supernet_settings(settings)).space
    return space


def open_table(settings: Settings) -> tuple[SearchSpace, Table]:
    """The search space and the benchmark table of a command's settings."""
    space = space_of(settings)
    given = {k: v for k, v in settings["table"].items() if k != "file" and v is not None}
    return space, Table.read(settings["table"]["file"], space=space, **given)


def _finish(settings: Settings, run: Run, found: Found, network: Settings, seconds: float) -> dict[str, Any]:
    """Write architecture.json and return the JSON of a search."""
    space, module = settings["space"], space_module(settings["space"])
    there = Design(space, found.architecture, dict(found.architecture), module.notation(found.architecture), network)
    described = there.describe()
    score = finite(found.scores)
    validation = main_score(score)
    alike = {f"{k}_trained_alike": v for k, v in finite(found.baseline.get("found")).items()}
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
    result["settings"] = described["settings"]  # of the network that params and macs are of
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
    return {**kept, "found_trained_alike": main_score(finite(baseline["found"])), "budget": baseline["budget"]}
