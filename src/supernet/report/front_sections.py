"""The part of a report on a search for several goals: what it tried, the front, and each network on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from supernet.report.chart import Series, chart
from supernet.report.cost_sections import COSTS, amount
from supernet.report.record import Record, numbers
from supernet.report.sections import Pictures, Section, Table
from supernet.report.values import architecture_text, scale, score, spoken, titled

MOST = 30  # networks in the table


def front(record: Record) -> Section | None:
    """The first goal against each of the others, the networks of the front, and how much of what is possible the front covers."""
    goals = [str(name) for side in ("maximise", "minimise") for name in record.front.get("goals", {}).get(side, ())]
    found = [entry for entry in record.front.get("front", ()) if all(name in values_of(entry) for name in goals)]
    if len(goals) < 2 or not found:
        return None
    tried = [line for line in record.trials if line.get("outcome", "scored") == "scored" and all(g in values_of(line) for g in goals)]
    words = [f"Goals: {goals_in_words(record)}. No other of {len(tried)} networks beats those on the front, {len(found)}, in all of them."]
    covered = record.front.get("hypervolume")
    if isinstance(covered, float):
        words.append(f"Hypervolume: the front dominates {100 * covered:.1f} % of the box between the worst and the best of each goal.")
    svgs = [_chart(record, goals[0], other, tried, found) for other in goals[1:]]
    rows = [[shown(record, name, values_of(entry)[name]) for name in goals] for entry in found[:MOST]]
    names = [str(entry.get("genotype") or architecture_text(entry.get("choices") or {})) for entry in found[:MOST]]
    if len(found) > MOST:
        words.append(f"The table has the first {MOST} of the front; front.json has all.")
    table = Table(["Network", *(spoken(in_words(name)) for name in goals)], [[name, *row] for name, row in zip(names, rows, strict=True)])
    return Section("Front", words, pictures=[Pictures(svgs)], tables=[table])


def values_of(entry: Any) -> dict[str, float]:
    """Scores and costs of a trial, or of a network on the front."""
    return {**numbers(entry.get("costs")), **numbers(entry.get("scores"))}


def goals_in_words(record: Record) -> str:
    """Which goals are raised and which lowered."""
    sides = [(word, record.front["goals"].get(side, ())) for word, side in (("high", "maximise"), ("low", "minimise"))]
    return ", ".join(f"{word} {in_words(str(name))}" for word, names in sides for name in names)


def in_words(goal: str) -> str:
    """A score or a cost by its name."""
    return COSTS[goal][0] if goal in COSTS else spoken(goal).lower()


def shown(record: Record, name: str, value: float) -> str:
    """A goal's value with its unit."""
    return amount(name, value) if name in COSTS else score(record.score(name), value)


def _chart(record: Record, first: str, other: str, tried: Sequence[Any], found: Sequence[Any]) -> str:
    """One goal over another: what was tried, and the front."""
    metric, across = record.score(first), record.score(other)
    every = [values_of(entry) for entry in (*tried, *found)]
    times = [1 / COSTS[name][2] if name in COSTS else scale(record.score(name), [v[name] for v in every]) for name in (other, first)]

    def series(name: str, entries: Sequence[Any], style: str) -> Series:
        values = [values_of(entry) for entry in entries]
        notes = [f"{shown(record, first, v[first])}, {shown(record, other, v[other])}" for v in values]
        places = [(v[other] * times[0], v[first] * times[1]) for v in values]
        order = sorted(range(len(places)), key=places.__getitem__)
        return Series(name, [places[i] for i in order], style, [notes[i] for i in order])

    lost = [entry for entry in tried if not any(values_of(entry) == values_of(other) for other in found)]
    title = titled(metric, times[1]) if first not in COSTS else spoken(COSTS[first][0])
    below = f"{COSTS[other][0]} ({COSTS[other][1]})" if other in COSTS and COSTS[other][1] else COSTS[other][0] if other in COSTS else ""
    shown_series = [series("tried", lost, "points")] * bool(lost) + [series("front", found, "front")]
    return chart(shown_series, title, below or titled(across, times[0]))

