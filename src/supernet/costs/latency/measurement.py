"""Time the parts of a network on this machine. Identical parts are timed once, and what an empty call takes is taken off."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from random import Random

import torch
from torch import nn

from supernet.costs.latency.backends import Call, prepare, torch_threads
from supernet.costs.latency.machine import SAME, clock, machine
from supernet.costs.latency.table import Cost, cost_of, short, write_text
from supernet.costs.latency.timing import EFFORT, Effort, Timing, Visits, measure
from supernet.costs.parts import Part, tabulate
from supernet.errors import InputError, RunError
from supernet.files.readers import read_json
from supernet.progress import Progress
from supernet.space import SearchSpace

EMPTY = "empty"  # the name of the call that does nothing


def identity(part: Part) -> str:
    """A short name that parts have in common which cost the same."""
    return sha256(part.key.encode()).hexdigest()[:16]


def distinct(found: Iterable[Part]) -> dict[str, Part]:
    """The parts that run at all, each kind once, by ``identity``."""
    kinds: dict[str, Part] = {}
    for part in found:
        if part.calls and part.inputs:
            kinds.setdefault(identity(part), part)
    return kinds


def time_parts(
    found: Sequence[Part],
    *,
    backend: str,
    threads: int = 1,
    device: str = "cpu",
    batch: int = 1,
    rng: Random,
    effort: Effort = EFFORT,
    unfinished: Path | None = None,
) -> dict[str, Timing]:
    """The time of one call of each kind of part, by ``identity``, and of the ``EMPTY`` call.

    Args:
        batch: examples in each call.
        unfinished: a file that holds what has been measured so far; where it is of this machine and these settings, it is gone on with.
            It stays when the measurement ends: delete it when the table is written.

    Raises:
        InputError: the backend cannot be used, or a part cannot be converted for it.
        RunError: a part computes something else on the backend.
    """
    kinds = distinct(found)
    here = machine(backend, threads=threads, batch=batch, device=device)
    known = _read(unfinished, here) if unfinished else {}

    def keep(visits: Visits) -> None:
        if unfinished:
            write_text(unfinished, json.dumps({"machine": here, "visits": {k: v for k, v in visits.items() if v}}) + "\n")

    calls = _Calls(kinds, backend, threads, device, batch)
    progress = Progress("timing parts", len(calls), unit="parts")
    try:
        with torch_threads(threads):
            visits = measure(calls, rng=rng, effort=effort, known=known, keep=keep, progress=progress, clock=clock(threads, device))
    finally:
        progress.close()
    return {name: Timing.of(times) for name, times in visits.items()}


class _Calls(Mapping[str, Call]):
    """Every kind of part as a call, made ready when it is looked up."""

    def __init__(self, kinds: Mapping[str, Part], backend: str, threads: int, device: str, batch: int):
        self.kinds, self.backend, self.how, self.batch = kinds, backend, {"threads": threads, "device": device}, batch
        self.ready: dict[str, Call] = {}

    def __getitem__(self, name: str) -> Call:
        if name not in self.ready:
            self.ready[name] = self._prepared(name)
        return self.ready[name]

    def __iter__(self) -> Iterator[str]:
        return iter((EMPTY, *self.kinds))

    def __len__(self) -> int:
        return len(self.kinds) + 1

    def _prepared(self, name: str) -> Call:
        if name == EMPTY:
            return prepare(self.backend, *empty(), **self.how)  # type: ignore[arg-type]
        part = self.kinds[name]
        module, inputs = part.real(self.batch)
        try:
            return prepare(self.backend, module, inputs, **self.how)  # type: ignore[arg-type]
        except (InputError, RunError) as error:
            raise type(error)(f"{part.name}: {error}") from error


def empty() -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """A module that does nothing, and its input: what a call takes before it computes."""
    return nn.Identity(), (torch.zeros(1),)


def measured(part: Part, timings: Mapping[str, Timing]) -> float:
    """What a part takes in one forward pass, in ms: the median, less that of an empty call."""
    if not (part.calls and part.inputs):
        return 0.0
    return part.calls * max(0.0, timings[identity(part)].median_ms - timings[EMPTY].median_ms)


def latency_of(space: SearchSpace, found: Sequence[Part], timings: Mapping[str, Timing]) -> tuple[Cost, dict[str, float]]:
    """The cost "latency" of a ``LatencyTable``, and its parts."""

    def spread(part: Part) -> float:
        return measured(part, timings) and part.calls * timings[identity(part)].spread * timings[identity(part)].median_ms

    values = tabulate(space, found, lambda part: measured(part, timings))
    cost = cost_of(space, values, tabulate(space, found, spread))
    return cost, {part.name: short(measured(part, timings)) for part in found if part.calls and part.inputs}


def _read(path: Path, here: Mapping[str, object]) -> dict[str, list[float]]:
    """The visits of an unfinished measurement of this machine."""
    if not path.exists():
        return {}
    content = read_json(path)
    try:
        visits = {str(name): [float(ms) for ms in times] for name, times in content["visits"].items()}
        there = content["machine"]
        return visits if all(there[name] == here[name] for name in SAME) else {}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path} is not an unfinished measurement: delete it, or name another file") from error
