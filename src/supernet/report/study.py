"""The parts of a report on searchers on a benchmark table: what each had found after how many estimates."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from supernet.report.chart import Series, chart
from supernet.report.record import Line, numbers
from supernet.report.sections import Pictures, Section, Table
from supernet.report.values import spoken
from supernet.summary import interval

SHOWN = {  # of what is known at several numbers: its title, and the factor that it is shown by
    "validation": ("Validation", 1.0),
    "test": ("Test", 1.0),
    "test_regret": ("Test regret", 1.0),
    "hypervolume": ("Hypervolume (% of the true front's)", 100.0),
}
CURVES = {"validation": ("curve", 1), "test": ("curve", 2), "hypervolume": ("front", 1)}  # where a line of results has them
PLACES = 40  # at which curves are drawn
LEAST = 1e-4  # of the best score: a regret below is drawn as this share of it, since a logarithm needs one
BEGIN = 5  # of the first number that is looked at, a curve begins at this part


def study(result: Mapping[str, Any], results: Sequence[Line]) -> list[Section]:
    """Tables and curves of a study; nothing of another comparison."""
    methods, looked = result["methods"], [str(at) for at in result.get("at") or ()]
    if not looked:
        return []
    known = {name: m.get("at") or {} for name, m in methods.items()}
    tables = []
    for score, (title, times) in SHOWN.items():
        entries = {name: [numbers((at.get(n) or {}).get(score)) for n in looked] for name, at in known.items()}
        if all("mean" in entry for row in entries.values() for entry in row):
            rows = [[name, *(_with_interval(entry, times) for entry in row)] for name, row in entries.items()]
            tables.append(Table([title, *(f"{n} estimates" for n in looked)], rows))
    better = {name: [numbers((at.get(n) or {}).get("beats_random")) for n in looked] for name, at in known.items() if name != "random"}
    rows = [[name, *(f"{100 * shares['test']:.0f} %" if "test" in shares else "" for shares in row)] for name, row in better.items()]
    tables.append(Table(["Seeds with a better test score than random", *(f"{n} estimates" for n in looked)], rows))
    seconds = {name: numbers(m.get("measured")).get("searcher_seconds") for name, m in methods.items()}
    rows = [[name, f"{value:.3g}"] for name, value in seconds.items() if value is not None]
    tables.append(Table(["Searcher", "Its own processor seconds, a search"], rows))
    pictures = [svg for score in CURVES if (svg := _curves(result, results, score))]
    return [Section("After how many estimates", _words(result), pictures=[Pictures(pictures)], tables=tables), *_left_out(result)]


def _words(result: Mapping[str, Any]) -> list[str]:
    best, front = numbers(result.get("best")), result.get("front")
    words = ["Means over the seeds and 95 % intervals of the best that each search had found. Curves: searches with the whole budget."]
    if {"validation", "test"} <= best.keys():
        words.append(f"Best of the table: validation {best['validation']:.2f}, test {best['test']:.2f}; a regret is how far it is away.")
    if isinstance(front, Mapping):
        reference = ", ".join(f"{name} {value:.4g}" for name, value in numbers(front.get("reference")).items())
        words.append(f"The true front has {front.get('size')} networks. Hypervolumes are measured from the point {reference}.")
    if planned := result.get("planned_by_budget"):
        names = ", ".join(map(str, planned))
        words.append(f"Defaults of {names} follow from the budget: there, each number of estimates is a search of its own.")
    return words


def _left_out(result: Mapping[str, Any]) -> list[Section]:
    left = result.get("left_out")
    rows = [[str(name), str(why)] for name, why in left.items()] if isinstance(left, Mapping) else []
    return [Section("Left out", tables=[Table(["Searcher", "Why"], rows)])] if rows else []


def _with_interval(value: Mapping[str, float], times: float) -> str:
    bounds = f" [{value['low'] * times:.2f}, {value['high'] * times:.2f}]" if {"low", "high"} <= value.keys() else ""
    return f"{value['mean'] * times:.2f}{bounds}"


def _curves(result: Mapping[str, Any], results: Sequence[Line], score: str) -> str | None:
    """Regret, or the share of the true hypervolume, against how many estimates were made, of each method; None where it is not known."""
    (kind, column), best = CURVES[score], numbers(result.get("best"))
    first, last = min(result["at"]), max(result["at"])
    start = max(first // BEGIN, 1)
    places = sorted({round(start * (last / start) ** (i / (PLACES - 1))) for i in range(PLACES)})
    series = []
    for name in result["methods"]:
        curves = [line[kind] for line in results if line.get("method") == name and line.get(kind)]
        values = [[value for curve in curves if (value := _known(curve, place, column)) is not None] for place in places]
        if not curves or not all(values):
            continue
        shown = [[best[score] - value if kind == "curve" else 100 * value for value in at] for at in values]
        floor = LEAST * abs(best[score]) if kind == "curve" else 0.0
        spreads = [{end: max(value, floor) for end, value in interval(at).items() if value is not None} for at in shown]
        points = [(float(place), spread["mean"]) for place, spread in zip(places, spreads, strict=True)]
        band = [(spread["low"], spread["high"]) for spread in spreads if "low" in spread]
        series.append(Series(name, points, band=band))
    title = f"{spoken(score)} regret" if kind == "curve" else SHOWN["hypervolume"][0]
    return chart(series, title, "estimates", log="xy" if kind == "curve" else "x") if series else None


def _known(curve: Sequence[Sequence[float]], place: int, column: int) -> float | None:
    """What a curve of improvements says after so many estimates; None before the first."""
    at = bisect_right([entry[0] for entry in curve], place)
    return curve[at - 1][column] if at else None
