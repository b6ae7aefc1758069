"""Who runs the estimates of a search: in this process one at a time, or whatever has ``submit`` and ``wait``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

from supernet.errors import InputError
from supernet.space import Architecture

Metrics = Mapping[str, float]
# (architecture, fidelity = 1.0) -> metrics. A function of the architecture alone will do for a searcher that asks for whole estimates.
Estimate = Callable[..., Metrics]
TRAINED = "trained"  # among metrics: of what was asked for, the share that an estimate took which ended before
LOST = "lost_workers"  # among metrics: how many workers were lost before one could make the estimate


class Handle(Protocol):
    """An estimate that was submitted; ``concurrent.futures.Future`` is one."""

    def result(self) -> Metrics:
        """What the estimate gives, or raises."""


class Executor(Protocol):
    """Runs estimates, up to ``workers`` at a time. Whoever makes it also closes it."""

    @property
    def workers(self) -> int:
        """How many estimates may be submitted and not finished."""

    def submit(self, architecture: Architecture, fidelity: float) -> Handle:
        """Begin an estimate."""

    def wait(self, handles: Sequence[Handle]) -> Handle:
        """One of ``handles`` that is finished, in any order; waits for it. ``handles``: in the order in which they were submitted."""


class InProcess:
    """Runs ``estimate`` here, one at a time, when its result is asked for."""

    workers = 1

    def __init__(self, estimate: Estimate) -> None:
        self.estimate = estimate

    def submit(self, architecture: Architecture, fidelity: float) -> Handle:
        """Keep the call; raises ``InputError`` for a part of an estimate that takes an architecture alone."""
        return Call(called(self.estimate, architecture, fidelity))

    def wait(self, handles: Sequence[Handle]) -> Handle:
        """The first."""
        return handles[0]


class Call:
    """An estimate that is run when its result is asked for; anew, where it was interrupted."""

    def __init__(self, call: Callable[[], Metrics]) -> None:
        self.call = call

    def result(self) -> Metrics:
        """What the estimate gives."""
        return self.call()


def called(estimate: Estimate, architecture: Architecture, fidelity: float) -> Callable[..., Metrics]:
    """The call of an estimate, without a fidelity where it is whole; raises ``InputError`` where the estimate takes none."""
    if fidelity == 1:
        return partial(estimate, architecture)
    try:
        inspect.signature(estimate).bind(architecture, fidelity)
    except TypeError:
        raise InputError(
            f"the searcher asks for {fidelity:g} of an estimate, and the estimate is a function of the architecture alone: "
            "give it a second argument, the share of its full cost, or search with another searcher"
        ) from None
    return partial(estimate, architecture, fidelity)
