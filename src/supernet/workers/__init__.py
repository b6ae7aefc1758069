"""Calls that are made at the same time, each by a worker: a process here, one of a cluster, a command. Who is lost is replaced."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from threading import Lock
from typing import Any, NamedTuple, Protocol

import torch

from supernet.errors import RunError

RETRIES = 2  # of a call whose worker was lost


class Gone(RunError):
    """A worker has ended before its call did."""


LOST = (Gone, MemoryError, OSError, torch.OutOfMemoryError)  # what the same call may be spared by another worker


class Worker(Protocol):
    """Makes calls of one function, one at a time."""

    def run(self, *arguments: Any) -> Any:
        """What the function gives for them, or raises; ``Gone`` where the worker has ended."""

    def replaced(self) -> Worker:
        """What takes the place of this one, with which a call was lost."""

    def end(self) -> None:
        """End at once, whatever runs; another thread calls this."""


class Done(NamedTuple):
    """What a call gave, and how many workers were lost with it before."""

    result: Any
    lost: int


class Workers:
    """Makes calls by up to ``most`` workers, each begun by ``begin()`` when it is needed; use in a ``with``, which ends them.

    A worker that ends, or fails for want of memory or by its files, is replaced, and its call made again, twice at most.
    Other calls take no notice. ``what``: what a call does, for who reads of it.
    """

    def __init__(self, begin: Callable[[], Worker], most: int, what: str):
        self.begin, self.most, self.what = begin, most, what
        self._threads = ThreadPoolExecutor(most)
        self._idle: list[Worker] = []
        self._alive: list[Worker] = []
        self._lock, self._ended = Lock(), False

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._ended = True
            alive = list(self._alive)
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in alive:
            worker.end()
        self._threads.shutdown(wait=True)

    def submit(self, *arguments: Any) -> Future[Done]:
        """Have a call made as soon as a worker is free. Its result raises what the call does, the loss of a worker the third time."""
        return self._threads.submit(self._run, arguments)

    def _run(self, arguments: tuple[Any, ...]) -> Done:
        for lost in count():
            try:
                with self._worker() as worker:
                    return Done(worker.run(*arguments), lost)
            except LOST as error:
                why = f"{self.what}: {str(error) or type(error).__name__}"
                if self._ended or lost == RETRIES:
                    raise RunError(f"{why}: given up after {lost + 1} tries") from error
                print(f"warning: {why}: tried again, {lost + 1} of at most {RETRIES} times", file=sys.stderr)
        raise AssertionError("it returns or raises")

    @contextmanager
    def _worker(self) -> Iterator[Worker]:
        """One that is idle, or a new one; it is idle again afterwards, unless it was lost."""
        with self._lock:
            if self._ended:
                raise Gone("all were stopped")
            worker = self._idle.pop() if self._idle else self.begin()
            self._alive += [] if worker in self._alive else [worker]
        try:
            yield worker
        except LOST:
            if not self._ended:
                fresh = worker.replaced()
                with self._lock:
                    self._alive.remove(worker)
                    self._alive.append(fresh)
                self._idle.append(fresh)
            raise
        except BaseException:
            self._idle.append(worker)
            raise
        self._idle.append(worker)
