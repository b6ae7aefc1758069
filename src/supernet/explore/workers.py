"""Who makes the estimates of a search: this process, one at a time, or workers, several at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch

from supernet.costs.passes import Passes
from supernet.explore.executor import LOST, Estimate, Executor, Handle, InProcess, Metrics, called
from supernet.native.kernels import Kernels, use, used
from supernet.space import Architecture
from supernet.workers import Done, Workers
from supernet.workers.here import Process
from supernet.workers.packed import Packed, place

Along = Callable[[Architecture], dict[str, Any]]  # further arguments of an estimate: what only the process that asks knows
Begun = Callable[[Callable[..., Any], Path | None, str], AbstractContextManager[Workers]]  # of a function, a run's folder, what it does


def nothing(architecture: Architecture) -> dict[str, Any]:
    """No further arguments."""
    return {}


class Crew(Protocol):
    """Who makes estimates."""

    def making(
        self, estimate: Estimate, passes: Passes, along: Along, folder: Path | None, what: str
    ) -> AbstractContextManager[Callable[[Estimate], Executor]]:
        """Meanwhile there is what makes the executor of a search whose estimates are ``estimate``.

        passes: counts what is computed elsewhere. along: further arguments of an estimate that is made elsewhere. folder: of the run.
        """


class Alone:
    """This process."""

    def making(
        self, estimate: Estimate, passes: Passes, along: Along, folder: Path | None, what: str
    ) -> AbstractContextManager[Callable[[Estimate], Executor]]:
        return nullcontext(InProcess)


ALONE = Alone()


@dataclass(frozen=True)
class Several:
    """Workers that ``begun`` gives, each of which is sent the estimate once. What they do depends on it and its arguments alone."""

    begun: Begun

    @contextmanager
    def making(
        self, estimate: Estimate, passes: Passes, along: Along, folder: Path | None, what: str
    ) -> Iterator[Callable[[Estimate], Executor]]:
        function = partial(computed, estimate, type(passes), used())
        with self.begun(function, folder, what) as workers:
            yield lambda _: Elsewhere(estimate, workers, passes, along)


class Elsewhere:
    """Has estimates made by workers. Results are taken in the order in which they were asked for, whichever is finished first."""

    def __init__(self, estimate: Estimate, made: Workers, passes: Passes, along: Along = nothing):
        self.estimate, self.made, self.passes, self.along, self.workers = estimate, made, passes, along, made.most

    def submit(self, architecture: Architecture, fidelity: float) -> Handle:
        """Begin an estimate; raises ``InputError`` for a part of one that takes an architecture alone."""
        called(self.estimate, architecture, fidelity)
        return Answer(self.made.submit(architecture, fidelity, self.along(architecture)), self.passes)

    def wait(self, handles: Sequence[Handle]) -> Handle:
        """The first, whose result is waited for."""
        return handles[0]


class Answer:
    """What comes back from a worker."""

    def __init__(self, future: Future[Done], passes: Passes):
        self.future, self.passes = future, passes

    def result(self) -> Metrics:
        """What the estimate gives, with the number of workers that were lost; what was computed is counted here."""
        done = self.future.result()
        found: dict[str, float] | FloatingPointError = done.result[0]
        self.passes.total += done.result[1]
        if isinstance(found, FloatingPointError):
            raise found
        return found | ({LOST: done.lost} if done.lost else {})


def computed(
    estimate: Estimate, counter: type[Passes], kernels: Kernels, architecture: Architecture, fidelity: float, along: dict[str, Any]
) -> tuple[dict[str, float] | FloatingPointError, int]:
    """What an estimate gives, or how it failed, and the multiply-adds that it took; a worker calls this."""
    use(kernels)
    passes = counter()
    found: dict[str, float] | FloatingPointError
    try:
        with passes.counting():
            found = dict(called(estimate, architecture, fidelity)(**along))
    except FloatingPointError as error:
        found = error
    return found, passes.total


@contextmanager
def processes(count: int, function: Callable[..., Any], folder: Path | None, what: str) -> Iterator[Workers]:
    """So many processes on this computer, each with as many threads as this one."""
    with place(folder) as shared:
        packed, threads = Packed(function, shared), torch.get_num_threads()
        with Workers(lambda: Process(packed, threads), count, what) as workers:
            yield workers
