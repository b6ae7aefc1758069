"""Who makes the estimates of a search: this process, or workers at the same time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

from supernet.errors import InputError, without_effect
from supernet.explore.workers import ALONE, Crew, Several, processes
from supernet.launched import launched
from supernet.settings.commands import Search
from supernet.workers import Workers
from supernet.workers.on_ray import check_ray, on_ray
from supernet.workers.on_slurm import check_slurm, on_slurm


def crew_of(settings: Search, decides: bool) -> Crew:
    """As is asked for; ``decides``: whether the method has an opinion, so that nothing is estimated but its baseline.

    Raises ``InputError`` where that would change nothing, cannot be had, or where an estimate depends on what others gave.
    """
    asked, gpus = settings.estimator, int(settings.device.startswith("cuda"))
    given = {"--ray": asked.ray, "--slurm": asked.slurm, "--workers": asked.workers if asked.workers != 1 else None}
    flags = [flag for flag, value in given.items() if value]
    if not flags:
        return ALONE
    if decides and not settings.baseline.name:
        raise without_effect(flags[0], f"{settings.method} decides by itself, and no architecture is scored for a searcher")
    if asked.stop:
        raise InputError(f"{flags[0]}: estimator.stop compares each training with all before it: leave one of the two out")
    if launched():
        raise InputError(f"{flags[0]}: the ranks that torchrun began score each architecture together: leave one of the two out")
    if asked.ray and asked.slurm:
        raise InputError("--ray and --slurm both say where architectures are scored: give one of them")
    if asked.ray:
        check_ray(asked.ray)
        return Several(partial(tasks, asked.ray, asked.workers, gpus))
    if asked.slurm:
        if not asked.workers:
            raise InputError("--slurm needs --workers N, the most jobs at a time")
        check_slurm(asked.slurm)
        return Several(partial(on_slurm, asked.slurm, asked.workers, gpus))
    assert asked.workers, "one of the three is given"
    return Several(partial(processes, asked.workers))


def tasks(
    address: str, most: int | None, gpus: int, function: Callable[..., Any], folder: Path | None, what: str
) -> AbstractContextManager[Workers]:
    """Those of Ray, which share no folder."""
    return on_ray(address, most, gpus, function, what)
