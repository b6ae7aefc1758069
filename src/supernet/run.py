"""A run is a folder: configuration, history, checkpoint, results. It can be killed at any moment and resumed."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import math
import os
import random
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

import filelock
import numpy
import torch
import yaml

from supernet.errors import InputError, RunError
from supernet.weights import pack

FORMAT = 1
SYNC_EVERY = 0.5  # seconds between syncs of lines that would be made again


class Run:
    """The folder ``folder``, held by this process until ``close`` (or the end of a ``with``).

    ``config``: plain data, written as config.yaml. ``resume``: go on with what is there; what the stored
    configuration says must be the same.
    Raises ``InputError`` where the folder holds another run, or none to resume; ``RunError`` where it is in use or cannot be written.
    """

    def __init__(self, folder: str | Path, config: Mapping[str, Any] | None = None, resume: bool = False):
        self.folder = Path(folder)
        self.config = dict(config or {})
        self._lines = 0
        self._synced, self._unsynced = 0.0, False
        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = filelock.FileLock(self.folder / ".lock")
        try:
            with self._writing():
                self._lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise RunError(f"{self.folder} is being written by another process: wait for it, or use another folder") from error
        try:
            self._open(resume)
        except BaseException:
            self.close()
            raise

    def _open(self, resume: bool) -> None:
        stored = self.folder / "config.yaml"
        if not resume:
            if stored.exists():
                raise InputError(f"{self.folder} already holds a run: give --resume (resume=True) to go on, or another folder")
            self.write("config.yaml", yaml.safe_dump(self.config, sort_keys=False))
            return
        if not stored.exists():
            raise InputError(f"nothing to resume in {self.folder}: it has no config.yaml")
        before = read_config(self.folder)
        same = json.loads(json.dumps(self.config))
        if self.config and (differing := _differing(before, same)):
            names = ", ".join(differing)
            raise InputError(f"{self.folder} was started with other settings ({names}): resume with the same, or use another folder")
        self.config = self.config or before

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: type[BaseException] | None, *reason: object) -> None:
        if kind is not None and issubclass(kind, InputError):
            self._forget()
        self.close()

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
        if self._unsynced:
            with self._writing(), (self.folder / "history.jsonl").open("a") as file:
                self._sync(file)
        self._lock.release()

    def sub(self, name: str, config: Mapping[str, Any]) -> Run:
        """A run in a folder inside this one; what is there is gone on with."""
        return Run(self.folder / name, config, resume=(self.folder / name / "config.yaml").exists())

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file whole: under a temporary name, then renamed."""
        path, temporary = self.folder / name, self.folder / f".{name}.new"
        with self._writing():
            try:
                temporary.write_bytes(content.encode() if isinstance(content, str) else content)
                os.replace(temporary, path)
            finally:
                temporary.unlink(missing_ok=True)
        return path

    def write_json(self, name: str, content: Any) -> Path:
        """Write plain data as JSON."""
        return self.write(name, json.dumps(content, indent=2) + "\n")

    def write_weights(self, model: torch.nn.Module, *example: Any) -> Path:
        """Write a model's tensors as weights.safetensors, bound to the model; ``example``: its inputs, see ``supernet.weights.pack``."""
        return self.write("weights.safetensors", pack(model, *example))

    def append(self, line: Mapping[str, Any], again: bool = False) -> None:
        """Add a line to history.jsonl. ``again``: it would be made again were it lost, so that it may reach the disk with later ones."""
        with self._writing(), (self.folder / "history.jsonl").open("a") as file:
            file.write(json.dumps(_json_able(line), allow_nan=False) + "\n")
            file.flush()
            self._unsynced = True
            if not again or time.monotonic() - self._synced > SYNC_EVERY:
                self._sync(file)
        self._lines += 1

    def _sync(self, file: TextIO) -> None:
        os.fsync(file.fileno())
        self._synced, self._unsynced = time.monotonic(), False

    def history(self) -> list[dict[str, Any]]:
        """The lines of history.jsonl; an unfinished last one is left out."""
        return read_history(self.folder)

    def trials(self) -> list[dict[str, Any]]:
        """The trials of the history: all that a search among architectures needs to go on; an unfinished last line is removed."""
        lines = self.history()
        self._rewrite(lines)
        return [line for line in lines if "trial" in line]

    def save(self, **state: Any) -> None:
        """Replace the checkpoint: ``state`` (tensors and plain data), random states, length of the history."""
        buffer = io.BytesIO()
        torch.save({**state, "lines": self._lines, "random": random_states(), "threads": torch.get_num_threads()}, buffer)
        self.write("checkpoint.pt", buffer.getvalue())

    def restore(self, device: torch.device | str = "cpu") -> dict[str, Any] | None:
        """The last checkpoint, its random states set and the history cut to its length; None: start from nothing.

        Trials stay in the history: they come after a training has ended, and are no part of its checkpoint.
        """
        path = self.folder / "checkpoint.pt"
        state: dict[str, Any] | None = None
        history, counted = self.history(), 0
        if path.exists():
            try:
                state = torch.load(path, map_location=device, weights_only=True)
                assert state is not None
                set_random_states(state["random"])
                counted = state["lines"]
            except Exception as error:
                raise InputError(f"{path} cannot be read ({str(error).splitlines()[0]}): it is not a checkpoint of this program") from error
        self._rewrite([line for i, line in enumerate(history) if i < counted or "trial" in line])
        return state

    def _rewrite(self, lines: list[dict[str, Any]]) -> None:
        """Let history.jsonl hold ``lines``."""
        path, text = self.folder / "history.jsonl", "".join(json.dumps(line) + "\n" for line in lines)
        if path.exists() and path.read_text() != text:
            self.write("history.jsonl", text)
        self._lines = len(lines)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if isinstance(error, filelock.Timeout):
                raise
            if error.errno == errno.ENOSPC:
                raise RunError(f"no space left for {self.folder}: free some and resume; the last checkpoint is whole") from error
            raise RunError(f"{self.folder} cannot be written: {error.strerror or error}") from error


def _json_able(value: Any) -> Any:
    """Plain data with None for numbers that JSON has not."""
    if isinstance(value, Mapping):
        return {k: _json_able(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_json_able(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _differing(before: Mapping[str, Any], now: Mapping[str, Any], path: str = "") -> list[str]:
    """Settings of ``before`` that ``now`` has otherwise; those that came with a later version do not count."""
    found = []
    for name, value in before.items():
        other = now.get(name)
        if isinstance(value, dict) and isinstance(other, dict):
            found += _differing(value, other, f"{path}{name}.")
        elif value != other:
            found.append(path + name)
    return found


def read_config(folder: Path) -> dict[str, Any]:
    """The resolved settings of a run."""
    try:
        found = yaml.safe_load((folder / "config.yaml").read_text())
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{folder / 'config.yaml'} cannot be read: {str(error).splitlines()[0]}") from error
    if not isinstance(found, dict):
        raise InputError(f"{folder / 'config.yaml'} is not the configuration of a run")
    return found


def read_history(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's history.jsonl; an unfinished last one is left out."""
    path = folder / "history.jsonl"
    if not path.exists():
        return []
    found = []
    text = path.read_text()
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number == len(text.splitlines()):
                break
            raise InputError(f"{path}, line {number}, is not JSON: {error.msg}") from error
    return found


def random_states() -> dict[str, Any]:
    """Every global random state, as tensors and plain data."""
    version, internal, gauss = random.getstate()
    _, keys, *rest = numpy.random.get_state()
    states: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "python": [version, list(internal), gauss],
        "numpy": [torch.from_numpy(numpy.asarray(keys).astype("int64")), *rest],
    }
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state_all()
    return states


def set_random_states(states: Mapping[str, Any]) -> None:
    """Set what ``random_states`` gave."""
    torch.set_rng_state(states["torch"].cpu())
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    keys, *rest = states["numpy"]
    numpy.random.set_state(("MT19937", keys.cpu().numpy().astype("uint32"), *rest))
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([s.cpu() for s in states["cuda"]])


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and torch."""
    random.seed(seed)
    numpy.random.seed(seed % 2**32)
    torch.manual_seed(seed)


class Interrupted(RunError):
    """The user asked to stop, and the run has been saved."""


@contextlib.contextmanager
def interruptible() -> Iterator[list[int]]:
    """Collects Ctrl-C in the yielded list, so that a step is finished and saved before stopping; a second one stops at once."""
    asked: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    try:
        before = signal.signal(signal.SIGINT, note)
    except ValueError:  # not the main thread: signals cannot be caught here
        yield asked
        return
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
