"""The report of a run, and of a comparison of methods: one HTML file that needs no network, no scripts and no other file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from supernet.errors import RunError
from supernet.files.records import read_estimators
from supernet.files.whole import write_whole
from supernet.metrics import Score
from supernet.report import alarm_sections, cost_sections, front_sections, ranking_sections, search_sections, sections
from supernet.report.comparison import comparison_sections
from supernet.report.estimator_sections import estimator_sections
from supernet.report.record import Options, read_lines, read_record
from supernet.report.sections import Section
from supernet.report.specialised import specialised_sections

ESTIMATORS = "estimators.json"


def write_report(run_folder: Path, options: Options | None = None) -> Path:
    """Write ``report.html`` of the run in ``run_folder`` from what is recorded there, also of an unfinished one.

    Where the folder holds a ranking of estimators, the page is that of ``write_estimators``.

    options: choice -> the names of its options, for the shares of options; without it, those of DARTS' cells are known and others numbered.
    Raises ``InputError`` where there is no run or its files hold something else, ``RunError`` where the page cannot be written.
    """
    if (run_folder / ESTIMATORS).is_file():
        return write_estimators(run_folder)
    record = read_record(run_folder)
    parts = [
        sections.summary(record),
        sections.decided(record),
        cost_sections.bounds(record),
        search_sections.curves(record),
        cost_sections.prices(record),
        sections.drawing(record),
        sections.network(record, options or {}),
        cost_sections.where(record),
        search_sections.mixtures(record, options or {}),
        alarm_sections.alarm(record),
        alarm_sections.judge(record),
        ranking_sections.ranking(record),
        search_sections.trials(record),
        front_sections.front(record),
        cost_sections.against_cost(record),
        search_sections.against_random(record),
        sections.settings(record),
        sections.measurements(record),
    ]
    return _write(run_folder, sections.heading(record), [p for p in parts if p])


def write_comparison(result: Mapping[str, Any], folder: Path) -> Path:
    """Write ``report.html`` of a comparison of methods into ``folder``; ``result`` is the document of ``supernet compare``.

    Raises ``InputError`` where ``result`` is something else, ``RunError`` where the page cannot be written.
    """
    title, parts = comparison_sections(result, read_lines(folder / "results.jsonl"))
    return _write(folder, title, parts)


def write_specialised(entries: Sequence[Mapping[str, Any]], run: str, metric: Score, folder: Path) -> Path:
    """Write ``report.html`` of networks for several bounds into ``folder``; ``entries``: the document of ``supernet specialise``."""
    return _write(folder, f"Networks of the supernet of {run}", specialised_sections(entries, metric))


def write_estimators(folder: Path) -> Path:
    """Write ``report.html`` of how well estimators rank into ``folder``, from the estimators.json there; raises as ``write_report``."""
    content = read_estimators(folder / ESTIMATORS)
    return _write(folder, f"Estimators in the space {content['space']}", estimator_sections(content))


def _write(folder: Path, title: str, parts: Sequence[Section]) -> Path:
    """Fill the template; the file appears whole or not at all."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["svg"] = Markup  # pictures are made here, their texts escaped
    html = environment.get_template("report.html.jinja").render(title=title, sections=parts)
    path = folder / "report.html"
    try:
        return write_whole(path, html)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror or error}") from error
