"""Progress where there is no terminal, by a clock that the test turns."""

from __future__ import annotations

import io
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from supernet import progress
from supernet.costs.objective import Objective
from supernet.estimators.scratch import FromScratch
from supernet.progress import Progress, Screen, within
from supernet.searchers import make_searcher
from supernet.space import Choice, SearchSpace
from supernet.task import Task
from supernet.trying import try_architectures


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_without_a_terminal_there_is_a_line_every_half_minute(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    work = Progress("searching", 100, screen=Screen(clock))
    for _ in range(100):
        clock.now += 1
        work.advance(**({"loss": 0.51234} if work.due else {}))
    work.close()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and lines[0] == "searching: 30/100 steps  1 steps/s  loss 0.5123  70 s left"


def test_short_work_is_quiet_however_often_it_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    screen = Screen(clock)
    for _ in range(20):
        work = Progress("short", 10, screen=screen)
        for _ in range(10):
            clock.now += 2.5
            work.advance()
        work.close()
    assert capsys.readouterr().err == ""


def test_work_within_work_speaks_once_in_half_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    screen = Screen(clock)
    outer = Progress("trying", 5, unit="trials", screen=screen)
    for trial in range(1, 6):
        with within(f"trial {trial} of 5"):
            inner = Progress("training", 10, screen=screen)
            for _ in range(10):
                clock.now += 2
                inner.advance()
            inner.close()
        outer.advance()
    outer.close()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and lines[0].startswith("trial 2 of 5, training: 5/10 steps")


def test_the_time_left_counts_from_where_work_was_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    work = Progress("searching", 100, done=90, screen=Screen(clock))
    clock.now += 40
    work.advance()
    assert "91/100" in (said := capsys.readouterr().err) and "360 s left" not in said and "6 min left" in said


def test_trainings_say_of_which_trial_they_are(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.0)
    batches = [(torch.randn(8, 4), torch.randint(2, (8,))) for _ in range(3)]
    task = Task(batches, batches, loss=F.cross_entropy)
    space = SearchSpace([Choice("a", ("x", "y", "z"))])
    estimate = FromScratch(lambda architecture: nn.Linear(4, 2), task)
    try_architectures(space, make_searcher("random", space), estimate, 3, Objective())
    said = capsys.readouterr().err
    assert "trying, trial 1 of 3, training one architecture: 1/3 steps" in said and "trying, trial 3 of 3, training" in said


def test_on_a_terminal_one_bar_shows_all_that_runs_within_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    screen = Screen()
    outer = Progress("trying", 2, unit="trials", screen=screen)
    with within("trial 1 of 2"):
        inner = Progress("training", 3, screen=screen)
        assert screen.bar and len(screen.bar.tasks) == 2
        inner.say("epoch 1: loss 2.3")
        inner.close()
    assert len(screen.bar.tasks) == 1
    outer.close()
    assert screen.bar is None and "trial 1 of 2, epoch 1: loss 2.3" in shown.getvalue()
