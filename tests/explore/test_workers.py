"""Estimates by workers: the same trials as in one process, also where one is lost."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from supernet.costs.objective import Objective
from supernet.costs.passes import Passes, Uncounted
from supernet.errors import InputError, RunError
from supernet.explore.loop import explore
from supernet.explore.workers import Crew, Elsewhere, Several, computed, nothing, processes
from supernet.report import search_sections
from supernet.report.record import Record
from supernet.searchers import make_searcher
from supernet.space import Architecture, Choice, SearchSpace
from supernet.trying import try_architectures
from supernet.workers import Gone, Workers
from supernet.workers.packed import Packed
from supernet.workers.within import Thread

SPACE = SearchSpace([Choice(name, ("a", "b", "c")) for name in "xyz"])
SCORE = Objective(maximise=("score",))


def scored(architecture: Architecture) -> dict[str, float]:
    """As many points as options that are c."""
    return {"score": float(sum(option == "c" for option in architecture.values()))}


def trials(workers: Workers, name: str = "random", passes: Passes | None = None) -> list[dict[str, Any]]:
    """What a searcher tries, by lines."""
    lines: list[dict[str, Any]] = []
    how: dict[str, Any] = {"executor": lambda _: Elsewhere(scored, workers, passes or Uncounted())}
    explore(SPACE, make_searcher(name, SPACE, 0), scored, 12, SCORE, record=lambda trial: lines.append(trial.line()), **how)
    return lines


def unmeasured(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if k not in ("measured", "asked")} for line in lines]


def threads(count: int, function: Callable[..., Any] = scored, counter: type[Passes] = Uncounted) -> Workers:
    """Workers in this process."""
    return Workers(lambda: Thread(partial(computed, function, counter, "torch"), lambda: None), count, "it")


def test_workers_try_what_one_process_tries_where_the_searcher_learns_nothing() -> None:
    with threads(1) as one, threads(3) as three:
        assert unmeasured(trials(one)) == unmeasured(trials(three))


@pytest.mark.parametrize("name", ["evolution", "random"])
def test_as_many_workers_try_the_same_again(name: str) -> None:
    found = []
    for _ in range(2):
        with threads(3) as workers:
            found.append([{k: v for k, v in line.items() if k != "measured"} for line in trials(workers, name)])
    assert found[0] == found[1]


def test_a_worker_that_is_lost_is_replaced_and_the_history_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    failing = iter([Gone("a worker has ended"), MemoryError(), None])
    begun: list[object] = []

    def sometimes(architecture: Architecture) -> dict[str, float]:
        if (error := next(failing, None)) is not None:
            raise error
        return scored(architecture)

    def begin() -> Thread:
        begun.append(Thread(partial(computed, sometimes, Uncounted, "torch"), lambda: None))
        return begun[-1]  # type: ignore[return-value]

    with Workers(begin, 1, "trying") as workers:
        lines = trials(workers)
    assert [line["measured"].get("lost_workers") for line in lines] == [2] + [None] * 11
    assert len(begun) == 1  # a thread is its own replacement
    section = search_sections.trials(Record(Path(), trials=lines))
    assert section and "Workers that were lost, and whose trials others made: 2." in section.text
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "warning: trying: a worker has ended: tried again, 1 of at most 2 times" and "MemoryError" in said[1]
    with threads(1) as other:
        assert unmeasured(lines) == unmeasured(trials(other))


def test_what_loses_every_worker_is_given_up() -> None:
    def never(*_: object) -> None:
        raise Gone("a worker has ended")

    said = "^trying: a worker has ended: given up after 3 tries$"
    with Workers(lambda: Thread(never, lambda: None), 2, "trying") as workers, pytest.raises(RunError, match=said):
        trials(workers)


def test_a_process_that_lacks_what_its_function_needs_says_what(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "gone_tomorrow.py"
    file.write_text("def scored(architecture):\n    return {}\n")
    function = import_module("gone_tomorrow").scored
    file.unlink()
    shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
    with processes(1, function, None, "trying") as workers, pytest.raises(RunError) as raised:
        trials(workers)
    assert str(raised.value) == "a worker cannot begin: ModuleNotFoundError: No module named 'gone_tomorrow'"


def test_what_workers_compute_is_counted_with_each_trial() -> None:
    def product(architecture: Architecture) -> dict[str, float]:
        torch.ones(2, 3) @ torch.ones(3, 5)
        return scored(architecture)

    passes = Passes()
    with threads(1, product, Passes) as workers:
        trials(workers, passes=passes)
    assert passes.total == 12 * 2 * 3 * 5


def test_an_estimate_that_fails_elsewhere_is_a_failed_trial() -> None:
    def failing(architecture: Architecture) -> dict[str, float]:
        if architecture["x"] == "a":
            raise FloatingPointError("not finite")
        return scored(architecture)

    with threads(2, failing) as workers:
        assert {(line["outcome"], line["architecture"]["x"] == "a") for line in trials(workers)} == {("failed", True), ("scored", False)}


def test_what_cannot_be_sent_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be sent to other processes \(.*\): leave workers out"):
        Packed((line for line in "ab"), tmp_path)


def test_large_tensors_are_mapped_from_files_and_changed_in_a_copy(tmp_path: Path) -> None:
    layer = torch.nn.Linear(200, 200)
    packed = Packed(layer, tmp_path)
    one, other = packed.unpacked(), packed.unpacked()
    assert len(packed.content) < 5000 and len(list(tmp_path.iterdir())) == 1
    with torch.no_grad():
        one.weight.zero_()
    assert torch.equal(other.weight, layer.weight) and torch.equal(other.bias, layer.bias)


@pytest.mark.slow
def test_two_processes_try_what_one_tries_though_one_is_killed(tmp_path: Path) -> None:
    """The process that runs the first estimate of b is killed in it, once."""
    flag = tmp_path / "killed"

    def estimate(architecture: Architecture) -> dict[str, float]:
        if architecture["x"] == "b" and not flag.exists():
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return scored(architecture)

    def found(crew: Crew) -> tuple[list[Any], int]:
        how: dict[str, Any] = {"crew": crew, "along": nothing}
        made = try_architectures(SPACE, make_searcher("random", SPACE, 0), estimate, 12, SCORE, **how)
        return [(trial.number, trial.architecture, trial.scores) for trial in made], sum(trial.lost for trial in made)

    by_workers, lost = found(Several(partial(processes, 2)))
    assert flag.exists() and lost == 1
    with threads(1) as one:
        alone = [(line["trial"], line["architecture"], line["scores"]) for line in trials(one)]
    assert sorted(by_workers) == sorted(alone)
