"""What is written down of a run, read and checked for its report: settings, history, result, and the random search beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from pathlib import Path
from typing import Any

from supernet.errors import InputError
from supernet.files.readers import read_json, read_text, read_yaml
from supernet.files.records import read_front, read_ranking
from supernet.genotype import OPERATIONS
from supernet.metrics import EARLIER, Score
from supernet.report.values import labelled

Line = dict[str, Any]
Options = Mapping[str, Sequence[object]]  # choice -> the names of its options
PARTS = ("validation", "test")
KINDS: dict[str, tuple[Any, str]] = {  # what parts of a line must be, where they are there
    **dict.fromkeys(("epoch", "trial", *EARLIER), (Real, "a number")),
    **dict.fromkeys(("scores", "costs", "measured", "mixture", "architecture", "price"), (dict, "names and values")),
    **dict.fromkeys(("genotype", "outcome"), (str, "text")),
}


@dataclass(frozen=True)
class Record:
    """``epochs`` and ``trials`` are the lines of the history; ``found`` is architecture.json, empty where the run is not finished.

    ``front``, ``ranking``: front.json and ranking.json, empty where there are none.
    """

    folder: Path
    config: dict[str, Any] = field(default_factory=dict)
    epochs: list[Line] = field(default_factory=list)
    trials: list[Line] = field(default_factory=list)
    found: dict[str, Any] = field(default_factory=dict)
    baseline: Record | None = None
    front: dict[str, Any] = field(default_factory=dict)
    ranking: dict[str, Any] = field(default_factory=dict)

    def named(self, setting: str) -> str:
        """A setting that is a name, or a group of settings with a name, source or file; empty where it is not known."""
        value = self.config.get(setting, self.found.get(setting))
        if isinstance(value, Mapping):
            value = next((value[k] for k in ("name", "source", "file") if value.get(k) is not None), None)
        return "" if value is None else str(value)

    @property
    def metrics(self) -> dict[str, Score]:
        """What the run says of its metrics; the first is the one that it is judged by."""
        given = self.config.get("metrics")
        said = given.items() if isinstance(given, Mapping) else ()
        facts = {str(name): entry if isinstance(entry, Mapping) else {} for name, entry in said}
        return {
            name: Score(name, entry.get("larger") is not False, str(entry.get("unit") or ""), label=str(entry.get("label") or ""))
            for name, entry in facts.items()
        }

    def score(self, name: str) -> Score:
        """What is known of a number by its name, such as test_accuracy; validation and test are by the first metric."""
        own = self.metrics
        known = {**EARLIER, **own}
        if name in PARTS:
            return replace(next(iter(own.values()), Score(name)), name=name, label="")
        within = [metric for metric in known if f"_{metric}_" in f"_{name}_"]
        if not within:
            return Score(name)
        metric = known[max(within, key=len)]
        return replace(metric, name=name, label=labelled(name, {metric.name: metric.label}) if metric.label else "")

    def place(self, name: str) -> int:
        """Where a metric stands among those of the run; others come after them."""
        names = list(self.metrics or EARLIER)[: len(self.metrics) or 1]
        return names.index(name) if name in names else len(names)

    def first(self, names: Iterable[str]) -> Score | None:
        """What architectures are compared by: the score of a table, else the first metric, else the first that is better larger."""
        best = min(names, key=lambda n: (n != "validation", self.place(n), not self.score(n).larger), default=None)
        return None if best is None else self.score(best)


def read_record(folder: Path) -> Record:
    """All that is recorded in ``folder``. A last line of the history that was not finished is left out.

    Raises ``InputError`` where there is no run, or a file of it holds something else.
    """
    if not any((folder / name).is_file() for name in ("config.yaml", "history.jsonl", "architecture.json")):
        raise InputError(f"{folder} is not the folder of a run: it has no config.yaml, history.jsonl or architecture.json")
    lines = read_lines(folder / "history.jsonl")
    epochs = {line["epoch"]: line for line in lines if "epoch" in line}  # a run that was killed and resumed may repeat one
    trials = {line["trial"]: line for line in lines if "trial" in line}
    below = folder / "baseline"
    return Record(
        folder,
        _config(folder / "config.yaml"),
        list(epochs.values()),
        list(trials.values()),
        _found(folder / "architecture.json"),
        read_record(below) if (below / "config.yaml").is_file() or (below / "history.jsonl").is_file() else None,
        read_front(folder / "front.json") if (folder / "front.json").is_file() else {},
        read_ranking(folder / "ranking.json") if (folder / "ranking.json").is_file() else {},
    )


def numbers(entry: object) -> dict[str, float]:
    """The numbers among names and values."""
    return {str(k): float(v) for k, v in entry.items() if _number(v)} if isinstance(entry, Mapping) else {}


def over_time(lines: Sequence[Line], choice: str, options: Options) -> tuple[list[float], dict[str, list[float]]]:
    """The epochs in which a choice was open, and the probability of each of its options in them; nothing where it never was.

    Without ``options``, edges of DARTS' cells have its operations, others are numbered.
    """
    found = [(float(line["epoch"]), line["mixture"][choice]) for line in lines if choice in (line.get("mixture") or {})]
    named = [(epoch, {str(k): v for k, v in p.items()}) for epoch, p in found if isinstance(p, dict)]
    if found and not named:
        size = len(found[-1][1])
        names = [str(o) for o in options.get(choice, ())]
        if len(names) != size:
            cell = re.fullmatch(r"(normal|reduce)\.\d+<\d+", choice) and size == len(OPERATIONS)
            names = list(OPERATIONS) if cell else [str(i) for i in range(size)]
        named = [(epoch, dict(zip(names, p, strict=True))) for epoch, p in found if len(p) == size]
    every = dict.fromkeys(option for _, p in named for option in p)
    return [epoch for epoch, _ in named], {option: [float(p.get(option, 0.0)) for _, p in named] for option in every}


def kept(name: str, architecture: Mapping[str, Any]) -> bool:
    """Whether the input that a choice belongs to ("node<input") is among those its node takes."""
    node, edge, source = name.partition("<")
    inputs = architecture.get(node)
    return not edge or not isinstance(inputs, list | tuple) or source in map(str, inputs)


def _number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _config(path: Path) -> dict[str, Any]:
    """The settings of a run, those of its sections with all their values."""
    config = read_yaml(path) if path.is_file() else {}
    if not isinstance(config, dict):
        raise InputError(f"{path} must hold names and values; it holds {type(config).__name__}")
    sections = config.pop("resolved", {})
    return {**config, **(sections if isinstance(sections, dict) else {})}


def _found(path: Path) -> dict[str, Any]:
    found = read_json(path) if path.is_file() else {}
    expected = {"choices": dict, "settings": dict, "found_by": dict, "scores": dict, "costs": dict, "genotype": str, "space": str}
    expected |= {"limits": dict, "where": dict, "decided": dict}
    if not isinstance(found, dict):
        raise InputError(f"{path} must hold one JSON object; it holds {type(found).__name__}")
    for name, kind in expected.items():
        if not isinstance(found.get(name), kind | None):
            raise InputError(f"{path}: {name} must be a {kind.__name__}; it is {found[name]!r:.60}")
    for cost, parts in (found.get("where") or {}).items():
        if not isinstance(parts, list) or not all(isinstance(p, list) and len(p) == 2 and _number(p[1]) for p in parts):
            raise InputError(f"{path}: where, {cost} must list the names and numbers of parts; it is {parts!r:.60}")
    return found


def read_lines(path: Path) -> list[Line]:
    """The lines of a history; none where there is no file, without a last one that was not finished. Raises ``InputError``."""
    lines = []
    written = (read_text(path) if path.is_file() else "").split("\n")
    for number, text in enumerate(written, start=1):
        if not text.strip():
            continue
        try:
            lines.append(_checked(json.loads(text)))
        except (ValueError, RecursionError) as error:
            if number == len(written):  # no line end: the run was killed while it wrote
                continue
            raise InputError(f"{path}, line {number}: {str(error).splitlines()[0]}") from error
    return lines


def _checked(line: Any) -> Line:
    """``line``, its parts of the kinds that a report relies on; raises ``ValueError``."""
    if not isinstance(line, dict):
        raise ValueError(f"a line must be a JSON object; it is {type(line).__name__}")
    for name, (kind, words) in KINDS.items():
        value = line.get(name)
        missing = value is None and name not in ("epoch", "trial")
        if name in line and not missing and (not isinstance(value, kind) or isinstance(value, bool)):
            raise ValueError(f"{name} must be {words}; it is {value!r:.60}")
    for choice, shares in (line.get("mixture") or {}).items():
        values = list(shares.values()) if isinstance(shares, dict) else shares
        if not isinstance(values, list) or not values or not all(map(_number, values)):
            raise ValueError(f"the mixture of {choice} must be probabilities; it is {shares!r:.60}")
    return line
