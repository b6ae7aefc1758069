"""The report of networks for several bounds out of one supernet: each bound, its network, and the front that they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from supernet.decided import undecided
from supernet.metrics import Score
from supernet.report.chart import Series, chart
from supernet.report.cost_sections import COSTS, TIMED, amount, far
from supernet.report.sections import Pictures, Section, Table
from supernet.report.values import architecture_text, scale, score, spoken, titled

Entry = Mapping[str, Any]  # of the document of ``supernet specialise``


def specialised_sections(entries: Sequence[Entry], metric: Score) -> list[Section]:
    """``entries``: the document of ``supernet specialise``; ``metric``: what networks score."""
    bound = dict.fromkeys(name for entry in entries for name in entry["bound"] if name in COSTS)
    scored = [entry for entry in entries if entry["validation"] is not None]
    times, devices = scale(metric, [entry["validation"] for entry in scored]), dict.fromkeys(map(device, entries))
    svgs = []
    for name in bound:
        series = [_series(name, table, [entry for entry in scored if device(entry) == table], times) for table in devices]
        real = [entry for entry in scored if name == "latency" and timed(entry)]
        points = [(timed(entry) or 0, entry["validation"] * times) for entry in real]
        series.append(Series("measured", points, "points", list(map(said, real))))
        series = [each for each in series if each.points]
        unit = f" ({COSTS[name][1]})" if COSTS[name][1] else ""
        svgs += [chart(series, titled(metric, times), f"{COSTS[name][0]}{unit}")] if series else []
    shown = [name for name in COSTS if any(cost_of(entry, name) is not None for entry in entries)]
    real_times = any(map(timed, entries))  # a column after the predicted latency, which is the first of ``COSTS``
    rows = []
    for entry in entries:
        costs = [amount(name, value) if (value := cost_of(entry, name)) is not None else "" for name in shown]
        costs[1:1] = [amount("latency", ms) if (ms := timed(entry)) is not None else ""] * real_times
        result = "" if entry["validation"] is None else score(metric, entry["validation"])
        rows.append([said(entry), "yes" if entry["holds"] else "no", network(entry), result, *costs])
    titles = [spoken(f"predicted {COSTS[name][0]}" if name in TIMED else COSTS[name][0]) for name in shown]
    titles[1:1] = ["Measured latency"] * real_times
    words = ["They were not trained any further. Scores are of the networks as they are delivered, on validation data."]
    words += [f"{said(entry)}: {sentence}." for entry in entries for sentence in (*missed(entry), *undecided(entry.get("decided") or {}))]
    table = Table(["Bound", "Holds", "Network", spoken(metric.name), *titles], rows, 3)
    return [Section("Networks", words, pictures=[Pictures(svgs)] if svgs else [], tables=[table])]


def _series(cost: str, table: str, entries: Sequence[Entry], times: float) -> Series:
    """The networks of one device over a cost."""
    priced = [(value, entry) for entry in entries if (value := cost_of(entry, cost)) is not None]
    points = sorted((value / COSTS[cost][2], entry["validation"] * times, said(entry)) for value, entry in priced)
    return Series(table or "network", [(x, y) for x, y, _ in points], "front", [note for _, _, note in points])


def missed(entry: Entry) -> list[str]:
    """Each bound that a network exceeds, by what was measured where it was, else by what was predicted or counted."""
    told = []
    for name in (name for name in COSTS if name in entry["bound"]):
        bound, known, real = entry["bound"][name], cost_of(entry, name), timed(entry) if name == "latency" else None
        value = known if real is None else real
        if known is not None and value is not None and value > bound:
            how = f"measured, {far(value / bound - 1)}, where {amount(name, known)} was predicted" if real else far(value / bound - 1)
            told.append(f"the bound on {COSTS[name][0]} is missed: {amount(name, value)} {how}")
    return told


def device(entry: Entry) -> str:
    """The table of latencies that a network's bound is by; empty where there is none."""
    return str(entry["bound"].get("latency_table", ""))


def cost_of(entry: Entry, name: str) -> float | None:
    """What a network costs, by the name of the cost."""
    return entry.get("latency_ms" if name == "latency" else name)


def timed(entry: Entry) -> float | None:
    """The latency of a network as it was measured whole, in ms; None where it was not."""
    found: Mapping[str, Any] = (entry.get("measured") or {}).get("latency") or {}
    return found.get("ms")


def said(entry: Entry) -> str:
    """The bounds of a network in words."""
    bounds = [f"{COSTS[name][0]} {amount(name, most)}" for name, most in entry["bound"].items() if name in COSTS]
    return (", ".join(bounds) or "none") + (f" by {device(entry)}" if device(entry) else "")


def network(entry: Entry) -> str:
    """The network in the notation of its space, or its choices."""
    return str(entry.get("genotype") or architecture_text(entry["choices"]))
