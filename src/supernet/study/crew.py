"""Processes that run the searches of a study, one thread each: they hold the table, and end when this process does, however it ends."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from supernet.study.on_table import Study

THREADS = "OMP_NUM_THREADS"
_own: list[Study] = []  # of a process of a crew


class Crew:
    """Makes a pool of processes that know a study, in which ``run_here`` is to be called."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.context = get_context("spawn")
        self.theirs, self.ours = self.context.Pipe(duplex=False)

    def pool(self, workers: int) -> ProcessPoolExecutor:
        """So many processes, which begin as they are needed."""
        return ProcessPoolExecutor(workers, self.context, _begin, (self.study, self.theirs))

    def stop(self) -> None:
        """End them all, at once."""
        self.ours.close()


def run_here(name: str, seed: int) -> dict[str, Any]:
    """The result of a searcher with a seed, in a process of a crew."""
    return _own[0].run(name, seed)


@contextmanager
def single_threaded() -> Iterator[None]:
    """Processes that begin meanwhile have one thread each."""
    before = os.environ.get(THREADS)
    os.environ[THREADS] = "1"
    try:
        yield
    finally:
        del os.environ[THREADS]
        os.environ.update({THREADS: before} if before is not None else {})


def _begin(study: Study, pipe: Connection) -> None:
    """Ctrl-C is for the process that began this one; its end of the pipe is closed when it stops or ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(pipe,), daemon=True).start()
    _own[:] = [study]


def _end_with(pipe: Connection) -> None:
    try:
        pipe.recv()
    except (EOFError, OSError):
        os._exit(1)
