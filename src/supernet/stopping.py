"""How work is stopped: by Ctrl-C or SIGTERM, one search at a time."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import FrameType

from supernet.errors import RunError

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(RunError):
    """The user asked to stop, and the run has been saved."""


class AtOnce(KeyboardInterrupt):
    """The user asked a second time, and nothing more was saved."""


@contextlib.contextmanager
def interruptible() -> Iterator[list[int]]:
    """Collects Ctrl-C and SIGTERM in the yielded list, so that a step is finished and saved before stopping.

    A second one raises ``AtOnce``. Outside the main thread signals cannot be caught, and the list stays empty. A process that is forked
    meanwhile ends as it would have.
    """
    asked: list[int] = []
    owner = os.getpid()

    def note(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif asked:
            raise AtOnce
        else:
            asked.append(number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: handler for number in SIGNALS if (handler := signal.getsignal(number)) is not None}  # None: not from Python
    try:
        for number in before:
            signal.signal(number, note)
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_busy = threading.RLock()


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Searches and trainings draw from random states that a process has once: raises ``RunError`` where another thread has one going."""
    if not _busy.acquire(blocking=False):
        raise RunError(
            "another thread of this process searches or trains, and both would draw from the same random states: "
            "do one after the other, or each in a process of its own"
        )
    try:
        yield
    finally:
        _busy.release()


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """While the command ``supernet`` is loaded, Ctrl-C ends it with a line; other programs get ``KeyboardInterrupt``."""
    try:
        yield
    except KeyboardInterrupt:
        if Path(sys.argv[0]).name != "supernet" and ("-m", "supernet") not in pairwise(sys.orig_argv):
            raise
        print("stopped", file=sys.stderr)
        raise SystemExit(130) from None
