"""What the files of a run hold, by name and type, and their readers: each gives what was written, or one line that names the file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from supernet.errors import InputError
from supernet.files.readers import json_of, read_json, read_text
from supernet.files.typed import typed
from supernet.settings.quantities import Amount, Count, Finite

Option = str | int | float
FORMAT = 1  # of architecture.json


class Entry(BaseModel):
    """A group of values; others beside those named are kept as they are."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Bound(Entry):
    """The most that a cost may be, and whether the network keeps it."""

    bound: Finite
    holds: bool


class Measurement(Entry):
    """A latency that was measured, in ms."""

    ms: Amount


class Trained(Entry):
    """How a network was trained, and what its outputs stand for."""

    classes: list[Any] | None = None
    tokens: Count | None = None


class Stored(Entry):
    """architecture.json."""

    format: int
    space: str = Field(max_length=1000)
    choices: dict[str, Option | list[Option]] | None
    settings: dict[str, Any] = {}
    genotype: str | None = None
    task: str | None = None
    found_by: dict[str, Any] = {}
    scores: dict[str, Finite | None] = {}
    costs: dict[str, Finite] = {}
    supernet: dict[str, Any] = {}
    trained: Trained = Trained()
    limits: dict[str, Bound] = {}
    measured: dict[str, Measurement] = {}
    preprocessing: dict[str, Any] = {}


class Pace(Entry):
    """budget.json: seconds as steps."""

    steps: Count


class Result(Entry):
    """A line of results.jsonl: one method with one seed; on a table what it had found after how many estimates."""

    method: str
    seed: int
    evaluations: Finite
    validation: Finite | None = None
    test: Finite | None = None
    params: Finite | None = None
    macs: Finite | None = None
    measured: dict[str, Finite | None] = {}
    at: dict[str, dict[str, Finite]] = {}
    curve: list[tuple[Finite, Finite, Finite]] = []
    front: list[tuple[Finite, Finite]] = []


class Took(Entry):
    """What was measured of a trial."""

    seconds: Finite


class Tried(Entry):
    """A line of history.jsonl that is of a trial, see ``explore.trial.Trial``."""

    trial: Count
    architecture: dict[str, Option | list[Option]]
    scores: dict[str, Finite | None] | None
    outcome: Literal["scored", "infeasible", "failed"]
    measured: Took
    costs: dict[str, Finite | None] = {}
    fidelity: Finite = 1.0
    wanted: Finite | None = None
    asked: int | None = None
    forgotten: list[int] = []
    multiply_adds: int = 0


class KeptScore(Entry):
    """A line of scores.jsonl: what an architecture scores by the shared weights that ``of`` is a digest of."""

    of: str
    architecture: dict[str, Option | list[Option]]
    fidelity: Finite
    scores: dict[str, Finite | None]
    beginnings: list[tuple[Count, Finite | None]]


class KeptCurve(Entry):
    """A line of curves.jsonl: what a network scored after each epoch of its training, larger being better."""

    architecture: dict[str, Option | list[Option]]
    fidelity: Finite
    curve: list[Finite]


class OnFront(Entry):
    """A network of front.json."""

    choices: dict[str, Option | list[Option]]
    genotype: str | None = None
    scores: dict[str, Finite | None]
    costs: dict[str, Finite | None] = {}


class Front(Entry):
    """front.json: the networks that no other beats in all goals, and the share of what is possible that they dominate."""

    goals: dict[str, list[str]]
    hypervolume: Finite | None = None
    front: list[OnFront]


class Point(Entry):
    """An architecture of ranking.json: what it scores by shared weights, and what is known of it."""

    architecture: dict[str, Option | list[Option]]
    shared: Finite
    known: Finite


class Enough(Entry):
    """How few validation examples rank as well as all."""

    examples: Count
    says: str


class Ranked(Entry):
    """ranking.json."""

    kendall: Finite | None
    interval: tuple[Finite, Finite] | None
    spearman: Finite | None
    regret: dict[str, Finite]
    samples: int
    by_examples: dict[str, Finite | None]
    enough: Enough | None = None
    against: str
    metric: str
    points: list[Point]


class Correlation(Entry):
    """How well one thing ranks by another; None: it ranks nothing."""

    kendall: Finite | None
    spearman: Finite | None


class Estimated(Correlation):
    """How well an estimator ranks."""

    interval: tuple[Finite, Finite] | None
    spearman_interval: tuple[Finite, Finite] | None
    regret: dict[str, Finite]
    failed: int
    columns: dict[str, Finite | None]
    measured: dict[str, Amount]


class ScoredPoint(Entry):
    """An architecture, what is known of it, and its score by each estimator; None: none that is finite."""

    known: Finite
    scores: dict[str, Finite | None]


class Estimators(Entry):
    """estimators.json."""

    space: str
    against: str
    samples: int
    estimators: dict[str, Estimated] = Field(min_length=1)
    columns: dict[str, Correlation]
    points: list[ScoredPoint]


def architecture_of(text: str, path: Path) -> dict[str, Any]:
    """The content of an architecture.json, checked; raises ``InputError``."""
    content = json_of(text, str(path))
    if not isinstance(content, dict) or "choices" not in content or "space" not in content:
        raise InputError(f"{path} is not an architecture.json: it has no space and choices")
    if content.get("format") != FORMAT:
        raise InputError(f"{path} has format {content.get('format')!r:.60}; this version reads format {FORMAT}")
    typed(Stored, content, str(path))
    return content


def read_architecture(path: Path) -> dict[str, Any]:
    """The content of an architecture.json, checked; raises ``InputError``."""
    return architecture_of(read_text(path), path)


def read_vocabulary(path: Path) -> list[str]:
    """The tokens of a language model by number; raises ``InputError``."""
    found: list[str] = typed(list[str], read_json(path), str(path))
    return found


def read_pace(path: Path) -> int:
    """The steps that a budget in seconds was turned into; raises ``InputError``."""
    found: Pace = typed(Pace, read_json(path), str(path))
    return found.steps


def result_of(text: str, where: str) -> dict[str, Any]:
    """A line of results.jsonl, checked; raises ``InputError`` that begins with ``where``."""
    content: dict[str, Any] = json_of(text, where)
    typed(Result, content, where)
    return content


def check_trials(lines: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Raise ``InputError`` for lines of the history in a file that are of trials and do not say what became of them."""
    for number, line in enumerate(lines, start=1):
        typed(Tried, line, f"{path}, line {number} of its trials")


def read_front(path: Path) -> dict[str, Any]:
    """The content of a front.json, checked; raises ``InputError``."""
    content: dict[str, Any] = read_json(path)
    typed(Front, content, str(path))
    return content


def read_ranking(path: Path) -> dict[str, Any]:
    """The content of a ranking.json, checked; raises ``InputError``."""
    content: dict[str, Any] = read_json(path)
    typed(Ranked, content, str(path))
    return content


def read_estimators(path: Path) -> dict[str, Any]:
    """The content of an estimators.json, checked; raises ``InputError``."""
    content: dict[str, Any] = read_json(path)
    typed(Estimators, content, str(path))
    return content


def read_kept(path: Path, kind: type[Entry] = KeptScore) -> tuple[list[dict[str, Any]], bool]:
    """The lines of scores.jsonl, or of another ``kind``, checked, and whether the last is whole; one that is not is left out.

    Raises ``InputError``.
    """
    found, text = [], read_text(path)
    written = text.split("\n")
    for number, line in enumerate(written[:-1], start=1):
        content: dict[str, Any] = json_of(line, f"{path}, line {number}")
        typed(kind, content, f"{path}, line {number}")
        found.append(content)
    return found, not written[-1]
