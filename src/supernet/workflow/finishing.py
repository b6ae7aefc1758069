"""From what a search found to the files of its run and the JSON of the command."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from supernet.costs.limits import missed
from supernet.decided import Verdict, by_ranking
from supernet.estimators import ESTIMATORS
from supernet.explore.executor import LOST
from supernet.files.records import FORMAT
from supernet.memory import peak_memory
from supernet.metrics import finite
from supernet.naming.design import of_choices
from supernet.plan.resolved import computing
from supernet.plan.search import SearchPlan
from supernet.run import Run
from supernet.searchers.state import plain
from supernet.settings.given import Settings, json_ready
from supernet.trying import Found
from supernet.workflow.fronts import write_front
from supernet.workflow.measuring import exported, holds_weights, measured_latency, milliseconds_by_part


def finish(plan: SearchPlan, run: Run, found: Found, seconds: float) -> dict[str, Any]:
    """Write architecture.json and the exported network; the JSON of a search that took so many seconds."""
    kind, bounded, there = plan.kind, plan.bounded, of_choices(plan.space.name, found.architecture, plan.network)
    described = there.describe()
    score, raised = finite(found.scores), {known.raised for known in ESTIMATORS.values()}
    validation = kind.main(score)
    alike = {f"{k}_trained_alike": v for k, v in finite(found.baseline.get("found")).items()}
    costs = {"params": described["params"], "macs": described["macs"]}
    counted = counted_of(plan.sizes, described["settings"])
    expected = bounded.costs(found.architecture)
    costs |= {k: v for k, v in {**expected, **found.costs}.items() if k not in costs}
    limits = {k: {"bound": bound, "holds": bool(costs[k] <= bound)} for k, bound in bounded.bounds.items()}
    for sentence in missed(limits, costs):
        print(f"warning: {sentence}", file=sys.stderr)
    latency, where = None, []
    if "latency" in expected:  # of a table of parts, which is held against the network
        where = milliseconds_by_part(bounded, kind, there, costs["latency"])
        whole = found.network if found.network is not None and holds_weights(there, found) else there.network()
        latency = measured_latency(bounded, kind, there, whole, costs["latency"])
    measured = {"latency": latency} if latency else {}
    if latency and not latency.get("holds", True):
        print(f"warning: measured, the network takes {latency['ms']:.4g} ms, {latency['over']:.1%} over the limit", file=sys.stderr)
        limits["latency"]["holds"] = False
    stored = {
        "format": FORMAT,
        "space": there.space,
        "settings": json_ready(plan.network),
        "choices": plain(found.architecture),
        "genotype": there.written(),
        "task": kind.name,
        "found_by": {**plan.found_by, "trials": len(found.trials)},
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
    stored |= {"finals": found.finals} if found.finals else {}
    stored |= {"decided": decided} if decided else {}
    run.write_json("architecture.json", stored)
    written = exported(run, kind, plan.data, there, found) if "latency" in expected else None
    result = {"choices": stored["choices"], "genotype": there.written(), **costs}
    result |= {**counted, "settings": described["settings"]}  # of the network that params and macs are of
    result |= {"validation": validation, **({"limits": limits} if limits else {})}
    result |= {"decided": decided} if decided else {}
    result |= {"finals": found.finals} if found.finals else {}
    result |= {"multiply_adds": found.multiply_adds} if found.multiply_adds else {}
    if found.baseline:
        result["baseline"] = finish_baseline(plan, run, found.baseline)
    result |= {"exported": written} if written else {}
    result |= write_front(plan, run, found)
    took: dict[str, Any] = {"seconds": seconds, "peak_memory_mb": peak_memory(plan.device)}
    took |= {"computing": computing(plan.config)} if plan.task else {}
    lost = sum(line["measured"].get(LOST, 0) for line in run.trials())
    took |= {LOST: lost} if lost else {}
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


def finish_baseline(plan: SearchPlan, run: Run, baseline: Mapping[str, Any]) -> dict[str, Any]:
    """Write the baseline's architecture.json: what random search found, and the found architecture trained in the same way."""
    random = replace(plan, found_by={**plan.found_by, "method": "random"})
    with run.sub("baseline", {}) as sub:
        result = finish(random, sub, Found(baseline["best"], baseline["scores"]), 0.0)
    kept = {k: result[k] for k in ("choices", "genotype", "params", "macs", "validation")}
    return {**kept, "found_trained_alike": plan.kind.main(finite(baseline["found"])), "budget": baseline["budget"]}
