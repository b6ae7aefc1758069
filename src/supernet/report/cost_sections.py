"""The parts of a report that show what networks cost: bounds, score against cost, prices over the epochs, where the time goes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from supernet.costs.objective import pareto_front
from supernet.metrics import Score
from supernet.report.chart import Point, Series, chart, constant, ticks
from supernet.report.record import Record, numbers
from supernet.report.search_sections import Scored, throughout, trial_scores
from supernet.report.sections import Pictures, Section, Table, found_scores
from supernet.report.svg import document, moved, paint, text, text_width
from supernet.report.values import COSTS as SHOWN
from supernet.report.values import scale, score, spoken, titled

COSTS = {  # in words, the unit that is shown, and how many of what is recorded make one
    "latency": ("latency", "ms", 1.0),
    "energy": ("energy", "mJ", 1.0),
    "macs": ("multiply-adds", "", 1.0),
    "params": ("parameters", "", 1.0),
    "activations": ("activations", "MB", 1e6),
    "storage": ("storage", "MB", 1e6),
    "bit_operations": ("bit operations", "G", 1e9),
}
TIMED = ("latency", "energy")  # a table predicts these; the others are counted
SMALL = 0.005  # parts that take less of the whole are pooled
Costed = list[tuple[int, float, float]]  # number of a trial or epoch, cost, score


def bounds(record: Record) -> Section | None:
    """Each bound on what was found, what was predicted and measured, and in words whether it is met."""
    costs, rows, sentences = numbers(record.found.get("costs")), [], []
    for cost in record.found.get("limits") or {}:
        limit, measured = _entry(record.found.get("limits"), cost), _entry(record.found.get("measured"), cost)
        bound, predicted, real = numbers(limit).get("bound", 0.0), costs.get(cost), numbers(measured).get("ms")
        value, judged = (predicted, limit) if real is None else (real, measured)
        if value is None or not 0 < bound < math.inf:
            continue
        holds = judged["holds"] if isinstance(judged.get("holds"), bool) else value <= bound
        off, shown = far(value / bound - 1), [amount(cost, v) if v is not None else "" for v in (bound, predicted, real)]
        rows.append([spoken(_words(cost)), *shown, off, "yes" if holds else "no"])
        told = f"{amount(cost, value)}{' measured' if real is not None else ' predicted' if cost in TIMED else ''}, {off}"
        if real is not None and predicted is not None:
            told += f", where {shown[1]} was predicted"
        elif real is None and cost in TIMED:
            told += "; it was not measured"
        sentences.append(f"The bound of {shown[0]} on {_words(cost)} is {'met' if holds else 'missed'}: {told}.")
        machine = _entry(measured, "machine")
        named = [f"{spoken(n).lower()} {machine[n]}" for n in ("processor", "backend", "threads", "batch") if machine.get(n)]
        sentences += [f"Measured on: {', '.join(named)}."] if named else []
        least = numbers(measured).get("minimum")
        sentences += [f"Measured is the median of a plain loop; the fastest call took {amount(cost, least)}."] if least is not None else []
    header = ["Cost", "Bound", "Predicted or counted", "Measured", "Against the bound", "Holds"]
    return Section("Bounds", sentences, tables=[Table(header, rows)]) if rows else None


def against_cost(record: Record) -> Section | None:
    """Score against the first cost that trials or epochs have, and against every other that is bound."""
    metric, scored = trial_scores(record, record.trials)
    metric = metric if scored else _metric(record)
    known = {cost: (_trials(scored, cost), _epochs(record, cost, metric.name)) for cost in COSTS}
    known = {cost: found for cost, found in known.items() if any(found)}
    charted = [cost for i, cost in enumerate(known) if i == 0 or _bound(record, cost)]
    charted = [cost for cost in charted if _bound(record, cost) or len({c for part in known[cost] for _, c, _ in part}) > 1]
    drawn = next((c for c in SHOWN if any(c in numbers(t.get("costs")) for t in record.trials)), "")  # among the trials, without a bound
    if not charted or (charted == [drawn] and not _bound(record, drawn) and not known[drawn][1]):
        return None
    words, unscored = [], sum(t.get("outcome", "scored") != "scored" for t in record.trials)
    if any(known[cost][0] for cost in charted):
        words.append("Pareto front: the trials that no other beats in score and in cost.")
    if unscored:
        words.append(f"Not shown: {unscored} of {len(record.trials)} trials, which have no score.")
    if any(known[cost][1] for cost in charted):
        words.append("Of an epoch: the supernet's score, and the cost of what would be derived then without regard to bounds.")
    svgs = [_score_chart(record, cost, metric, *known[cost]) for cost in charted]
    return Section(f"Score against {_words(charted[0]) if len(svgs) == 1 else 'cost'}", words, pictures=[Pictures(svgs)])


def _score_chart(record: Record, cost: str, metric: Score, trials: Costed, epochs: Costed) -> str:
    """Trials with their front, epochs in their order, what was found and the bound, over one cost."""
    scores, costs = dict(found_scores(record)), numbers(record.found.get("costs"))
    result = next((scores[n] for n in (f"validation_{metric.name}", metric.name, "validation") if n in scores), math.nan)
    times, unit = scale(metric, [v for _, _, v in (*trials, *epochs, (0, 0, result))]), _unit(cost)[1]
    series = []
    for name, known in (("trial", trials), ("epoch", epochs)):
        notes = [f"{name} {n}: {score(metric, v)}, {amount(cost, c)}" for n, c, v in known]
        series += [Series(name, [(c / unit, v * times) for _, c, v in known], "points", notes)] if known else []
    if trials:
        sign = 1 if metric.larger else -1
        front = sorted(trials[i][1:] for i in pareto_front([(-c, sign * v) for _, c, v in trials]))
        series.append(Series("Pareto front", [(c / unit, v * times) for c, v in front], "front"))
    if len(epochs) > 1:
        series.append(Series(f"from epoch {epochs[0][0]} to {epochs[-1][0]}", [(c / unit, v * times) for _, c, v in epochs]))
    if math.isfinite(result) and cost in costs:
        series.append(Series("found by the search", [(costs[cost] / unit, result * times)], "stars"))
    if bound := _bound(record, cost):
        ys = [y for s in series for _, y in s.points]
        levels = ticks(min(ys), max(ys))
        levels = ticks(levels[0], levels[-1])  # the ends of the axis that will hold the line
        series.append(Series(f"bound: {amount(cost, bound)}", [(bound / unit, levels[0]), (bound / unit, levels[-1])]))
    return chart(series, titled(metric, times), _with_unit(cost))


def prices(record: Record) -> Section | None:
    """Of each priced cost, what would be derived over the epochs beside its bound, and beneath it the strength of the price."""
    lines = [(float(line["epoch"]), line["price"]) for line in record.epochs if line.get("price")]
    derived, below, flat, bounded = [], [], list[str](), False
    for cost in dict.fromkeys(name for _, price in lines for name in price):
        facts = [(epoch, numbers(price.get(cost))) for epoch, price in lines]
        paid, bound, strength = ([(e, f[name]) for e, f in facts if name in f] for name in ("cost", "bound", "strength"))
        parts = {"derived": paid, f"bound: {amount(cost, bound[-1][1])}" if bound else "": bound}
        series = [Series(name, [(e, v / _unit(cost)[1]) for e, v in points]) for name, points in parts.items() if points]
        if paid:
            flat += [throughout(spoken(_with_unit(cost)), series)] if constant(series) else []
            derived += [] if constant(series) else [chart(series, spoken(_with_unit(cost)), "epoch")]
            power, title = [Series("strength", strength)], f"Strength of the price on {_words(cost)}"
            flat += [throughout(title, power)] if strength and constant(power) else []
            below += [strengths(strength, title)] if strength and not constant(power) else []
            bounded = bounded or bool(bound)
    words = ["The cost is that of the network that would be derived after an epoch without regard to bounds."]
    words += ["The strength grows while that network is beyond its bound and shrinks where there is room."] if bounded else []
    return Section("Price", [*words, *flat], pictures=[Pictures(derived), Pictures(below)]) if derived or below or flat else None


def strengths(points: Sequence[Point], title: str) -> str:
    """The strength of a price over the epochs; by its logarithm where it spans more than a decade."""
    kept = [(e, v) for e, v in points if 0 < v < math.inf and abs(e) < math.inf]
    if len(kept) < len(points) or max(v for _, v in kept) <= 10 * min(v for _, v in kept):
        return chart([Series("strength", points)], title, "epoch")
    logs, epochs = [math.log10(v) for _, v in kept], [e for e, _ in kept]
    decades = range(math.floor(min(logs)), math.ceil(max(logs)) + 1)
    fine = (1, 2, 5) if len(decades) < 4 else (1,)
    marks = [(k + math.log10(m), f"{m}e{k}") for k in decades[:: 1 + len(decades) // 8] for m in fine]
    marks = [(at, f"{float(number):g}") for at, number in marks if at <= decades[-1]]
    left, right, top, bottom = 14 + max(text_width(n, 11) for _, n in marks), 524.0, 30.0, 266.0
    across = (right - left - 16) / max(epochs[-1] - epochs[0], 1e-9)
    up = (bottom - top) / max(decades[-1] - decades[0], 1)
    drawn = [text(0, 13, title, 13, bold=True), text(right, 298, "epoch", 11, "end", "faint")]
    for at, name in marks:
        y = bottom - up * (at - decades[0])
        drawn.append(f'<path d="M{left:.1f} {y:.1f}H{right:.1f}" {paint(None, "rule")}/>' + text(left - 6, y + 4, name, 11, "end", "faint"))
    for tick in (t for t in ticks(epochs[0], epochs[-1], True) if epochs[0] <= t <= epochs[-1]):
        x = left + 8 + across * (tick - epochs[0])
        drawn.append(f'<path d="M{x:.1f} {bottom:.1f}v4" {paint(None, "faint")}/>' + text(x, 282, f"{tick:g}", 11, "middle", "faint"))
    places = [f"{left + 8 + across * (e - epochs[0]):.1f} {bottom - up * (v - decades[0]):.1f}" for e, v in zip(epochs, logs, strict=True)]
    drawn.append(f'<path d="M{"L".join(places)}" {paint(None, "series-0", 1.8)} stroke-linejoin="round"/>')
    return document(moved(12, 10, "".join(drawn)), 564, 320, title)


def where(record: Record) -> Section | None:
    """The milliseconds of every part of the found network, in the order in which they run."""
    parts = [(str(name), float(ms)) for name, ms in (record.found.get("where") or {}).get("latency") or () if math.isfinite(ms)]
    total = sum(ms for _, ms in parts)
    if not 0 < total < math.inf:
        return None
    pooled = SMALL * total  # a fit's constant part may be below zero, and is shown too
    name, most = max(parts, key=lambda part: part[1])
    rest = [ms for _, ms in parts if abs(ms) < pooled]
    shown = [(n, ms) for n, ms in parts if abs(ms) >= pooled] + ([(f"the rest ({len(rest)})", sum(rest))] if rest else [])
    words = [f"By the table the parts take {amount('latency', total)} together, the longest of them, {name}, {100 * most / total:.1f} %."]
    words += [f"The rest are {len(rest)} that take less than {100 * SMALL:g} % each."] if len(rest) > 1 else []
    return Section("Where the milliseconds go", words, pictures=[Pictures([bars(shown, "Parts in the order in which they run")], "wide")])


def bars(parts: Sequence[tuple[str, float]], title: str) -> str:
    """Milliseconds as horizontal bars beneath each other, with names, values and shares of the whole."""
    total, most = sum(ms for _, ms in parts), max(ms for _, ms in parts)
    decimals = min(max(2 - math.floor(math.log10(most)), 0), 9)
    names = [name if len(name) <= 40 else f"{name[:19]}…{name[-20:]}" for name, _ in parts]
    values = [f"{ms:,.{decimals}f} ms" for _, ms in parts]
    left, row = 8 + max(text_width(n, 11, mono=True) for n in names), 19.0
    right = left + 300 + 10 + max(text_width(v, 11) for v in values)
    drawn = [text(0, 13, title, 13, bold=True)]
    for i, (name, ms) in enumerate(parts):
        y = 26 + row * i
        bar = f'<rect x="{left:.1f}" y="{y + 3:.1f}" width="{300 * max(ms, 0.0) / most:.1f}" height="13" {paint("series-0")}/>'
        drawn.append(f"<g><title>{escape(name)}</title>{text(left - 8, y + 13, names[i], 11, 'end', mono=True)}{bar}</g>")
        drawn.append(text(right, y + 13, values[i], 11, "end") + text(right + 56, y + 13, f"{100 * ms / total:.1f} %", 11, "end", "faint"))
    return document(moved(12, 10, "".join(drawn)), max(right + 56, text_width(title, 13)) + 24, 26 + row * len(parts) + 20, title)


def amount(cost: str, value: float) -> str:
    """A cost with its unit; counts in millions (M) or billions (G) where they are large."""
    unit, size = _unit(cost)
    value, suffix = value / size, f" {unit}" if unit else ""
    if not unit and 1e6 <= abs(value) < math.inf:
        value, suffix = (value / 1e9, " G") if abs(value) >= 1e9 else (value / 1e6, " M")
    return f"{value:,.0f}{suffix}" if 1e3 <= abs(value) < math.inf else f"{value:.4g}{suffix}"


def far(excess: float) -> str:
    """How far from its bound a cost is, as a share of the bound."""
    share = 100 * abs(excess)
    digits = f"{share:,.1f}" if share >= 1 else f"{share:.2g}"
    return f"{digits} % {'over' if excess > 0 else 'under'}" if share else "exactly at it"


def _trials(scored: Scored, cost: str) -> Costed:
    """The trials that have a score and this cost."""
    costs = [{**numbers(t.get("scores")), **numbers(t.get("costs"))} for t, _ in scored]
    return _finite([(t["trial"], c.get(cost, math.nan), v) for (t, v), c in zip(scored, costs, strict=True)])


def _epochs(record: Record, cost: str, metric: str) -> Costed:
    """The epochs that were priced by this cost and have a validation score."""
    found = [(e["epoch"], numbers(_entry(e.get("price"), cost)), numbers(e.get("validation"))) for e in record.epochs]
    return _finite([(n, price.get("cost", math.nan), scores.get(metric, math.nan)) for n, price, scores in found])


def _finite(known: Costed) -> Costed:
    return [entry for entry in known if all(map(math.isfinite, entry))]


def _metric(record: Record) -> Score:
    """The metric of the epochs' validation that is looked at first."""
    names = dict.fromkeys(n for line in record.epochs for n in numbers(line.get("validation")))
    return record.first(names) or Score("")


def _bound(record: Record, cost: str) -> float | None:
    """The bound on a cost: of what was found, of the last price, or as it was set."""
    last = record.epochs[-1].get("price") if record.epochs else None
    places = [numbers(_entry(place, cost)).get("bound") for place in (record.found.get("limits"), last)]
    return next((b for b in (*places, numbers(record.config.get("limits")).get(cost)) if b is not None and 0 < b < math.inf), None)


def _entry(place: object, name: str) -> Mapping[str, Any]:
    entry = place.get(name) if isinstance(place, Mapping) else None
    return entry if isinstance(entry, Mapping) else {}


def _words(cost: str) -> str:
    return COSTS[cost][0] if cost in COSTS else cost


def _unit(cost: str) -> tuple[str, float]:
    return COSTS[cost][1:] if cost in COSTS else ("", 1.0)


def _with_unit(cost: str) -> str:
    unit = _unit(cost)[0]
    return f"{_words(cost)} ({unit})" if unit else _words(cost)
