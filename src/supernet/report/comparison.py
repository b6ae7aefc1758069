"""The parts of the report of a comparison of methods over several seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from supernet.costs.objective import pareto_front
from supernet.errors import InputError
from supernet.metrics import Score
from supernet.report import comparison_costs
from supernet.report.chart import Series, chart
from supernet.report.judged import judged
from supernet.report.record import Line, numbers
from supernet.report.sections import Pictures, Section, Table
from supernet.report.study import study
from supernet.report.values import COSTS, called, count, duration, plain, scale, spoken, titled

SCORES = ("validation", "test")
FEWEST = 3  # seeds from which a deviation says something


def comparison_sections(result: Mapping[str, Any], results: Sequence[Line] = ()) -> tuple[str, list[Section]]:
    """Title and sections for the document of ``supernet compare``; ``results``: its lines, one a method and seed, if they are there.

    Raises ``InputError`` where the document is something else.
    """
    methods = result.get("methods")
    if not isinstance(methods, Mapping) or not methods or not all(isinstance(m, Mapping) for m in methods.values()):
        raise InputError("this is not the result of a comparison: it needs 'methods' with names and values")
    title = f"Comparison in the space {plain(result['space'])}" if result.get("space") else "Comparison of methods"
    facts = [(spoken(n), plain(result[n])) for n in ("space", "budget", "seeds") if result.get(n) is not None]
    metric = _metric(result.get("metric"))
    if metric.name:
        facts.append(("Metric", f"{called(metric)}, {'larger' if metric.larger else 'smaller'} is better"))
    facts += comparison_costs.asked(result)
    several = numbers(result).get("seeds", FEWEST) >= FEWEST
    shown = [s for s in SCORES if any("mean" in numbers(m.get(s)) for m in methods.values())]
    scales = {s: scale(metric, [v for m in methods.values() for k, v in numbers(m.get(s)).items() if k == "mean"]) for s in shown}
    pictures = []
    for s in shown:
        pictures.append(_by_method(methods, results, replace(metric, name=s), scales[s], several))
        pictures += _against_cost(methods, results, replace(metric, name=s), scales[s], several)
    costs, drawn = comparison_costs.costs(result, several), Section("Pictures", pictures=[Pictures(pictures)])
    known = [*study(result, results), *judged(result, results), *_decided(methods), *_models(methods)]
    return title, [_table(methods, metric, scales, facts, several), *costs, *known, drawn]


def _decided(methods: Mapping[str, Any]) -> list[Section]:
    """Which methods differ from random search, score by score."""
    known = {name: m["decided"] for name, m in methods.items() if isinstance(m.get("decided"), Mapping)}
    verdicts = [(n, str(s), v) for n, scores in known.items() for s, v in scores.items() if isinstance(v, Mapping)]
    rows = [[n, spoken(s), "yes" if v.get("decided") else "no", str(v.get("says", ""))] for n, s, v in verdicts]
    return [Section("Differences from random search", tables=[Table(["Method", "Score", "Decided", "Why"], rows, 4)])] if rows else []


def _models(methods: Mapping[str, Any]) -> list[Section]:
    """Of searchers that follow a model, how it ranked what it had not seen."""
    known = {name: numbers(m.get("model")) for name, m in methods.items() if m.get("model")}
    known = {name: m for name, m in known.items() if {"agreement", "doubted"} <= m.keys()}
    rows = [[name, f"{m['agreement']:.2f}", f"{100 * m['doubted']:.0f} %"] for name, m in known.items()]
    text = ["Rank correlation with scores that the model had not seen, when it learnt last; a model that ranks too badly is not followed."]
    return [Section("Models of searchers", text, tables=[Table(["Method", "Correlation", "Not followed"], rows)])] if rows else []


def _table(
    methods: Mapping[str, Any], metric: Score, scales: Mapping[str, float], facts: Sequence[tuple[str, str]], several: bool
) -> Section:
    """Mean and deviation of every method, and its paired difference from random search."""
    differences = [s for s in scales if any(_over_random(m, s) for m in methods.values())]
    header = ["Method", *(titled(replace(metric, name=s), scales[s]) for s in scales)]
    header += [f"{spoken(s)} over random{' (points)' if scales[s] == 100 else ''}" for s in differences]
    rows = []
    for name, m in methods.items():
        cells = [_spread(numbers(m.get(s)), scales[s], several) for s in scales]
        cells += [_interval(_over_random(m, s), scales[s]) for s in differences]
        evaluations, seconds = numbers(m).get("evaluations"), numbers(m.get("measured")).get("seconds")
        rows.append([name, *cells, *(f(v) if v is not None else "" for f, v in ((count, evaluations), (duration, seconds)))])
    few = f"Means; fewer than {FEWEST} seeds give no deviation and no interval."
    text = ["Mean ± standard deviation over the seeds." if several else few]
    if differences and several:
        cost = " when it had cost as much" if any("judge" in m for m in methods.values()) else ""
        text.append(f"Over random: mean difference from random search with the same seed{cost}, and its 95 % confidence interval.")
    return Section("Results", text, facts, tables=[Table([*header, "Evaluations", "Time, all seeds"], rows)])


def _metric(given: Any) -> Score:
    """What the scores are; without a name where the document does not say it, as of a table."""
    if not isinstance(given, Mapping) or not given.get("name"):
        return Score("")
    return Score(str(given["name"]), given.get("larger") is not False, str(given.get("unit") or ""))


def _over_random(method: Mapping[str, Any], part: str) -> dict[str, float]:
    differences = method.get("over_random")
    return numbers(differences.get(part)) if isinstance(differences, Mapping) else {}


def _spread(value: Mapping[str, float], times: float, several: bool) -> str:
    deviation = f" ± {value['std'] * times:.2f}" if "std" in value and several else ""
    return f"{value['mean'] * times:.2f}{deviation}" if "mean" in value else ""


def _interval(value: Mapping[str, float], times: float) -> str:
    bounds = f" [{value['low'] * times:+.2f}, {value['high'] * times:+.2f}]" if {"low", "high"} <= value.keys() else ""
    return f"{value['mean'] * times:+.2f}{bounds}" if "mean" in value else ""


def _by_method(methods: Mapping[str, Any], results: Sequence[Line], score: Score, times: float, several: bool) -> str:
    """Mean and deviation of every method side by side, and the score of every seed."""
    spreads = [(float(i), numbers(m.get(score.name))) for i, m in enumerate(methods.values())]
    spreads = [(i, v) for i, v in spreads if "mean" in v]
    points = [(float(i), v * times) for i, name in enumerate(methods) for v in _seeds(results, name, score.name)]
    mean = [(i, v["mean"] * times) for i, v in spreads]
    spread = [v.get("std", 0.0) * times for _, v in spreads] if several else []
    series = [Series("mean ± standard deviation" if several else "mean", mean, "points", spread=spread)]
    return chart([*series, *([Series("each seed", points, "points")] if points else [])], titled(score, times), "method", list(methods))


def _seeds(results: Sequence[Line], name: str, part: str) -> list[float]:
    return [v for line in results if line.get("method") == name for v in numbers({part: line.get(part)}).values()]


def _against_cost(methods: Mapping[str, Any], results: Sequence[Line], score: Score, times: float, several: bool) -> list[str]:
    """Score against the size of what each seed found; where that is not known, mean score against the time a method took."""
    lines = [line for line in results if line.get("method") in methods and score.name in numbers(line)]
    cost = next((c for c in COSTS if lines and all(c in numbers(line) for line in lines)), None)
    if cost:
        points = [(numbers(line)[cost], numbers(line)[score.name] * times) for line in lines]
        front = sorted(points[i] for i in pareto_front([(-c, score.worth(v)) for c, v in points]))
        series = [Series(name, [p for line, p in zip(lines, points, strict=True) if line["method"] == name], "points") for name in methods]
        return [chart([*series, Series("Pareto front", front, "steps")], titled(score, times), COSTS[cost])]
    series = []
    for name, m in methods.items():
        value, seconds = numbers(m.get(score.name)), numbers(m.get("measured")).get("seconds")
        if "mean" in value and seconds is not None:
            spread = [value.get("std", 0.0) * times] if several else []
            series.append(Series(name, [(seconds, value["mean"] * times)], "points", spread=spread))
    return [chart(series, titled(score, times), "seconds, all seeds")] if series else []
