"""The report of how well estimators rank: statistics, agreement with each other's numbers, and each architecture by every estimator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from supernet.report.chart import Series, chart
from supernet.report.sections import Pictures, Section, Table


def estimator_sections(document: Mapping[str, Any]) -> list[Section]:
    """``document``: the content of estimators.json."""
    found, against = document["estimators"], str(document["against"])
    rows = [
        [name, ranged(each["kendall"], each["interval"]), ranged(each["spearman"], each["spearman_interval"])]
        + [f"{value:.4g}" for value in each["regret"].values()]
        + [str(each["failed"]), f"{each['measured']['seconds']:.3g}"]
        for name, each in found.items()
    ]
    first = [f"Regret of {k}" for k in next(iter(found.values()))["regret"]]
    heads = ["Estimator", "Kendall's tau", "Spearman's correlation", *first, "Without a score", "Seconds each"]
    words = [
        f"{document['samples']} architectures of {document['space']}, ranked by estimators and by {against}. Intervals are those of a "
        "bootstrap over architectures, 95 %. An architecture without a finite score ranks last.",
        "The regret is the best that is known of all of them less the best of so many that an estimator ranks first.",
    ]
    sections = [Section("Ranking", words, tables=[Table(heads, rows)])]
    if document["columns"]:
        columns = [[against, *(ranged(each["spearman"]) for each in found.values())]]
        columns += [[name, *(ranged(each["columns"][name]) for each in found.values())] for name in document["columns"]]
        own = [[name, ranged(column["spearman"]), ranged(column["kendall"])] for name, column in document["columns"].items()]
        sections.append(
            Section(
                "Columns of the table",
                [f"Spearman's correlation of each estimator with each column, and how the columns themselves rank by {against}."],
                tables=[Table(["Column", *found], columns), Table(["Column", "Spearman's correlation", "Kendall's tau"], own)],
            )
        )
    pictures = [chart([Series("architecture", drawn(document["points"], name), "points")], against, name) for name in found]
    return [*sections, Section("Architectures", pictures=[Pictures(pictures)])]


def drawn(points: Sequence[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
    """The score by an estimator and what is known, of the architectures that have a score."""
    return [(point["scores"][name], point["known"]) for point in points if point["scores"][name] is not None]


def ranged(value: float | None, between: Sequence[float] | None = None) -> str:
    """A correlation with its interval; of what ranks nothing, that."""
    if value is None:
        return "ranks nothing"
    return f"{value:.3f}, from {between[0]:.3f} to {between[1]:.3f}" if between else f"{value:.3f}"
