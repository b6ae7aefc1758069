"""The parts of a report that show whether a search collapsed, and what a benchmark table says of it epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from supernet.metrics import Score
from supernet.report.chart import Point, Series, chart, constant
from supernet.report.record import Line, Record, numbers
from supernet.report.search_sections import throughout
from supernet.report.sections import Pictures, Section, Table
from supernet.report.values import scale

CELLS = {"normal": "normal cell", "reduce": "reduction cell", "all": "architecture"}


def alarm(record: Record) -> Section | None:
    """Skip-connections, entropy, loss by discretising and curvature over the epochs, and the warnings there were."""
    lines = [(line["epoch"], line["alarm"]) for line in record.epochs if isinstance(line.get("alarm"), Mapping)]
    if not lines:
        return None
    skips: dict[str, list[Point]] = {}
    idle: dict[str, list[Point]] = {}
    for epoch, found in lines:
        for kind, cell in _entries(found.get("cells")):
            held = numbers(cell)
            for shares, kinds in ((skips, ("skips",)), (idle, ("skips", "pooling", "none"))):
                share = 100 * sum(held.get(k, 0.0) for k in kinds) / max(held.get("operations", 0.0), 1.0)
                shares.setdefault(CELLS.get(kind, kind), []).append((float(epoch), share))
    titles = {"Skip-connections in what would be derived (%)": skips, "Skip-connections, pooling and none together (%)": idle}
    drawn: list[tuple[str, list[Series], tuple[float, float] | None]]
    drawn = [(title, [Series(k, points) for k, points in shares.items()], (0.0, 100.0)) for title, shares in titles.items()]
    series = {name: [(float(e), numbers(found)[name]) for e, found in lines if name in numbers(found)] for name in ALONE}
    drawn += [(ALONE[name][0], [Series(name, points)], ALONE[name][1]) for name, points in series.items() if points]
    svgs = [chart(parts, title, "epoch", whole=whole) for title, parts, whole in drawn if not constant(parts)]
    flat = [throughout(title, parts) for title, parts, _ in drawn if constant(parts)]
    rows = [[str(epoch), str(text)] for epoch, found in lines for text in _texts(found.get("warnings"))]
    text = "A search collapses where options without weights crowd out the others, and what is derived does not do what the supernet did."
    remark = f"Warnings: {len(rows)}, below the pictures." if rows else "No threshold was crossed."
    tables = [Table(["Epoch", "Warning"], rows, 2)] if rows else []
    return Section("Collapse alarm", [text, remark, *flat], pictures=[Pictures(svgs)], tables=tables)


ALONE: dict[str, tuple[str, tuple[float, float] | None]] = {  # title, the axis that the measure has by itself
    "entropy": ("Mean entropy of the choices (1: undecided)", (0.0, 1.0)),
    "gap": ("Score lost by discretising the supernet", None),
    "eigenvalue": ("Largest eigenvalue of the Hessian in the alphas", None),
}


def judge(record: Record) -> Section | None:
    """True scores of what each epoch would have derived, and the rank correlation of the supernet with the table."""
    lines = [(float(line["epoch"]), line["judge"]) for line in record.epochs if isinstance(line.get("judge"), Mapping)]
    if not lines:
        return None
    names = {"true": "derived", "random": "mean of random architectures"}
    svgs = []
    for score in ("validation", "test"):
        points = {n: [(e, numbers(found.get(n))[score]) for e, found in lines if score in numbers(found.get(n))] for n in names}
        times = scale(Score(score), [v for some in points.values() for _, v in some])
        parts = [Series(names[n], [(e, times * v) for e, v in some]) for n, some in points.items() if some]
        svgs += [chart(parts, f"True {score} score" + (" (%)" if times == 100 else ""), "epoch")] if parts else []
    taus = [(e, numbers(found)["tau"]) for e, found in lines if "tau" in numbers(found)]
    svgs += [chart([Series("tau", taus)], "Kendall's tau of the ranking by shared weights", "epoch", whole=(-1, 1))] if taus else []
    text = f"What would have been derived after an epoch, looked up in {_file(record.config)}."
    return Section("Judged by the benchmark table", [text], pictures=[Pictures(svgs)])


def _entries(found: object) -> Iterable[tuple[str, Any]]:
    return [(str(k), v) for k, v in found.items()] if isinstance(found, Mapping) else []


def _texts(found: object) -> Iterable[object]:
    return found if isinstance(found, list) else []


def _file(config: Line) -> str:
    given = config.get("judge")
    return str(given["file"]) if isinstance(given, Mapping) and given.get("file") else "a benchmark table"
