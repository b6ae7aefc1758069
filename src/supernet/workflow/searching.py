"""The command ``search``: settings to a run with an architecture, its costs and a report."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from supernet.costs.latency.published import kind_of
from supernet.costs.limits import missed
from supernet.decided import Verdict, by_ranking, undecided
from supernet.errors import InputError, unknown
from supernet.estimators import ESTIMATORS, estimator_named
from supernet.metrics import finite
from supernet.naming.design import of_choices
from supernet.records import FORMAT
from supernet.report.page import write_report
from supernet.run import Run, check_folder, check_writable
from supernet.search import Found
from supernet.searchers import SEARCHERS, searcher_class
from supernet.searchers.state import plain
from supernet.settings import NOT_FOR_USERS, Settings, accepted, json_ready, keywords
from supernet.space import SearchSpace
from supernet.spaces import space as space_named
from supernet.strategies import STRATEGIES
from supernet.strategies import strategy as strategy_named
from supernet.strategies.weights import Weights
from supernet.task import usable
from supernet.tasks import kind_for
from supernet.train import peak_memory
from supernet.workflow.building import sketch, supernet_settings
from supernet.workflow.estimating import estimator_of, needs_of, searcher_of
from supernet.workflow.limits import bounds_of, limits_of, prices, warn_elsewhere
from supernet.workflow.measuring import exported, holds_weights, measured_latency, milliseconds_by_part
from supernet.workflow.methods import on_a_table, on_data, over_a_supernet
from supernet.workflow.planning import prepared, use_threads, with_resolved
from supernet.workflow.tasks import with_recipe
from supernet.workflow.watching import judge_of


def search_run(settings: Settings, out: Path, resume: bool = False) -> dict[str, Any]:
    """Search as ``settings`` say, write the run and its report, return the JSON of the command.

    Its "validation" is the task's first metric or a table's score, and None where that is not finite.
    """
    settings = check_search(settings)
    check_folder(out, {}, resume)
    warn_elsewhere(settings)
    began = time.monotonic()
    use_threads(settings)
    ready = prepared(settings)
    with Run(out, with_resolved(settings, ready.resolved), resume) as run:
        if ready.task is None:
            found, module_settings = on_a_table(settings, run, ready.limits, ready.feasible)
        elif settings["method"] in STRATEGIES:
            found, module_settings = over_a_supernet(settings, run, ready.task, ready.limits, ready.feasible)
        else:
            found, module_settings = on_data(settings, run, ready.task, ready.limits, ready.feasible)
        result = _finish(settings, run, found, module_settings, time.monotonic() - began)
        space = found.supernet.space if found.supernet else {}
        write_report(run.folder, {name: choice.options for name, choice in space.items()})
    return result


def check_search(settings: Settings) -> Settings:
    """The settings of a search over the recipe of the space; refuses names, values and parts that do not go together.

    Reads no data; ``prepared`` refuses the rest.
    """
    if settings["space"] is None or settings["method"] is None:
        raise InputError("a search needs a method and a space: supernet search METHOD --space SPACE (supernet list methods, spaces)")
    method, space = settings["method"], space_named(settings["space"])
    usable(settings["device"])
    if method not in STRATEGIES and method not in SEARCHERS:
        raise unknown("method", method, [*STRATEGIES, *SEARCHERS])
    if method in STRATEGIES:
        if settings["table"]["file"]:
            raise InputError(f"{method} trains a supernet on data: give --data; --table is for searchers ({', '.join(SEARCHERS)})")
        made = strategy_named(method).load(settings["space"])
        accepted(method, made, settings["strategy"], fixed=NOT_FOR_USERS["strategy"])
        accepted("weights", Weights, settings["weights"], fixed=NOT_FOR_USERS["weights"])
    name = settings["searcher"]["name"] if method in STRATEGIES else method
    accepted(name, searcher_class(name), {k: v for k, v in settings["searcher"].items() if k != "name"}, fixed=NOT_FOR_USERS["searcher"])
    space.network.accepted(settings["network"])
    check_limits(settings)
    check_estimator(settings)
    supernet = sketch(settings)
    check_parts(settings, name, supernet.space)
    if settings["judge"]["file"]:
        judge_of(settings, supernet.space)
    return with_recipe(settings, settings["space"])


def check_limits(settings: Settings) -> None:
    """Refuse bounds and prices that choose nothing, and a latency bound without latencies."""
    asked, file = bounds_of(settings), settings["limits"]["latency_table"]
    unpriced = kind_for(settings["space"], settings["task"]).unpriced
    if unpriced and (asked or prices(settings)):
        raise InputError(f"limits choose nothing in {settings['space']}: {unpriced}")
    if asked.keys() & {"latency", "energy"} and file is None:
        make = f"supernet profile --space {settings['space']} --out latency.json"
        raise InputError(f"a bound on latency needs latencies: give --latency-table FILE, which {make} writes")
    if file is not None and kind_of(Path(file)) is None:
        raise InputError(f"{file} is not a latency table: supernet profile writes one")
    if any(v is not None for k, v in settings["price"].items() if k != "cost") and not prices(settings):
        raise InputError("nothing is priced: give a bound, for example --max-latency 12ms, or --set price.cost=macs")


def check_estimator(settings: Settings) -> None:
    """Refuse an estimator that has not what it scores by here, and settings of a training where it trains nothing."""
    name, method = estimator_of(settings), settings["method"]
    known, needs = estimator_named(name), needs_of(settings)
    if known.needs != needs:
        own = " or ".join(n for n, other in ESTIMATORS.items() if other.needs == needs)
        able = {"supernet": f"search one-shot --searcher {method}", "data": "a searcher on --data", "table": "a searcher with --table"}
        able |= {"predictor": "a program (supernet.estimators.predicted)"}
        raise InputError(f"here {method} scores architectures by {own}, not by {name}; for {name} use {able[known.needs]}")
    if needs == "data" and "steps" not in keywords(known.load()):
        given = {**{n: settings[n] for n in ("steps", "seconds", "weights")}, "estimator.epochs": settings["estimator"]["epochs"] != 1}
        for idle in (n for n, value in given.items() if value):
            raise InputError(f"{idle} would have no effect: {name} trains nothing; set trials instead")


def check_parts(settings: Settings, searcher: str, space: SearchSpace) -> None:
    """Refuse a searcher that asks for parts of what has no cheaper answer."""
    _, _, *share = searcher_of(settings, searcher, space).ask()
    name = estimator_of(settings)
    if share and share[0] < 1 and ESTIMATORS[name].cheaper is None:
        raise InputError(f"{searcher} asks for parts of estimates, and {name} has no cheaper answer: use another searcher or estimator")


def plan_of(settings: Settings, out: Path | None = None, resume: bool = False) -> dict[str, Any]:
    """What ``--dry-run`` prints: all settings with their values, and the sizes of what would be searched.

    Refuses what the search would refuse, up to its first step: settings, data, tables, and the folder ``out`` where it is given.
    """
    settings = check_search(settings)
    use_threads(settings)
    ready = prepared(settings)
    config = with_resolved(settings, ready.resolved)
    if out:
        check_folder(out, config, resume)
        check_writable(out)
    sizes = {"supernet_params": sum(p.numel() for p in ready.supernet.parameters()), "size": ready.supernet.space.size()}
    return {"settings": config, **sizes, **({"examples": ready.task.counts} if ready.task else {})}


def _finish(settings: Settings, run: Run, found: Found, network: Settings, seconds: float) -> dict[str, Any]:
    """Write architecture.json and return the JSON of a search."""
    kind, there = kind_for(settings["space"], settings["task"]), of_choices(settings["space"], found.architecture, network)
    described = there.describe()
    score, raised = finite(found.scores), {known.raised for known in ESTIMATORS.values()}
    validation = kind.main(score)
    alike = {f"{k}_trained_alike": v for k, v in finite(found.baseline.get("found")).items()}
    bounds = bounds_of(settings)
    costs = {"params": described["params"], "macs": described["macs"]}
    counted = counted_of(supernet_settings(settings), described["settings"])
    if prices(settings):
        costs |= {k: v for k, v in limits_of(settings, network).costs(found.architecture).items() if k not in costs}
    limits = {k: {"bound": bound, "holds": bool(costs[k] <= bound)} for k, bound in bounds.items()}
    for sentence in missed(limits, costs):
        print(f"warning: {sentence}", file=sys.stderr)
    latency = None
    if "latency" in costs:
        whole = found.network if found.network is not None and holds_weights(there, found) else there.network()
        latency = measured_latency(settings, there, whole, costs["latency"])
    measured, where = {"latency": latency} if latency else {}, milliseconds_by_part(settings, network, found.architecture)
    if latency and not latency.get("holds", True):
        print(f"warning: measured, the network takes {latency['ms']:.4g} ms, {latency['over']:.1%} over the limit", file=sys.stderr)
        limits["latency"]["holds"] = False
    found_by = {"method": settings["method"], "seed": settings["seed"], "epochs": settings["epochs"], "trials": len(found.trials)}
    stored = {
        "format": FORMAT,
        "space": there.space,
        "settings": json_ready(network),
        "choices": plain(found.architecture),
        "genotype": there.written(),
        "task": kind.name,
        "found_by": found_by,
        "scores": {"validation": validation, **{k if k in raised else f"validation_{k}": v for k, v in score.items()}, **alike},
        "costs": costs,
        **counted,
        **({"supernet": json_ready(found.built)} if found.built else {}),
        **({"limits": limits} if limits else {}),
        **({"where": {"latency": where}} if where else {}),
        **({"measured": measured} if measured else {}),
        **found.data,
    }
    decided = found.decided | ranked(found)
    stored |= {"decided": decided} if decided else {}
    run.write_json("architecture.json", stored)
    for sentence in undecided(decided):
        print(f"undecided: {sentence}", file=sys.stderr)
    written = exported(run, settings, there, found) if "latency" in costs else None
    result = {"choices": stored["choices"], "genotype": there.written(), **costs}
    result |= {**counted, "settings": described["settings"]}  # of the network that params and macs are of
    result |= {"validation": validation, **({"limits": limits} if limits else {})}
    result |= {"decided": decided} if decided else {}
    if found.baseline:
        result["baseline"] = _finish_baseline(settings, run, found.baseline, network)
    result |= {"exported": written} if written else {}
    took = {"seconds": seconds, "peak_memory_mb": peak_memory(settings["device"])}
    return {**result, "out": str(run.folder), "measured": {**took, **measured}}


def keeps_bounds(result: Mapping[str, Any]) -> bool:
    """Whether every bound holds of what a search found, by its JSON."""
    return all(entry["holds"] for entry in result.get("limits", {}).values())


def counted_of(searched: Settings, sized: Settings) -> dict[str, str]:
    """What params and macs are of, said where the evaluation network has other sizes than the supernet."""
    sizes = {k: v for k, v in sized.items() if k not in ("shape", "classes", "stem") and k in searched and json_ready(searched)[k] != v}
    if not sizes:
        return {}
    larger, smaller = (", ".join(f"{k} {values[k]}" for k in sizes) for values in (sized, searched))
    other = " and ".join(f"--set network.{k}=" for k in sizes)
    return {"counted": f"params and macs are of the evaluation network with {larger}; searched was one with {smaller}. Another: {other}"}


def ranked(found: Found) -> dict[str, Verdict]:
    """Whether the shared weights rank architectures as the judge's table does, by the last epoch that it looked at."""
    judged = [line["judge"] for line in found.history if "tau" in (line.get("judge") or {})]
    return {"ranking": by_ranking(judged[-1]["tau"], judged[-1]["samples"])} if judged and judged[-1]["samples"] > 1 else {}


def _finish_baseline(settings: Settings, run: Run, baseline: dict[str, Any], network: Settings) -> dict[str, Any]:
    """Write the baseline's architecture.json: what random search found, and the found architecture trained in the same way."""
    best = Found(baseline["best"], baseline["scores"])
    random = {**settings, "method": "random", "trials": baseline["budget"]["trials"]}
    with run.sub("baseline", {}) as sub:
        result = _finish(random, sub, best, network, 0.0)
    kept = {k: result[k] for k in ("choices", "genotype", "params", "macs", "validation")}
    alike = kind_for(settings["space"], settings["task"]).main(finite(baseline["found"]))
    return {**kept, "found_trained_alike": alike, "budget": baseline["budget"]}
