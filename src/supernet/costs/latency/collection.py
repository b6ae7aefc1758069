"""Measure a network's parts elsewhere: write each as an ONNX file, and make a table of what a benchmark tool on the device says.

``emit`` leaves ``manifest.csv``, one line a file, to which columns ``ms`` (and ``mJ``, the energy, if it is known) are to be added; a
CSV of the same names does as well. ``manifest.json`` beside it says what of the network the files are.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter

from supernet.costs.latency.measurement import EMPTY, distinct, empty, identity
from supernet.costs.latency.onnx import write_onnx
from supernet.costs.latency.table import FORMAT, Cost, LatencyTable, cost_of, short, write_text
from supernet.costs.parts import Part, Place
from supernet.errors import InputError, RunError, unknown
from supernet.files.readers import read_json, read_text
from supernet.files.typed import typed
from supernet.mixture import Table
from supernet.progress import Progress
from supernet.space import Choice, Option, SearchSpace

KIND = "latency parts"
COLUMNS = {"ms": "latency", "mJ": "energy"}


@dataclass(frozen=True)
class Use:
    """Where a file's cost belongs: ``times`` it for each of ``places``, (choices, the option of each)."""

    part: str
    file: str
    times: int
    places: tuple[tuple[tuple[str, ...], tuple[Option, ...]], ...]


@dataclass(frozen=True)
class Manifest:
    """What the files of a folder are parts of; see ``LatencyTable`` for the fields of the same names."""

    space: str
    settings: dict[str, Any]
    shape: tuple[int, ...]
    choices: dict[str, tuple[Option, ...]]
    batch: int
    files: tuple[str, ...]  # their names without .onnx
    uses: tuple[Use, ...]


def emit(
    found: Sequence[Part],
    folder: Path,
    *,
    name: str,
    settings: Mapping[str, Any],
    shape: Sequence[int],
    space: SearchSpace,
    batch: int = 1,
) -> Manifest:
    """Write every kind of part to ``folder`` as an ONNX file, and the two manifests.

    ``name``, ``settings``, ``shape``: of the network. ``space``: its choices.
    Raises ``InputError`` for a part that cannot be exported, ``RunError`` where nothing can be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder} cannot be made: {error.strerror or error}") from error
    kinds = distinct(found)
    files = {key: f"part-{i:03}" for i, key in enumerate(kinds)}
    lines = ["name,file,inputs", f"{EMPTY},{EMPTY}.onnx,1"]
    write_onnx(*empty(), folder / f"{EMPTY}.onnx")
    progress = Progress("writing parts", len(kinds), unit="parts")
    try:
        for key, part in kinds.items():
            module, inputs = part.real(batch)
            try:
                write_onnx(module, inputs, folder / f"{files[key]}.onnx")
            except InputError as error:
                raise InputError(f"{part.name}: {error}") from error
            sizes = " ".join("x".join(map(str, x.shape)) for x in inputs if isinstance(x, torch.Tensor))
            lines.append(f"{files[key]},{files[key]}.onnx,{sizes}")
            progress.advance()
    finally:
        progress.close()
    uses = tuple(
        Use(part.name, files[identity(part)], part.calls * times, _of(space, [p for p in part.places if p.times == times]))
        for part in found
        if part.calls and part.inputs
        for times in sorted({p.times for p in part.places})
    )
    choices = {n: c.options for n, c in space.items()}
    manifest = Manifest(name, dict(settings), tuple(shape), choices, batch, (EMPTY, *files.values()), uses)
    write_text(folder / "manifest.csv", "\n".join(lines) + "\n")
    content = {"format": FORMAT, "kind": KIND, **TypeAdapter(Manifest).dump_python(manifest)}
    write_text(folder / "manifest.json", json.dumps(content, indent=1) + "\n")
    return manifest


def _of(space: SearchSpace, places: Sequence[Place]) -> tuple[tuple[tuple[str, ...], tuple[Option, ...]], ...]:
    """Places by options, not by their indices, one for each combination of them."""
    options = [(p.names, [[space[n].options[i] for i in at] for n, at in zip(p.names, p.at, strict=True)]) for p in places]
    return tuple((names, taken) for names, of in options for taken in itertools.product(*of))


def collect(path: Path, manifest: Path | None = None, machine: Mapping[str, Any] | None = None) -> LatencyTable:
    """The table of what was measured elsewhere.

    Args:
        path: CSV with a column ``name`` and ``ms``, ``mJ`` or both, a line for each file of the manifest; a line for the empty one
            may be missing, others are ignored only if they are columns. What the empty one takes is taken off each part.
        manifest: ``manifest.json``; None: the one beside ``path``.
        machine: what is known of the device.

    Raises:
        InputError: a file cannot be read, a line is missing or of no part, or a number is none or negative.
    """
    about = read_manifest(manifest or path.with_name("manifest.json"))
    columns = _columns(path, about)
    space = SearchSpace(Choice(name, options) for name, options in about.choices.items())
    costs: dict[str, Cost] = {}
    parts: dict[str, float] = {}
    for column, values in columns.items():
        own = {file: max(0.0, value - values.get(EMPTY, 0.0)) for file, value in values.items()}
        costs[COLUMNS[column]] = cost_of(space, _summed(space, about.uses, own), name=COLUMNS[column])
        parts = parts or {use.part: short(use.times * own[use.file]) for use in about.uses if use.times > 0}
    known = {"backend": "collected", "batch": about.batch, **(machine or {})}
    return LatencyTable(about.space, about.settings, about.shape, about.choices, known, costs, parts)


def _summed(space: SearchSpace, uses: Sequence[Use], own: Mapping[str, float]) -> Table:
    """What the files cost, added up where they belong."""
    table: Table = {(): torch.zeros((), dtype=torch.float64)}
    for use in uses:
        for names, options in use.places:
            if names not in table:
                table[names] = torch.zeros([len(space[n].options) for n in names], dtype=torch.float64)
            at = tuple(space[n].options.index(o) for n, o in zip(names, options, strict=True))
            table[names][at] += use.times * own[use.file]
    return table


def read_manifest(path: Path) -> Manifest:
    """Read ``manifest.json``; raises ``InputError``."""
    content = read_json(path)
    if not isinstance(content, dict) or content.pop("kind", None) != KIND or content.pop("format", None) != FORMAT:
        raise InputError(f"{path} is not a manifest of parts: supernet profile --emit writes one beside its ONNX files")
    found: Manifest = typed(Manifest, content, str(path))
    for use in found.uses:
        known = all(
            n in found.choices and o in found.choices[n] for names, options in use.places for n, o in zip(names, options, strict=True)
        )
        if use.file not in found.files or not known:
            raise InputError(f"{path}: the part {use.part} has a file or a place that is not in the manifest")
    return found


def _columns(path: Path, about: Manifest) -> dict[str, dict[str, float]]:
    """ms and mJ by file, as far as they are there."""
    try:
        lines = list(csv.DictReader(io.StringIO(read_text(path), newline=""), restval=""))
    except csv.Error as error:
        raise InputError(f"{path} cannot be read as CSV: {error}") from error
    heads = [column for column in COLUMNS if lines and column in lines[0]]
    if not heads or "name" not in lines[0]:
        raise InputError(f"{path} needs the columns name and ms (or mJ), and a line for each part")
    found: dict[str, dict[str, float]] = {column: {} for column in heads}
    for number, line in enumerate(lines, start=2):
        name = line["name"].strip()
        if name not in about.files:
            raise InputError(f"line {number} of {path}: {unknown('part', name, about.files)}")
        for column in heads:
            if name in found[column]:
                raise InputError(f"line {number} of {path}: {name} is there twice")
            found[column][name] = _number(line[column], f"line {number} of {path}: {column} of {name}")
    missing = [name for name in about.files if name not in found[heads[0]] and name != EMPTY]
    if missing:
        raise InputError(f"{path} has no line for {missing[0]}" + (f" and {len(missing) - 1} more parts" if missing[1:] else ""))
    return found


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise InputError(f"{where} must be a number of at least 0; got {text.strip()!r}")
    return value
