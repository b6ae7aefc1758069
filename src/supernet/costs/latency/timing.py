"""How long calls take, measured in turns on a machine that has other things to do.

Every round visits every call once, in a random order, so that a busy minute falls on all of them alike. A visit lasts a
few milliseconds and gives the fastest of its calls, which an interruption does not touch; a call's time is the median of
its visits.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from random import Random

from supernet.progress import Progress

Visits = dict[str, list[float]]  # what each visit of each call gave, in ms
SAVE_EVERY = 10.0  # seconds
CALLS = 2000  # in a visit, at most: a clock need not advance while a call waits


@dataclass(frozen=True)
class Timing:
    """A call's time. ``spread``: the interquartile range of its visits as a fraction of the median."""

    median_ms: float
    minimum_ms: float
    spread: float
    visits: int

    @classmethod
    def of(cls, visits: Collection[float]) -> Timing:
        """The summary of one call's visits, at least one."""
        median = statistics.median(visits)
        low, _, high = statistics.quantiles(visits, n=4, method="inclusive") if len(visits) > 1 else (median,) * 3
        return cls(median, min(visits), (high - low) / median if median else 0.0, len(visits))


@dataclass(frozen=True)
class Effort:
    """When a call has been visited enough.

    least, most: visits of a call. spread: between these, it is left alone once its visits differ by no more than this
    (see ``Timing``). visit: how long a visit lasts at least, in ms.
    """

    least: int = 5
    most: int = 25
    spread: float = 0.03
    visit: float = 2.0

    def enough(self, visits: Collection[float]) -> bool:
        """Whether these visits do."""
        return len(visits) >= self.most or (len(visits) >= self.least and Timing.of(visits).spread <= self.spread)


EFFORT = Effort()


def measure(
    calls: Mapping[str, Callable[[], object]],
    *,
    rng: Random,
    effort: Effort = EFFORT,
    known: Mapping[str, Collection[float]] | None = None,
    keep: Callable[[Visits], None] | None = None,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Visits:
    """The visits of every call, by name.

    Args:
        calls: looked up when visited, so that they may be prepared then, and not at all where ``known`` is enough.
        known: visits of an earlier, interrupted measurement; they count.
        keep: is given all visits so far every few seconds and when the measurement ends, also when it is interrupted.
        progress: advances by one for each call that is done, and says after the first round how long it will take.
        clock: seconds, see ``supernet.costs.latency.machine.clock``.
    """
    visits = {name: list((known or {}).get(name, ())) for name in calls}
    waiting = list(calls)
    warm: set[str] = set()
    started = saved = time.monotonic()
    try:
        while waiting := _waiting(waiting, visits, effort, progress):
            first = not warm
            rng.shuffle(waiting)
            for name in waiting:
                call = calls[name]
                if name not in warm:
                    visit(call, effort.visit, clock)
                    warm.add(name)
                visits[name].append(visit(call, effort.visit, clock))
                if keep and time.monotonic() - saved > SAVE_EVERY:
                    keep(visits)
                    saved = time.monotonic()
            if first and progress:
                least = (time.monotonic() - started) * effort.least
                progress.say(f"{len(waiting)} to time, {_duration(least)} to {_duration(least * effort.most / effort.least)}")
    finally:
        if keep:
            keep(visits)
    return visits


def _waiting(names: list[str], visits: Visits, effort: Effort, progress: Progress | None) -> list[str]:
    """Those that have not been visited enough."""
    left = [name for name in names if not effort.enough(visits[name])]
    for _ in range(len(names) - len(left) if progress else 0):
        progress.advance(left=len(left))  # type: ignore[union-attr]
    return left


def visit(call: Callable[[], object], least: float, clock: Callable[[], float]) -> float:
    """The fastest of the calls, three or more, that ``least`` milliseconds are filled with, in ms."""
    best, start = math.inf, clock()
    for i in range(CALLS):
        before = clock()
        call()
        after = clock()
        best = min(best, after - before)
        if i >= 2 and (after - start) * 1000 >= least:
            break
    return best * 1000


def loop(call: Callable[[], object], *, seconds: float = 1.0, least: int = 30, most: int = 2000) -> Timing:
    """The time of a call in a plain loop, by the wall clock, with all that a call costs: what a program sees that does nothing else.

    ``least`` calls or more, until ``seconds`` are over, after a tenth of them to warm up. ``visits`` of the result are calls.
    """
    for _ in range(max(3, least // 10)):
        call()
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < least or (len(times) < most and time.perf_counter() - start < seconds):
        before = time.perf_counter()
        call()
        times.append((time.perf_counter() - before) * 1000)
    return Timing.of(times)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 100 else f"{seconds / 60:.0f} minutes"
