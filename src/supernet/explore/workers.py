"""Estimates in processes of their own on this computer, by loky: a process that ends is replaced, and what it ran is run again."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from typing import Any

import torch

from supernet.errors import RunError
from supernet.explore.executor import Estimate, Handle, Metrics, called
from supernet.space import Architecture

RETRIES = 2  # of an estimate whose process ended
_own: list[Estimate] = []  # of a worker


class Workers:
    """Runs ``estimate`` in ``workers`` processes, to each of which it is sent once; use in a ``with``, which ends them.

    Results are taken in the order in which they were asked for, so that they do not depend on which process is faster.
    ``estimate`` must be a function of its arguments alone.
    """

    def __init__(self, estimate: Estimate, workers: int):
        self.estimate, self.workers = estimate, workers
        self.pool = self._begun()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(wait=True, kill_workers=True)

    def submit(self, architecture: Architecture, fidelity: float) -> Handle:
        """Begin an estimate; raises ``InputError`` for a part of one that takes an architecture alone."""
        called(self.estimate, architecture, fidelity)
        return Sent(self, architecture, fidelity)

    def wait(self, handles: Sequence[Handle]) -> Handle:
        """The first, whose result is waited for."""
        return handles[0]

    def replace(self, broken: Any) -> bool:
        """Begin new processes where those of the pool ``broken`` have not been replaced yet; whether they were replaced now."""
        if self.pool is not broken:
            return False
        print("warning: a worker has ended, killed or for want of memory; what it scored is scored again", file=sys.stderr)
        self.pool = self._begun()
        return True

    def _begun(self) -> Any:
        from joblib.externals.loky import ProcessPoolExecutor

        given = (self.estimate, torch.get_num_threads(), os.getpid())
        return ProcessPoolExecutor(self.workers, initializer=begin, initargs=given, timeout=None)


class Sent:
    """An estimate that was sent to a process."""

    def __init__(self, to: Workers, architecture: Architecture, fidelity: float):
        self.to, self.architecture, self.fidelity = to, architecture, fidelity
        self._send()

    def result(self) -> Metrics:
        """What the estimate gives; raises ``RunError`` where its process ended ``RETRIES`` times and once more."""
        ended = 0
        while ended <= RETRIES:
            try:
                found: Metrics = self.future.result()
                return found
            except BrokenExecutor:
                ended += self.to.replace(self.pool)
                self._send()
        raise RunError(f"a worker ended {ended} times while architectures were scored: give fewer --workers, or more memory")

    def _send(self) -> None:
        self.pool = self.to.pool
        try:
            self.future = self.pool.submit(run_here, self.architecture, self.fidelity)
        except BrokenExecutor:
            self.to.replace(self.pool)
            self.pool = self.to.pool
            self.future = self.pool.submit(run_here, self.architecture, self.fidelity)


def begin(estimate: Estimate, threads: int, parent: int) -> None:
    """What a worker does first: it computes as its parent would, leaves signals and words to that, and ends with it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115  # for as long as the process is there
    torch.set_num_threads(threads)
    threading.Thread(target=end_with, args=(parent, os.getppid), daemon=True).start()
    _own[:] = [estimate]


def end_with(parent: int, present: Callable[[], int]) -> None:
    """End this process when its parent is another one."""
    while present() == parent:
        time.sleep(0.5)
    os._exit(1)


def run_here(architecture: Architecture, fidelity: float) -> dict[str, float]:
    """The estimate of an architecture, in a worker."""
    return dict(called(_own[0], architecture, fidelity)())
