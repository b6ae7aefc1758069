"""Workers that are jobs of SLURM, or processes here that are begun alike, by submitit: https://github.com/facebookincubator/submitit"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

import torch

from supernet.errors import InputError
from supernet.workers import Gone, Workers
from supernet.workers.packed import Packed, place

LOCAL = "local"  # jobs that are processes of this computer
MINUTES = 240  # of a job, where nothing else is asked for


def parameters_of(text: str) -> dict[str, Any]:
    """{"slurm_partition": "gpu", "mem_gb": 8} from slurm_partition=gpu,mem_gb=8; raises ``InputError`` for anything else."""
    found: dict[str, Any] = {}
    for entry in text.split(","):
        name, _, value = (part.strip() for part in entry.partition("="))
        if not name or not value:
            raise InputError(f"--slurm is {LOCAL}, or parameters of submitit such as slurm_partition=gpu,timeout_min=60; got {text!r:.60}")
        found[name] = int(value) if value.isdigit() else value
    return found


def check_slurm(text: str) -> None:
    """Raise ``InputError`` where submitit is not installed, where there is no SLURM, and for parameters that it does not take."""
    if find_spec("submitit") is None:
        raise InputError("--slurm needs submitit; install it with: pip install 'supernet[slurm]'")
    with tempfile.TemporaryDirectory() as apart:
        executor_of(text, 0, Path(apart))


def executor_of(text: str, gpus: int, folder: Path) -> Any:
    """What submits jobs, each with as many CPUs as this process has threads."""
    import submitit

    own = {} if text == LOCAL else parameters_of(text)
    given: Mapping[str, Any] = {"timeout_min": MINUTES, "cpus_per_task": torch.get_num_threads(), "gpus_per_node": gpus, **own}
    try:
        executor = submitit.AutoExecutor(folder=folder, cluster=LOCAL if text == LOCAL else "slurm")
        executor.update_parameters(**given)
    except (NameError, ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"--slurm {text}: {str(error).splitlines()[0]}") from error
    return executor


@contextmanager
def on_slurm(text: str, most: int, gpus: int, function: Callable[..., Any], folder: Path | None, what: str) -> Iterator[Workers]:
    """Up to ``most`` jobs at a time, by the parameters in ``text``. ``folder``: of the run, which all computers must see."""
    with place(folder) as shared:
        packed, executor, lock = Packed(function, shared), executor_of(text, gpus, shared), Lock()
        with Workers(lambda: Job(executor, packed, lock), most, what) as workers:
            yield workers


class Job:
    """Makes each call by a job of its own."""

    def __init__(self, executor: Any, function: Packed, lock: Lock):
        self.executor, self.function, self.lock = executor, function, lock
        self.running: Any = None

    def run(self, *arguments: Any) -> Any:
        """What the function gives; raises ``Gone`` where the job ended before."""
        from submitit.core.utils import FailedJobError, UncompletedJobError

        with self.lock:
            self.running = job = self.executor.submit(run_there, self.function, torch.get_num_threads(), *arguments)
        try:
            found, raised = job.result()
        except (FailedJobError, UncompletedJobError) as error:
            raise Gone(f"job {job.job_id} has ended, killed or for want of time or memory") from error
        if raised:
            raise raised
        return found

    def replaced(self) -> Job:
        """This one: the next call is a job of its own."""
        return self

    def end(self) -> None:
        if self.running is not None:
            self.running.cancel(check=False)


def run_there(function: Packed, threads: int, *arguments: Any) -> tuple[Any, Exception | None]:
    """What a function gives, or what it raises, in a job."""
    torch.set_num_threads(threads)
    try:
        return function.unpacked()(*arguments), None
    except Exception as error:  # which submitit would send as text
        return None, error
