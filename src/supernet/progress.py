"""Progress of long work on a terminal: rate, time left, what is best now. Quiet where there is no terminal."""

from __future__ import annotations

import sys
import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar


class Progress:
    """A bar of ``total`` steps on standard error. ``shown``: says whether enough time has passed to be worth new figures."""

    def __init__(self, what: str, total: int, done: int = 0, unit: str = "steps"):
        self._bar: Bar | None = None
        self._last, self._start, self._done, self._unit = 0.0, time.monotonic(), 0, unit
        if sys.stderr.isatty():
            columns = (TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Bar(*columns, TextColumn("{task.fields[facts]}"), console=Console(stderr=True))
            self._bar.start()
            self._task = self._bar.add_task(what, total=total, completed=done, facts="")

    @property
    def due(self) -> bool:
        """Whether figures would be shown now; reading them may wait for the device."""
        return self._bar is not None and time.monotonic() - self._last > 0.5

    def advance(self, **facts: Any) -> None:
        """One more step; ``facts`` to show beside the bar."""
        self._done += 1
        if self._bar is None:
            return
        self._bar.advance(self._task)
        if facts:
            self._last = time.monotonic()
            rate = self._done / max(self._last - self._start, 1e-9)
            text = "  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in facts.items())
            self._bar.update(self._task, facts=f"{rate:.1f} {self._unit}/s  {text}")

    def say(self, text: str) -> None:
        """A line above the bar."""
        if self._bar is not None:
            self._bar.console.print(text, highlight=False)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.stop()
