"""What methods scored over seeds: means, deviations, and paired differences from random search."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from statistics import fmean, stdev
from typing import Any

from supernet.costs.limits import COSTS
from supernet.decided import by_seeds

Result = Mapping[str, Any]  # {"validation", "test"?, "evaluations", ...} of one method and seed
SCORES = ("validation", "test")
HELD = ("validation", "test", "hypervolume")  # of a study, with random search
MEASURED: dict[str, Callable[[list[float]], float]] = {  # and how seeds are summed up
    **{"seconds_per_step": fmean, "searcher_seconds": fmean, "latency_ms": fmean},
    "peak_memory_mb": max,
}
KNOWN = (*HELD, "validation_regret", "test_regret")


def summary(results: Mapping[str, Sequence[Result]], larger: bool = True) -> dict[str, Any]:
    """Mean and deviation of each method, and its paired difference from "random"; results of all methods in the same order of seeds.

    ``larger``: whether larger scores are better. Where results say what was known "at" several numbers of estimates, so does each entry:
    see ``known_at``. Where a table judges what was found on data, random search counts by what it had found when it had cost as
    much. ``model``: of searchers that follow one, how it ranked what it had not seen, in the end, and the share of times that
    it was not followed.
    """
    methods: dict[str, Any] = {}
    for name, lines in results.items():
        entry: dict[str, Any] = {}
        for score in (s for s in SCORES if all(s in line for line in lines)):
            entry[score] = _spread([line[score] for line in lines])
        evaluations = fmean(line["evaluations"] for line in lines)
        entry["evaluations"] = int(evaluations) if evaluations == int(evaluations) else evaluations
        for cost in (c for c in COSTS if all(c in line for line in lines)):
            entry[cost] = _spread([line[cost] for line in lines])
        if all("holds" in line for line in lines):
            entry["holds"] = all(line["holds"] for line in lines)
        if all("model" in line for line in lines):
            doubts = fmean(line["model"]["doubted"] / line["model"]["judged"] for line in lines)
            entry["model"] = {"agreement": fmean(line["model"]["agreement"] for line in lines), "doubted": doubts}
        entry["measured"] = {"seconds": sum(line["measured"]["seconds"] for line in lines)}
        for measure, what in MEASURED.items():
            if all(measure in line["measured"] for line in lines):
                entry["measured"][measure] = what([line["measured"][measure] for line in lines])
        if name != "random":
            bases = [_beside(line, base) for line, base in zip(lines, results["random"], strict=True)]
            entry["over_random"] = {
                score: interval([line[score] - base[score] for line, base in zip(lines, bases, strict=True)])
                for score in SCORES
                if score in entry and all(score in base for base in bases)
            }
            over = entry["over_random"].items()
            entry["decided"] = {score: by_seeds(**paired, seeds=len(lines), larger=larger) for score, paired in over}
        if all("judge" in line for line in lines):
            entry["judge"] = _judged(lines, results["random"])
        if all("at" in line for line in lines):
            known = [[line["at"] for line in each] for each in (lines, results["random"])]
            entry["at"] = {at: known_at(*([line[at] for line in each] for each in known)) for at in known[0][0]}
        methods[name] = entry
    return {"methods": methods}


def known_at(lines: Sequence[Result], random: Sequence[Result]) -> dict[str, Any]:
    """What was known after so many estimates, seed by seed, of a method and of random search with the same seeds.

    Of each score, of its regret and of the hypervolume the mean with its deviation and 95 % interval; ``over_random``: the mean paired
    difference with its own; ``beats_random``: the share of seeds in which it is more than that of random search.
    """
    found: dict[str, Any] = {}
    for score in (score for score in KNOWN if all(score in line for line in lines)):
        values = [line[score] for line in lines]
        found[score] = {**_spread(values), **interval(values)}
    held = [score for score in HELD if all(score in line for line in (*lines, *random))]
    ahead = {score: [line[score] - base[score] for line, base in zip(lines, random, strict=True)] for score in held}
    found["over_random"] = {score: interval(differences) for score, differences in ahead.items()}
    found["beats_random"] = {score: fmean(difference > 0 for difference in differences) for score, differences in ahead.items()}
    return found


def _beside(line: Result, base: Result) -> Mapping[str, Any]:
    """What random search with the same seed had found: at the end, or, where costs are counted, when it had cost as much."""
    if "trace" not in base:
        return base
    able = [point for point in base["trace"] if point[0] <= line["judge"]["multiply_adds"]] or base["trace"][:1]  # one trial at least
    return dict(zip(SCORES, able[-1][1:], strict=True))


def _judged(lines: Sequence[Result], random: Sequence[Result]) -> dict[str, Any]:
    """What a judge says of a method, with 95 % intervals; ``beyond_random``: in how many seeds random search ended at less cost."""
    names = [name for name in lines[0]["judge"] if all(name in line["judge"] for line in lines)]
    values = {name: [line["judge"][name] for line in lines] for name in names}
    costs = zip(values["multiply_adds"], random, strict=True)
    beyond = sum(cost > base["judge"]["multiply_adds"] for cost, base in costs)
    return {**{name: {**_spread(each), **interval(each)} for name, each in values.items()}, "beyond_random": beyond}


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"mean": fmean(values), "std": stdev(values) if len(values) > 1 else 0.0}


def interval(values: Sequence[float]) -> dict[str, float | None]:
    """The mean and its 95 % confidence interval by Student's t; none of two, whose quantile of 12.7 makes it say nothing."""
    mean, n = fmean(values), len(values)
    if n < 3:
        return {"mean": mean, "low": None, "high": None}
    stdtrit = import_module("scipy.special").stdtrit  # slow to import, and needed here only
    half = float(stdtrit(n - 1, 0.975)) * stdev(values) / math.sqrt(n)
    return {"mean": mean, "low": mean - half, "high": mean + half}
