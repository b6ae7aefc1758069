"""The command ``rank``: how well the supernet of a run ranks, against a benchmark table or trainings on their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supernet.errors import InputError
from supernet.estimators.tabular import Table
from supernet.files.records import read_architecture
from supernet.metrics import Score
from supernet.report.page import write_report
from supernet.run import read_config, read_history
from supernet.searchers import SEARCHERS
from supernet.searchers.state import from_plain
from supernet.space import Architecture, SearchSpace
from supernet.trained.rank import Known, rank
from supernet.workflow.trained import TrainedRun

PARTS = ("validation", "test")


@dataclass(frozen=True)
class Against:
    """What is ``known`` of architectures, as it is ``said``."""

    known: Known | Table
    said: str


def rank_run(trained: TrainedRun, against: Against, samples: int, seed: int) -> dict[str, Any]:
    """Rank, write ranking.json and the report of the run; the JSON of the command."""
    how: dict[str, Any] = {"samples": samples, "seed": seed, "kept": trained.kept}
    found = rank(trained, against.known, calibration=trained.calibration, examples=trained.examples, **how)
    document = {**found.document(), "against": against.said, "metric": found.metric.name}
    trained.write_json("ranking.json", {**document, "points": found.points()})
    write_report(trained.folder, {name: choice.options for name, choice in trained.supernet.space.items()})
    return {**document, "out": str(trained.folder / "report.html")}


def stand_alone(folder: Path, space: str, choices: SearchSpace, metric: Score) -> Against:
    """What architectures of a space scored that were trained on their own, by runs in and below ``folder``.

    Counted are retrainings, and the trials of searches that train each architecture from nothing: those that have a validation score, or
    those that have a test score where these are more. Raises ``InputError`` where there are none of this space.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}")
    found: list[tuple[Architecture, dict[str, float]]] = []
    for config in sorted(folder.rglob("config.yaml")):
        found += _retrained(config.parent, space, metric) + _tried(config.parent, space, metric)
    able = [(a, scores) for a, scores in found if all(name in choices and choices[name].legal(taken) for name, taken in a.items())]
    part = max(PARTS, key=lambda part: sum(part in scores for _, scores in able))
    able = [(a, scores) for a, scores in able if part in scores]
    if not able:
        raise InputError(f"{folder} holds no results of {space} by {metric.name}: retrainings, or searches that train each architecture")
    return Against([(a, metric.worth(scores[part])) for a, scores in able], f"{part} {metric.name} of training on its own")


def _retrained(folder: Path, space: str, metric: Score) -> list[tuple[Architecture, dict[str, float]]]:
    """The network that a retraining trained, with its scores by part of the data."""
    path = folder / "architecture.json"
    stored = read_architecture(path) if path.exists() else {}
    if "trained" not in stored or stored["space"] != space or stored["choices"] is None:
        return []
    scores = {part: stored["scores"].get(f"{part}_{metric.name}") for part in PARTS}
    return [(from_plain(stored["choices"]), {part: float(value) for part, value in scores.items() if value is not None})]


def _tried(folder: Path, space: str, metric: Score) -> list[tuple[Architecture, dict[str, float]]]:
    """What a search scored that trains each architecture from nothing, as whole estimates."""
    config = read_config(folder)
    by, table = ((config.get(group) or {}).get(key) for group, key in (("estimator", "name"), ("table", "file")))
    if config.get("space") != space or config.get("method") not in SEARCHERS or by not in (None, "scratch") or table is not None:
        return []
    lines = [line for line in read_history(folder) if line.get("outcome") == "scored" and line.get("fidelity", 1) == 1]
    able = [line for line in lines if metric.name in line["scores"]]
    return [(from_plain(line["architecture"]), {"validation": line["scores"][metric.name]}) for line in able]
