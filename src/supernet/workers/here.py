"""A worker that is a process on this computer, by loky. It ends with the process that began it, however that ends."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from typing import Any

import torch

from supernet.workers import Gone
from supernet.workers.packed import Packed

_own: list[Packed | Callable[..., Any]] = []  # of such a process: what it was sent, and from the first call on what that is


class Process:
    """A process that has ``function``, computes with so many ``threads``, and begins with its first call."""

    def __init__(self, function: Packed, threads: int):
        from joblib.externals.loky import ProcessPoolExecutor

        self.function, self.threads = function, threads
        given = {"initializer": begin, "initargs": (function, threads, os.getpid()), "env": {"OMP_NUM_THREADS": str(threads)}}
        self.pool = ProcessPoolExecutor(1, timeout=None, **given)

    def run(self, *arguments: Any) -> Any:
        """What the function gives; raises ``Gone`` where the process has ended."""
        from joblib.externals.loky.process_executor import ShutdownExecutorError

        try:
            return self.pool.submit(run_here, *arguments).result()
        except (BrokenExecutor, ShutdownExecutorError) as error:
            raise Gone("a worker process has ended, killed or for want of memory") from error

    def replaced(self) -> Process:
        """Another process."""
        self.end()
        return Process(self.function, self.threads)

    def end(self) -> None:
        self.pool.shutdown(wait=True, kill_workers=True)


def begin(function: Packed, threads: int, parent: int) -> None:
    """What the process does first: it computes as its parent would, leaves signals and words to that, and ends with it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115  # for as long as the process is there
    torch.set_num_threads(threads)
    threading.Thread(target=end_with, args=(parent, os.getppid), daemon=True).start()
    _own[:] = [function]


def end_with(parent: int, present: Callable[[], int]) -> None:
    """End this process when its parent is another one."""
    while present() == parent:
        time.sleep(0.5)
    os._exit(1)


def run_here(*arguments: Any) -> Any:
    """What the function of this process gives; raises ``RunError`` where it cannot be had here."""
    function = _own[0]
    if isinstance(function, Packed):
        _own[0] = function = function.unpacked()
    return function(*arguments)
