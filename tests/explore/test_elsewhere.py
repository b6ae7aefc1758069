"""Estimates by Ray and by jobs of submitit: the same trials as in this process, though a worker is killed."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from command_line import called
from supernet.costs.objective import Objective
from supernet.errors import InputError
from supernet.explore.workers import Begun, Several
from supernet.plan.crew import tasks
from supernet.searchers import make_searcher
from supernet.space import Architecture, Choice, SearchSpace
from supernet.trying import try_architectures
from supernet.workers.on_ray import check_reached
from supernet.workers.on_slurm import LOCAL, check_slurm, on_slurm, parameters_of

SPACE = SearchSpace([Choice(name, ("a", "b", "c")) for name in "xy"])
SEARCH = ("search", "random", "--space", "nasbench201", "--data", "digits", "--dry-run")


def check_killed(begun: Begun, place: Path) -> None:
    """Workers, of which the first that scores a b is killed while it does, find what this process finds."""
    flag = place / "killed"

    def scored(architecture: Architecture) -> dict[str, float]:
        if architecture["x"] == "b" and not flag.exists():
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return {"score": float(sum(option == "c" for option in architecture.values()))}

    def found(**how: Any) -> tuple[list[Any], int]:
        searcher = make_searcher("random", SPACE, 0)
        made = try_architectures(SPACE, searcher, scored, 6, Objective(maximise=("score",)), **how)
        return sorted((trial.number, sorted(trial.architecture.items()), trial.scores) for trial in made), sum(t.lost for t in made)

    by_workers, lost = found(crew=Several(begun))
    assert flag.exists() and lost == 1
    assert (by_workers, 0) == found()


@pytest.mark.slow
def test_two_tasks_of_ray_try_what_one_process_tries_though_one_is_killed(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    check_killed(partial(tasks, "local", 2, 0), tmp_path)


@pytest.mark.slow
def test_two_jobs_try_what_one_process_tries_though_one_is_killed(tmp_path: Path) -> None:
    check_killed(partial(on_slurm, LOCAL, 2, 0), tmp_path)


def test_parameters_that_submitit_does_not_take_are_refused() -> None:
    with pytest.raises(InputError, match="--slurm "):
        check_slurm("no_such_parameter=3")


def test_parameters_of_jobs_are_numbers_and_texts() -> None:
    assert parameters_of("slurm_partition=gpu,timeout_min=60") == {"slurm_partition": "gpu", "timeout_min": 60}
    with pytest.raises(InputError, match=r"--slurm is local, or parameters of submitit such as .*; got 'gpu'"):
        parameters_of("gpu")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:99999"])
def test_an_address_of_ray_where_nobody_answers_is_refused_at_once(address: str) -> None:
    with pytest.raises(InputError, match=f"--ray {address}: nobody answers there .*: give the address that ray start printed"):
        check_reached(address)


@pytest.mark.parametrize(
    ("module", "more", "said"),
    [
        ("ray", ("--ray", "local"), "--ray needs Ray; install it with: pip install 'supernet[ray]'"),
        ("submitit", ("--slurm", "local", "--workers", "2"), "--slurm needs submitit; install it with: pip install 'supernet[slurm]'"),
    ],
)
def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, module: str, more: tuple[str, ...], said: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    code, _, error = called(*SEARCH, *more)
    assert code == 2 and said in error


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--slurm", "local"), "--slurm needs --workers N, the most jobs at a time"),
        (("--slurm", "local", "--ray", "local"), "--ray and --slurm both say where architectures are scored: give one of them"),
        (("--workers", "2", "--set", "estimator.stop=median", "--set", "estimator.epochs=2"), "--workers: estimator.stop compares each"),
    ],
)
def test_what_does_not_go_together_is_refused(more: tuple[str, ...], said: str) -> None:
    code, _, error = called(*SEARCH, *more)
    assert code == 2 and said in error and error.count("error") == 1


def test_a_method_that_decides_has_nothing_for_workers() -> None:
    code, _, error = called("search", "darts", *SEARCH[2:], "--workers", "2")
    assert code == 2 and "--workers would have no effect: darts decides by itself" in error
