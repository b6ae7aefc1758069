"""The part of a report on methods whose results a benchmark table judges: how good, how far from the best, at what cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from supernet.report.chart import Series, chart
from supernet.report.record import Line, numbers
from supernet.report.sections import Pictures, Section, Table
from supernet.summary import interval

SHOWN = {  # of what the judge says: its title, the factor that it is shown by, and how
    "regret": ("Regret", 1.0, ".2f"),
    "beats": ("Beats (% of the networks)", 100.0, ".1f"),
    "tau": ("Kendall's tau", 1.0, ".2f"),
    "spearman": ("Spearman", 1.0, ".2f"),
    "multiply_adds": ("Multiply-adds", 1.0, ".3g"),
}
PLACES = 40  # at which the curve of random search is drawn


def judged(result: Mapping[str, Any], results: Sequence[Line]) -> list[Section]:
    """What the judge says of every method; nothing of a comparison without one."""
    methods = {name: m["judge"] for name, m in result["methods"].items() if isinstance(m.get("judge"), Mapping)}
    if not methods:
        return []
    asked = numbers(result.get("judge"))
    words = [
        f"What was found is looked up in a table of {asked['networks']:.0f} networks that keep the bounds; the best of them tests at "
        f"{asked['best']:.2f}, and regret is how far what was found is away. Random search counts by what it had found at the cost of each "
        "method. Rank correlations are of shared weights, at the end of their training. Means, and 95 % intervals over the seeds."
    ]
    if beyond := [name for name, judge in methods.items() if numbers(judge).get("beyond_random")]:
        words.append(f"Random search ended at less cost than {', '.join(beyond)} in some seeds, and counts by its end there.")
    columns = {name: shown for name, shown in SHOWN.items() if any(name in judge for judge in methods.values())}
    rows = [[method, *(_cell(numbers(judge.get(n)), *shown[1:]) for n, shown in columns.items())] for method, judge in methods.items()]
    table = Table(["Method", *(title for title, _, _ in columns.values())], rows)
    return [Section("By the judge", words, pictures=[Pictures([_picture(list(methods), results)])], tables=[table])]


def _cell(value: Mapping[str, float], times: float, how: str) -> str:
    bounds = f" [{value['low'] * times:{how}}, {value['high'] * times:{how}}]" if {"low", "high"} <= value.keys() else ""
    return f"{value['mean'] * times:{how}}{bounds}" if "mean" in value else ""


def _picture(methods: Sequence[str], results: Sequence[Line]) -> str:
    """The test score of what was found, by multiply-adds: random search while it goes on, with its band, and each seed of the others."""
    curves = [line["trace"] for line in results if line.get("method") == "random" and line.get("trace")]
    series = []
    if curves:
        first, last = max(curve[0][0] for curve in curves), max(curve[-1][0] for curve in curves)
        places = sorted({first * (last / first) ** (i / (PLACES - 1)) for i in range(PLACES)})
        spreads = [interval([[point for point in curve if point[0] <= place][-1][2] for curve in curves]) for place in places]
        points = [(place, float(spread["mean"] or 0.0)) for place, spread in zip(places, spreads, strict=True)]
        band = [(low, high) for spread in spreads if (low := spread["low"]) is not None and (high := spread["high"]) is not None]
        series.append(Series("random", points, band=band))
    for name in (name for name in methods if name != "random"):
        ends = [line["trace"][-1] for line in results if line.get("method") == name and line.get("trace")]
        series.append(Series(name, [(cost, test) for cost, _, test in ends], "points"))
    return chart(series, "Test score of what was found", "multiply-adds", log="x")
