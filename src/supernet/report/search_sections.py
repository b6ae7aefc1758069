"""The parts of a report that show a search at work: learning curves, shares of options, trials, comparison with random search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, quantiles, stdev
from typing import Any

from supernet.costs.objective import pareto_front
from supernet.explore.executor import LOST
from supernet.metrics import LOSS, Score
from supernet.report.chart import Point, Series, chart, constant, running_best, shares
from supernet.report.record import Options, Record, kept, numbers, over_time
from supernet.report.sections import Pictures, Section, Table, found_scores, outcomes
from supernet.report.svg import colours_of, document, kind_of, legend
from supernet.report.values import COSTS, architecture_text, called, count, duration, scale, score, spoken, titled

Scored = list[tuple[Mapping[str, Any], float]]  # trials and their scores
MOST_CHOICES, MOST_TIMES, BEST = 80, 120, 10


def curves(record: Record) -> Section | None:
    """Every metric over the epochs: in training, on validation and on test data."""
    metrics: dict[str, dict[str, list[Point]]] = {}
    for line in record.epochs:
        own = {k: v for k, v in numbers(line).items() if k not in ("epoch", "trial")}
        for part, entry in (("training", own), ("validation", numbers(line.get("validation"))), ("test", numbers(line.get("test")))):
            for name, value in entry.items():
                metrics.setdefault(name, {}).setdefault(part, []).append((float(line["epoch"]), value))
    svgs, flat = [], []
    for name in sorted(metrics, key=lambda name: (name != LOSS.name, record.place(name), name == "learning_rate")):
        metric = record.score(name)
        times = scale(metric, [v for points in metrics[name].values() for _, v in points])
        parts = [Series(part, [(e, v * times) for e, v in points]) for part, points in metrics[name].items()]
        where = f", {parts[0].name}" if len(parts) == 1 and parts[0].name != "training" else ""
        if constant(parts):
            flat.append(throughout(titled(metric, times) + where, parts))
        else:
            svgs.append(chart(parts, titled(metric, times) + where, "epoch"))
    return Section("Learning curves", flat, pictures=[Pictures(svgs)]) if svgs or flat else None


def throughout(title: str, series: Sequence[Series]) -> str:
    """What has one value throughout, in words: it needs no axis."""
    values = [s.name if ": " in s.name else f"{s.name} " * (len(series) > 1) + f"{s.points[0][1]:,.6g}" for s in series]
    return f"{title}: {', '.join(values)}{' throughout' if any(len(s.points) > 1 for s in series) else ''}."


def mixtures(record: Record, options: Options) -> Section | None:
    """How the probability of every option moved, choice by choice; and the kinds of operation that would have been derived."""
    lines = [line for line in record.epochs if line.get("mixture")]
    if not lines:
        return None
    lines = [*lines[: -1 : 1 + len(lines) // MOST_TIMES], lines[-1]]
    names = list(dict.fromkeys(n for line in lines for n in line["mixture"]))
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for name in names[:MOST_CHOICES]:
        times, parts = over_time(lines, name, options)
        if parts:
            final = max(parts, key=lambda option: parts[option][-1])
            svg = shares(parts, colours_of(list(parts)), times, name, f"{final} {100 * parts[final][-1]:.0f} %")
            groups.setdefault((name.rsplit(".", 1)[0] if "." in name else "", tuple(parts)), []).append(svg)
    pictures = _derived(record)
    for (group, of), svgs in groups.items():
        pictures += [_legend(of, colours_of(of), spoken(group)), Pictures(svgs, "small")]
    text = ["Each picture is one choice over the epochs. Heights are the probabilities of its options; the largest at the end is named."]
    if len(names) > MOST_CHOICES:
        text.append(f"The first {MOST_CHOICES} of {len(names)} choices are shown.")
    return Section("Shares of the options", text, pictures=pictures)


def _legend(names: Sequence[str], colours: Sequence[str], title: str) -> Pictures:
    key, height = legend(zip(names, colours, strict=True), 560)
    return Pictures([document(key, 560, height, "Legend")], "half", title)


def _derived(record: Record) -> list[Pictures]:
    """The kinds of operation of what would have been derived after each epoch; a rising share of skips is a collapse."""
    times, taken = [], []
    for line in record.epochs:
        arch = line.get("architecture") or {}
        kinds = [kind_of(t) for name, t in arch.items() if isinstance(t, str) and kept(name, arch)]
        if kinds and "other" not in kinds:
            times.append(float(line["epoch"]))
            taken.append(kinds)
    if len(times) < 2:
        return []
    every = sorted({k for kinds in taken for k in kinds})
    parts = {k: [kinds.count(k) / len(kinds) for kinds in taken] for k in every}
    remark = f"skip {taken[-1].count('skip')} of {len(taken[-1])} at the end"
    key = _legend(every, every, "Architecture that each epoch would derive, by kind of operation")
    return [key, Pictures([shares(parts, every, times, "derived operations", remark)], "small")]


def fidelity(trial: Mapping[str, Any]) -> float:
    """The share of a whole estimate that a trial was."""
    return numbers(trial).get("fidelity", 1.0)


def trial_scores(record: Record, trials: Sequence[Mapping[str, Any]]) -> tuple[Score, Scored]:
    """The metric of the run that trials are compared by, and those that have it with its value; a metric without a name where none has.

    Of the trials whose estimates are the largest share of a whole one: those of smaller ones are not comparable with them.
    """
    able = [t for t in trials if t.get("outcome", "scored") == "scored"]
    largest = max((fidelity(t) for t in able), default=1.0)
    scored = [(t, numbers(t.get("scores"))) for t in able if fidelity(t) == largest]
    metric = record.first(dict.fromkeys(n for _, scores in scored for n in scores if n not in COSTS))
    if metric is None:
        return Score(""), []
    return metric, [(t, scores[metric.name]) for t, scores in scored if metric.name in scores]


def trials(record: Record) -> Section | None:
    """The architectures that were tried: score over time, score against cost, the best."""
    if not record.trials:
        return None
    metric, scored = trial_scores(record, record.trials)
    text = [f"Trials: {outcomes(record.trials)}."]
    lost = sum(int(numbers(line.get("measured")).get(LOST, 0)) for line in record.trials)
    text += [f"Workers that were lost, and whose trials others made: {lost}."] if lost else []
    text += _finals(record.found.get("finals"))
    if not scored:
        return Section("Trials", text)
    larger, times, table = metric.larger, scale(metric, [v for _, v in scored]), _best(scored, metric)
    scored, remark = _usual(scored, metric)
    text += remark
    points = _over_trials(scored, times)
    notes = [f"trial {t['trial']}: {score(metric, v)}" for t, v in scored]
    series = [Series("trial", points, "points", notes), Series("best so far", running_best(points, larger), "steps")]
    svgs = [chart(series, titled(metric, times), "trial"), *_against_cost(scored, metric, times)]
    return Section("Trials", text, pictures=[Pictures(svgs)], tables=[table])


def _finals(held: Any) -> list[str]:
    """What training the best few has changed, in a sentence."""
    if not (isinstance(held, Mapping) and {"trained", "place", "from"} <= held.keys()):
        return []
    shared = held["from"] == "shared"
    by, how = ("shared weights", "further from these") if shared else ("scores of untrained networks", "from nothing")
    won = "the first stayed the best" if held["place"] == 1 else f"number {held['place']} became the best"
    found = f"{won}, and is what was found{', with its weights' if shared else ''}"
    return [f"The best {held['trained']} by {by} were trained {how}: {found}."]


def _best(scored: Scored, metric: Score) -> Table:
    """The best trials, with the costs that are known of them."""
    best = sorted(scored, key=lambda pair: -pair[1] if metric.larger else pair[1])[:BEST]
    costs = [c for c in COSTS if any(c in _costs(t) for t, _ in best)]
    rows = []
    for t, v in best:
        amounts = [count(_costs(t)[c]) if c in _costs(t) else "" for c in costs]
        rows.append([str(t["trial"]), architecture_text(t.get("architecture") or {}), score(metric, v), *amounts])
    return Table(["Trial", "Architecture", called(metric), *(spoken(COSTS[c]) for c in costs)], rows, 2)


def _usual(scored: Scored, metric: Score) -> tuple[Scored, list[str]]:
    """The trials without those so much worse than most (three interquartile ranges) that they would flatten a picture; and a remark."""
    values = [v for _, v in scored if v == v]
    if len(values) < 8:
        return scored, []
    low, _, high = quantiles(values, n=4)
    worst = low - 3 * (high - low) if metric.larger else high + 3 * (high - low)
    kept = [(t, v) for t, v in scored if (v >= worst if metric.larger else v <= worst)]
    hidden = len(scored) - len(kept)
    side = "below" if metric.larger else "above"
    return kept, [f"The pictures leave out {hidden} that scored far {side} the rest."] if hidden else []


def _over_trials(scored: Scored, times: float) -> list[Point]:
    return [(float(t["trial"]), v * times) for t, v in scored]


def _costs(trial: Mapping[str, Any]) -> dict[str, float]:
    return {**numbers(trial.get("scores")), **numbers(trial.get("costs"))}


def _against_cost(scored: Scored, metric: Score, times: float, name: str = "trial", found: Mapping[str, float] | None = None) -> list[str]:
    """Score against the first cost that is known, the best for their cost joined; ``found``: costs and "score" of the result."""
    cost = next((c for c in COSTS if any(c in _costs(t) for t, _ in scored)), None)
    if cost is None:
        return []
    known = [(t, _costs(t)[cost], v * times) for t, v in scored if cost in _costs(t)]
    points = [(c, v) for _, c, v in known]
    front = sorted(points[i] for i in pareto_front([(-c, v if metric.larger else -v) for c, v in points]))
    notes = [f"trial {t['trial']}: {v:.4g}, {count(c)}" for t, c, v in known]
    if len({c for c, _ in points}) == 1:  # all cost the same
        return []
    series = [Series(name, points, "points", notes), Series("Pareto front", front, "front")]
    if found and cost in found:
        series.append(Series("found by the search", [(found[cost], found["score"] * times)], "stars"))
    return [chart(series, titled(metric, times), COSTS[cost])]


def against_random(record: Record) -> Section | None:
    """This search beside a random search of equal cost."""
    other = record.baseline
    if other is None:
        return None
    (metric, scored), (own_metric, own) = trial_scores(record, other.trials), trial_scores(record, record.trials)
    value, values = _main_score(record, metric), [v for _, v in scored]
    rows = [_row("this search", record, own_metric if own else metric, own), _row("random search", other, metric, scored)]
    header = ["", "Trials", "Mean", "Standard deviation", "Best trial", "Score of the result", "Parameters", "Time"]
    tables = [Table(header, rows)]
    if not scored:
        return Section("Comparison with random search", ["The random search has no scored trials."], tables=tables)
    larger, times = metric.larger, scale(metric, values if value is None else [*values, value])
    text, found = [], None
    if value is not None:
        found = {**numbers(record.found.get("costs")), "score": value}
        beaten = sum(value > v if larger else value < v for v in values)
        text.append(f"What the search found scores better than {beaten} of {len(values)} random architectures.")
    (scored, remark), (own, _) = _usual(scored, metric), _usual(own, own_metric)
    text += remark
    points = _over_trials(scored, times)
    if own and own_metric == metric:
        bests = [(n, running_best(p, larger)) for n, p in (("this search", _over_trials(own, times)), ("random search", points))]
        svgs = [chart([Series(n, best, "steps") for n, best in bests], f"{titled(metric, times)}, best so far", "trial")]
    else:
        level = [Series("found by the search", [(x, value * times) for x, _ in (points[0], points[-1])])] if value is not None else []
        svgs = [chart([Series("random architecture", points, "points"), *level], titled(metric, times), "trial")]
    svgs += _against_cost(scored, metric, times, "random architecture", found)
    return Section("Comparison with random search", text, pictures=[Pictures(svgs)], tables=tables)


def _main_score(record: Record, metric: Score) -> float | None:
    """The score of what was found that is comparable with trials scored by ``metric``; None where there is none."""
    found, name = dict(found_scores(record)), metric.name
    return next((found[n] for n in (f"{name}_trained_alike", name, f"validation_{name}", "validation") if n in found), None)


def _row(name: str, record: Record, metric: Score, scored: Scored) -> list[str]:
    """A line of the table: trials, their mean, deviation and best, the result's score and size, the time taken."""
    values, result = [v for _, v in scored], _main_score(record, metric)
    texts = [score(metric, fmean(values)), score(metric, stdev(values)) if len(values) > 2 else ""] if values else ["", ""]
    texts.append(score(metric, max(values) if metric.larger else min(values)) if values else "")
    texts.append(score(metric, result) if result is not None else "")
    params = numbers(record.found.get("costs")).get("params")
    seconds = sum(numbers(line.get("measured")).get("seconds", 0.0) for line in (*record.epochs, *record.trials))
    return [name, str(len(record.trials)), *texts, count(params) if params is not None else "", duration(seconds) if seconds else ""]
