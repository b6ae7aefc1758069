"""Scores by shared weights that are kept in a file, so that none is computed twice, whoever asks and however often it is stopped."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from supernet.errors import RunError
from supernet.estimators.shared import SharedWeights
from supernet.files.lines import Lines
from supernet.files.records import Entry, KeptScore, read_kept
from supernet.files.whole import write_whole
from supernet.searchers.state import from_plain, plain
from supernet.space import Architecture

Scores = tuple[dict[str, float], dict[int, float]]  # of the whole stream by metric; what counts, by how many examples it is of


class Kept:
    """(architecture, fidelity) -> what ``estimate`` gives, computed once; ``path``: the file, None: kept with this object alone.

    A line of the file says what its score is of: scores by other weights, calibration or data stay in it and are not used.
    ``computed``: how many were computed by this object. Raises ``InputError`` where the file holds something else.
    """

    def __init__(self, estimate: SharedWeights, path: Path | None = None) -> None:
        self.estimate, self.lines, self.computed = estimate, Lines(path) if path else None, 0
        self.space, self.of, self.judged = estimate.supernet.space, estimate.of, estimate.task.judged.name
        self._known: dict[tuple[str, float], Scores] = {}
        for line in kept_lines(path, KeptScore):
            if line["of"] == self.of:
                key = self.space.key(from_plain(line["architecture"])), line["fidelity"]
                scores = {name: _number(value) for name, value in line["scores"].items()}
                self._known[key] = scores, {examples: _number(value) for examples, value in line["beginnings"]}

    def __call__(self, architecture: Architecture, fidelity: float = 1.0) -> dict[str, float]:
        return dict(self._scored(architecture, fidelity)[0])

    def beginnings(self, architecture: Architecture) -> dict[int, float]:
        """Examples -> what the task is judged by, of so many of the stream's examples, the first of them; the last: of all."""
        return dict(self._scored(architecture, 1.0)[1])

    def sync(self) -> None:
        """See on the disk what was kept; raises ``RunError``."""
        if self.lines:
            with _writing(self.lines):
                self.lines.sync()

    def _scored(self, architecture: Architecture, fidelity: float) -> Scores:
        key = (self.space.key(architecture), fidelity)
        if key not in self._known:
            measured = self.estimate.measured(architecture, fidelity)
            self._known[key] = measured.scores(), measured.beginnings(self.judged)
            self.computed += 1
            if self.lines:
                scores, beginnings = self._known[key]
                line: dict[str, Any] = {"of": self.of, "architecture": plain(self.space.matters(architecture)), "fidelity": fidelity}
                line |= {"scores": _able(scores), "beginnings": [[examples, value] for examples, value in _able(beginnings).items()]}
                append(self.lines, line, again=True)
        return self._known[key]


def _able(values: Mapping[Any, float]) -> dict[Any, float | None]:
    """``values`` with None for numbers that JSON has not."""
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def kept_lines(path: Path | None, kind: type[Entry]) -> list[dict[str, Any]]:
    """The lines of a file that grows, none where there is no file; an unfinished last one is removed. Raises ``InputError``."""
    if path is None or not path.exists():
        return []
    lines, whole = read_kept(path, kind)
    if not whole:  # the process that wrote the last line was killed
        write_whole(path, "".join(json.dumps(line) + "\n" for line in lines))
    return lines


def append(lines: Lines, line: Mapping[str, Any], again: bool = False) -> None:
    """Add a line to such a file, see ``Lines.append``; raises ``RunError``."""
    with _writing(lines):
        lines.append(json.dumps(line), again)


@contextmanager
def _writing(lines: Lines) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(f"{lines.path} cannot be written: {error.strerror or error}") from error
