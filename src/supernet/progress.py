"""Progress of long work on standard error: a bar on a terminal, elsewhere a line every half minute."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

EVERY, ON_A_TERMINAL = 30.0, 0.5  # seconds between lines, and between new figures beside a bar
_within: ContextVar[str] = ContextVar("within", default="")


@contextmanager
def within(what: str) -> Iterator[None]:
    """Progress that is made meanwhile is said to be of ``what``, such as a trial."""
    token = _within.set(f"{_within.get()}{what}, ")
    try:
        yield
    finally:
        _within.reset(token)


class Screen:
    """Where progress is shown: one at a time, as many kinds of work in it as run within each other.

    ``clock``: seconds. A first line comes ``EVERY`` seconds after work began, and none from work that is shorter.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self.clock, self.works, self.last = clock, 0, clock()
        self.bar: Bar | None = None

    def begin(self) -> None:
        """Another work begins."""
        self.works += 1
        if self.works == 1:
            self.last = self.clock()
            if sys.stderr.isatty():
                columns = (TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TimeRemainingColumn())
                self.bar = Bar(*columns, TextColumn("{task.fields[facts]}"), console=Console(stderr=True))
                self.bar.start()

    def end(self) -> None:
        """A work ends; with the last one the terminal is left as it was."""
        self.works -= 1
        if not self.works and self.bar:
            self.bar.stop()
            self.bar = None


SCREEN = Screen()


class Progress:
    """The progress of ``what``, of ``total`` steps of which some are ``done``.

    ``due``: says whether enough time has passed to be worth new figures.
    """

    def __init__(self, what: str, total: int, done: int = 0, unit: str = "steps", screen: Screen | None = None):
        self._screen = screen or SCREEN
        self._label, self._what, self._total, self._unit = _within.get(), what, total, unit
        self._screen.begin()
        self._start, self._first, self._done, self._open = self._screen.clock(), done, done, True
        if self._screen.bar:
            self._task = self._screen.bar.add_task(f"{self._label}{what}", total=total, completed=done, facts="")

    @property
    def due(self) -> bool:
        """Whether figures would be shown now; reading them may wait for the device."""
        return self._screen.clock() - self._screen.last >= (ON_A_TERMINAL if self._screen.bar else EVERY)

    def advance(self, **facts: Any) -> None:
        """One more step; ``facts`` to show beside the progress."""
        self._done += 1
        due = self.due
        if self._screen.bar:
            self._screen.bar.advance(self._task)
        if not due or (self._screen.bar and not facts):
            return
        self._screen.last = self._screen.clock()
        seconds, made = self._screen.last - self._start, self._done - self._first
        shown = "  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in facts.items())
        figures = f"{made / max(seconds, 1e-9):.3g} {self._unit}/s  {shown}".rstrip()
        if self._screen.bar:
            self._screen.bar.update(self._task, facts=figures)
        else:
            left = seconds * (self._total - self._done) / made
            text = f"{self._label}{self._what}: {self._done}/{self._total} {self._unit}  {figures}  {_lasting(left)} left"
            print(text, file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """A line above the bar."""
        if self._screen.bar:
            self._screen.bar.console.print(f"{self._label}{text}", highlight=False)

    def close(self) -> None:
        """The work is over, or was stopped."""
        if self._open:
            self._open = False
            if self._screen.bar and self._screen.works > 1:
                self._screen.bar.remove_task(self._task)
            self._screen.end()


def _lasting(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
