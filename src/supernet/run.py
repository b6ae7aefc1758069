"""A run is a folder: configuration, history, checkpoint, results. It can be killed at any moment and resumed."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import itertools
import json
import math
import os
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import filelock
import torch
import yaml

from supernet.errors import InputError, RunError
from supernet.files.lines import Lines
from supernet.files.readers import json_of, read_text, read_yaml
from supernet.files.typed import typed
from supernet.files.whole import make_folder, write_whole
from supernet.modules.weights import pack
from supernet.randomness import random_states, set_random_states
from supernet.stopping import AtOnce, Interrupted

WHERE = ("estimator.workers", "estimator.ray", "estimator.slurm")
MAY_CHANGE = ("device", "save_every", "threads", *WHERE)  # on resumption: all other settings decide what the result is
CHECKPOINT, BEFORE, CLOCK = "checkpoint.pt", "checkpoint.before.pt", ".clock"
RESUME, REPEAT = "go on with --resume (resume=True)", "the same command goes on"


class Run:
    """The folder ``folder``, held by this process until ``close`` (or the end of a ``with``).

    ``config``: plain data, written as config.yaml. ``resume``: go on with what is there, under the same configuration (or {}: the
    stored one); ``MAY_CHANGE`` says which settings need not be the same. ``goes_on``: how a person goes on, for who stops it.
    Raises ``InputError`` where the folder holds another run, or none to resume; ``RunError`` where it is in use or cannot be written.
    """

    def __init__(self, folder: str | Path, config: Mapping[str, Any] | None = None, resume: bool = False, goes_on: str = RESUME):
        self.folder, self.goes_on = Path(folder), goes_on
        self.config = dict(config or {})
        self._lines, self._digest = 0, hashlib.sha256()
        self._began = monotonic() - (_seconds_before(self.folder) if resume else 0)
        with self._writing():
            make_folder(self.folder)
            self._history = Lines(self.folder / "history.jsonl")
        with self._writing():
            self._lock = held(self.folder)
        try:
            self._open(resume)
        except BaseException:
            self.close()
            raise

    def _open(self, resume: bool) -> None:
        before = check_folder(self.folder, self.config, resume)
        if not resume:
            self.write("config.yaml", yaml.safe_dump(self.config, sort_keys=False))
            return
        if not self.config:
            self.config = before
            return
        same = json.loads(json.dumps(self.config))
        if before != same:
            self.write("config.yaml", yaml.safe_dump(self.config, sort_keys=False))
        if before.get("device") != same.get("device"):
            print(f"warning: resumed on {same.get('device')}, begun on {before.get('device')}: results may differ", file=sys.stderr)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: type[BaseException] | None, reason: BaseException | None, trace: object) -> None:
        if kind is not None and issubclass(kind, InputError):
            self._forget()
        self.close()
        if isinstance(reason, Interrupted | KeyboardInterrupt) and not isinstance(reason, AtOnce):
            raise Interrupted(f"stopped; {self.folder} holds what was done: {self.goes_on}") from None

    def _forget(self) -> None:
        """Leave no trace of a run that was refused before it began."""
        held = {path.name for path in self.folder.iterdir()}
        if held <= {"config.yaml", ".lock"}:
            (self.folder / "config.yaml").unlink(missing_ok=True)
            self.close()
            (self.folder / ".lock").unlink(missing_ok=True)
            self.folder.rmdir()

    def close(self) -> None:
        """Let other processes write the folder."""
        try:
            with self._writing():
                self._history.sync()
        finally:
            self._lock.release()

    def sub(self, name: str, config: Mapping[str, Any]) -> Run:
        """A run in a folder inside this one; what is there is gone on with."""
        return Run(self.folder / name, config, resume=(self.folder / name / "config.yaml").exists())

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file whole or not at all."""
        with self._writing():
            return write_whole(self.folder / name, content)

    def write_json(self, name: str, content: Any) -> Path:
        """Write plain data as JSON."""
        return self.write(name, json.dumps(content, indent=2) + "\n")

    def write_weights(self, model: torch.nn.Module, *example: Any) -> Path:
        """Write a model's tensors as weights.safetensors, bound to the model; ``example``: its inputs (see ``modules.weights.pack``)."""
        return self.write("weights.safetensors", pack(model, *example))

    def append(self, line: Mapping[str, Any], again: bool = False) -> None:
        """Add a line to history.jsonl. ``again``: it would be made again were it lost, so that it may reach the disk with later ones."""
        with self._writing():
            self._count(self._history.append(json.dumps(_json_able(line), allow_nan=False), again))
            self._note_time()

    def seconds(self) -> float:
        """How long the run has been worked on: by this process, and by those before it until they last wrote to it."""
        return monotonic() - self._began

    def history(self) -> list[dict[str, Any]]:
        """The lines of history.jsonl; an unfinished last one is left out."""
        return read_history(self.folder)

    def lines(self) -> list[dict[str, Any]]:
        """The lines of the history, to go on after them; an unfinished last one is removed."""
        self._keep(_whole_lines(self.folder / "history.jsonl"))
        return self.history()

    def trials(self) -> list[dict[str, Any]]:
        """The trials of the history: all that a search among architectures needs to go on; an unfinished last line is removed."""
        return [line for line in self.lines() if "trial" in line]

    def save(self, *, last: bool = False, **state: Any) -> None:
        """Replace the checkpoint: ``state`` (tensors and plain data), random states, what the history holds.

        The one before is kept as ``checkpoint.before.pt``, to go back to should the disk damage this one. Of the ``last`` there are two
        copies, so that a run that has ended holds the same files whenever the clock had it save.
        """
        own = {"lines": self._lines, "history": self._digest.hexdigest(), "random": random_states(), "threads": torch.get_num_threads()}
        buffer = io.BytesIO()
        torch.save({**state, **own}, buffer)
        with self._writing():
            self._history.sync()  # so that no checkpoint counts lines that a loss of power takes
            if last:
                write_whole(self.folder / BEFORE, buffer.getvalue())
            write_whole(self.folder / CHECKPOINT, buffer.getvalue(), before=None if last else self.folder / BEFORE)
            self._note_time()

    def restore(self, device: torch.device | str = "cpu") -> dict[str, Any] | None:
        """The last checkpoint, its random states set and the history cut to its length; None: start from nothing.

        Trials stay in the history: they come after a training has ended, and are no part of its checkpoint.
        Raises ``InputError`` where the checkpoint is damaged or the history lacks or changed what it counts; says what can be done.
        """
        saved = [name for name in (CHECKPOINT, BEFORE) if (self.folder / name).exists()]
        lines = _whole_lines(self.folder / "history.jsonl")
        if not saved:
            self._keep([line for line in lines if _is_trial(line)])
            return None
        try:
            state = self._verified(saved[0], device)
        except InputError as error:
            raise InputError(f"{error}; {self._last_good(saved[1:])}") from error
        set_random_states(state["random"])
        counted, rest = lines[: state["lines"]], lines[state["lines"] :]
        self._keep([*counted, *itertools.takewhile(_is_trial, rest)])
        return state

    def _verified(self, name: str, device: torch.device | str = "cpu") -> dict[str, Any]:
        """A checkpoint; raises ``InputError`` where it, or what it counts of the history, is not as it was written."""
        state = read_checkpoint(self.folder / name, device)
        history = self.folder / "history.jsonl"
        counted = _whole_lines(history)[: state["lines"]]
        if len(counted) < state["lines"]:
            lost = f"has {len(counted)} lines, and {name} was made after {state['lines']}: lines were lost"
            raise InputError(f"{history} {lost}; put back a whole copy of it")
        if state.get("history") not in (None, hashlib.sha256(b"".join(counted)).hexdigest()):
            raise InputError(f"{history} was changed after {name} was made; put back a whole copy of it")
        return state

    def _last_good(self, names: Iterable[str]) -> str:
        for name in names:
            with contextlib.suppress(InputError):
                after = f"made after {self._verified(name)['lines']} lines of the history"
                return f"the last good state is {name}, {after}: rename it to {CHECKPOINT} and resume"
        return "no other state is whole: start anew in another folder"

    def _note_time(self) -> None:
        (self.folder / CLOCK).write_text(f"{self.seconds():.2f}\n")

    def _keep(self, lines: Sequence[bytes]) -> None:
        """Let history.jsonl hold ``lines``."""
        path, text = self.folder / "history.jsonl", b"".join(lines)
        if path.exists() and path.read_bytes() != text:
            self.write("history.jsonl", text)
        self._lines, self._digest = 0, hashlib.sha256()
        for line in lines:
            self._count(line)

    def _count(self, line: bytes) -> None:
        """Note a line that the history has."""
        self._lines += 1
        self._digest.update(line)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise RunError(f"no space left for {self.folder}: free some and resume; the last checkpoint is whole") from error
            raise RunError(f"{self.folder} cannot be written: {error.strerror or error}") from error


def held(folder: Path) -> filelock.BaseFileLock:
    """The lock of a folder, which this process has until it releases it; raises ``RunError`` where another one has it."""
    lock = filelock.FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise RunError(f"{folder} is being written by another process: wait for it, or use another folder") from error
    return lock


def _seconds_before(folder: Path) -> float:
    """How long other processes have worked on a run; 0 where none noted it."""
    try:
        return float((folder / CLOCK).read_text())
    except (OSError, ValueError):
        return 0.0


def _json_able(value: Any) -> Any:
    """Plain data with None for numbers that JSON has not."""
    if isinstance(value, Mapping):
        return {k: _json_able(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_json_able(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _differing(before: Any, now: Any, path: str = "") -> list[str]:
    """The settings in which two configurations differ; one that has no value (None or empty) is like one that is not there."""
    if isinstance(before, Mapping) or isinstance(now, Mapping):
        before, now = (x if isinstance(x, Mapping) else {"": x} if x else {} for x in (before, now))
        return [found for name in {**before, **now} for found in _differing(before.get(name), now.get(name), f"{path}.{name}".strip("."))]
    return [path] if before != now and not all(x in (None, []) for x in (before, now)) else []


def check_folder(folder: Path, config: Mapping[str, Any], resume: bool) -> dict[str, Any]:
    """The stored configuration of the run in a folder that ``config`` goes on with; of a new run nothing.

    Raises ``InputError`` where the folder holds another run, or none to resume.
    """
    stored = folder / "config.yaml"
    if not resume:
        if stored.exists():
            raise InputError(f"{folder} already holds a run: give --resume (resume=True) to go on, or another folder")
        return {}
    if not stored.exists():
        raise InputError(f"nothing to resume in {folder}: it has no config.yaml")
    before = read_config(folder)
    if config and (differing := [n for n in _differing(before, json.loads(json.dumps(config))) if n not in MAY_CHANGE]):
        given = [name for name in differing if f"resolved.{name}" in differing or not name.startswith("resolved.")]
        names = ", ".join(given or differing)
        raise InputError(f"{folder} was started with other settings ({names}): resume with the same, or use another folder")
    return before


def check_writable(folder: Path) -> None:
    """Raise ``RunError`` where a run cannot be written to ``folder``; writes nothing."""
    there = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
    if not there.is_dir():
        raise RunError(f"{folder} cannot be written: {there} is a file")
    if not os.access(there, os.W_OK | os.X_OK):
        raise RunError(f"{folder} cannot be written: no permission to write in {there}")


def read_config(folder: Path) -> dict[str, Any]:
    """The resolved settings of a run."""
    found = read_yaml(folder / "config.yaml")
    if not isinstance(found, dict):
        raise InputError(f"{folder / 'config.yaml'} is not the configuration of a run")
    return found


def read_checkpoint(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """The state that ``Run.save`` wrote; raises ``InputError`` where it is damaged, by its checksums, or something else."""
    try:
        with zipfile.ZipFile(path) as held:  # which torch writes, with a checksum of every part, and reads without looking at them
            if damaged := held.testzip():
                raise InputError(f"{damaged} is not what was written")
        state = torch.load(path, map_location=device, weights_only=True)
        if not isinstance(state, dict) or not {"lines", "random", "threads"} <= state.keys():
            raise InputError("it holds something else")
        return state
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path} cannot be read ({reason}): it is damaged, or not a checkpoint of this program") from error


def _whole_lines(path: Path) -> list[bytes]:
    """The lines of a file, with their ends; an unfinished last one is left out, and there are none where there is no file."""
    return [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")] if path.exists() else []


def _is_trial(line: bytes) -> bool:
    """Whether a line of a history, as the file has it, is of a trial."""
    try:
        return "trial" in json.loads(line)
    except (ValueError, TypeError):
        return False


def read_history(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's history.jsonl; an unfinished last one is left out."""
    path = folder / "history.jsonl"
    if not path.exists():
        return []
    found = []
    lines = read_text(path).splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            found.append(typed(dict[str, Any], json_of(line, f"{path}, line {number},"), f"{path}, line {number}"))
        except InputError:
            if number == len(lines):
                break
            raise
    return found
