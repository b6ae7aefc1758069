"""Workers that are tasks of Ray, on all computers of its cluster: https://docs.ray.io"""

from __future__ import annotations

import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from importlib.util import find_spec
from typing import Any

import torch

from supernet.errors import InputError
from supernet.workers import Gone, Workers
from supernet.workers.packed import Packed

LOCAL = "local"  # the address of a cluster of this computer alone, begun here
PATIENCE = 10.0  # seconds, with an address
_own: dict[str, Callable[..., Any]] = {}  # of a process of the cluster: the function that it was sent last


def check_ray(address: str) -> None:
    """Raise ``InputError`` where Ray is not installed, or there is no cluster, which is looked for before a supernet is trained."""
    if find_spec("ray") is None:
        raise InputError("--ray needs Ray; install it with: pip install 'supernet[ray]'")
    if address != LOCAL:
        check_reached(address)
        with redirect_stdout(sys.stderr):
            connected(address, None).shutdown()


def check_reached(address: str) -> None:
    """Raise ``InputError`` where nobody answers at an address such as 10.0.0.1:6379 or ray://10.0.0.1:10001: Ray would try for long."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host or not port.isdecimal():
        return  # such as auto, which Ray looks up
    try:
        socket.create_connection((host, int(port)), PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"--ray {address}: nobody answers there ({error}): give the address that ray start printed") from error


@contextmanager
def on_ray(address: str, most: int | None, gpus: int, function: Callable[..., Any], what: str) -> Iterator[Workers]:
    """Up to ``most`` tasks at a time (None: as many as the cluster has room for) on the cluster at ``address``, or ``LOCAL``.

    Each has as many threads as this process, and so many ``gpus``. Supernet is to be installed on all computers of the cluster.
    Raises ``InputError`` where there is no cluster, or one without room for a task.
    """
    threads = torch.get_num_threads()
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(sys.stderr))  # where Ray says what became of its processes
        ray = connected(address, most * threads if most and address == LOCAL else None)
        stack.callback(ray.shutdown)
        there = ray.cluster_resources()
        room = int(min(there.get("CPU", 0) // threads, there.get("GPU", 0) // gpus if gpus else float("inf")))
        if not room:
            has = f"{there.get('CPU', 0):g} CPUs and {there.get('GPU', 0):g} GPUs"
            raise InputError(f"--ray {address}: the cluster has {has}: no room for a task of {threads} threads")
        held = ray.put(Packed(function))
        task = ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=0)(run_there)
        with Workers(lambda: Task(ray, task, [held], threads), most or room, what) as workers:
            yield workers


def connected(address: str, cpus: int | None) -> Any:
    """The module, connected; signals stay with who had them. ``cpus``: of a cluster that is begun here."""
    import ray

    handled = signal.getsignal(signal.SIGTERM)
    quiet: dict[str, Any] = {"logging_level": "error", "log_to_driver": False, "include_dashboard": False if address == LOCAL else None}
    try:
        ray.init(address=address, num_cpus=cpus, **quiet)
    except Exception as error:  # Ray raises what it meets
        raise InputError(f"--ray {address}: there is no Ray cluster that can be used ({str(error).splitlines()[0]})") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handled)
    return ray


class Task:
    """Makes each call by ``task``, which finds its function in ``held``."""

    def __init__(self, ray: Any, task: Any, held: list[Any], threads: int):
        self.ray, self.task, self.held, self.threads = ray, task, held, threads
        self.running: Any = None

    def run(self, *arguments: Any) -> Any:
        """What the function gives; raises ``Gone`` where the process of the task, or its computer, has ended."""
        errors = self.ray.exceptions
        try:
            self.running = self.task.remote(self.held, self.threads, *arguments)
            return self.ray.get(self.running)
        except errors.RayTaskError as error:
            raise error.cause from None
        except errors.RayError as error:
            raise Gone(f"a task of Ray has ended ({type(error).__name__}), killed or for want of memory") from error

    def replaced(self) -> Task:
        """This one: the next task finds a process of its own."""
        return self

    def end(self) -> None:
        if self.running is not None:
            self.ray.cancel(self.running, force=True)


def run_there(held: list[Any], threads: int, *arguments: Any) -> Any:
    """What a function gives, in a process of the cluster, which fetches it once; ``held``: its place, in a list so that Ray leaves it."""
    import ray

    key = held[0].hex()
    if key not in _own:
        torch.set_num_threads(threads)
        _own.clear()
        _own[key] = ray.get(held[0]).unpacked()
    return _own[key](*arguments)
