"""Estimates in processes of their own: the same trials as in one, also where a process is killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from supernet.costs.objective import Objective
from supernet.errors import RunError
from supernet.explore.loop import explore
from supernet.explore.workers import Workers
from supernet.searchers import make_searcher
from supernet.space import Architecture, Choice, SearchSpace

SPACE = SearchSpace([Choice(name, ("a", "b", "c")) for name in "xyz"])


def scored(architecture: Architecture) -> dict[str, float]:
    """As many points as options that are c."""
    return {"score": float(sum(option == "c" for option in architecture.values()))}


def trials(workers: Workers | None, estimate: object = scored) -> list[tuple[int, Architecture, object]]:
    """What random search tries."""
    how = {"executor": lambda _: workers} if workers else {}
    found = explore(SPACE, make_searcher("random", SPACE, 0), estimate, 12, Objective(maximise=("score",)), **how)  # type: ignore[arg-type]
    return sorted((trial.number, trial.architecture, trial.scores) for trial in found)


@pytest.mark.slow
def test_two_workers_try_what_one_process_tries_though_one_is_killed(tmp_path: Path) -> None:
    """The process that runs the first estimate of b is killed in it, once."""
    flag = tmp_path / "killed"

    def estimate(architecture: Architecture) -> dict[str, float]:
        if architecture["x"] == "b" and not flag.exists():
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return {"score": float(sum(option == "c" for option in architecture.values()))}

    with Workers(estimate, 2) as workers:
        assert trials(workers) == trials(None)
    assert flag.exists()


@pytest.mark.slow
def test_an_estimate_that_ends_every_process_is_given_up() -> None:
    """After two more tries."""

    def estimate(architecture: Architecture) -> dict[str, float]:
        os.kill(os.getpid(), signal.SIGKILL)
        return {}

    with Workers(estimate, 1) as workers, pytest.raises(RunError, match="a worker ended 3 times"):
        trials(workers)
