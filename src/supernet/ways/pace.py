"""A budget in seconds as a number of steps: a few steps are timed, and the number is kept with the run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from supernet.errors import InputError
from supernet.files.records import read_pace
from supernet.modules.graph import uncompiled
from supernet.run import Run
from supernet.task import Task

EPOCHS = 6  # of a search in miniature, so that warm-ups and stages count for their share


@dataclass(frozen=True)
class Length:
    """How long is trained: so many ``epochs``, or ``steps``, or as many steps as fit into ``seconds``."""

    epochs: int
    steps: int | None = None
    seconds: float | None = None

    def in_steps(self, make: Callable[[], Any], task: Task, run: Run) -> int | None:
        """The number of steps, timed on the strategy ``make()`` where the length is in seconds; None: epochs count."""
        return steps_for(self.seconds, make, task, run) if self.seconds else self.steps


def steps_for(seconds: float, make: Callable[[], Any], task: Task, run: Run) -> int:
    """How many steps of the strategy ``make()`` fit into ``seconds``: read from the run, or measured and written there.

    The task's streams are put back; whoever calls seeds anew.
    """
    stored = run.folder / "budget.json"
    if stored.exists():
        return read_pace(stored)
    if seconds <= 0:
        raise InputError(f"a budget in seconds must be above 0; got {seconds:g}")
    before = task.data.state_dict()
    strategy = make()
    taken = []
    for epoch in range(EPOCHS):
        strategy.epoch(epoch, EPOCHS, {})
        if epoch == 0:
            timed(strategy, task)  # the first step of all is slower
        taken.append(timed(strategy, task))
    task.data.load_state_dict(before)
    steps = max(round(seconds * EPOCHS / sum(taken)), 1)
    steps = task.ranks.told(steps)
    run.write_json("budget.json", {"steps": steps, "seconds": seconds, "seconds_per_step": sum(taken) / EPOCHS})
    return steps


def timed(strategy: Any, task: Task) -> float:
    """The seconds of one step, its result waited for; run as it is, since making a graph of it takes longer than many steps."""
    began = time.perf_counter()
    with uncompiled():
        for value in strategy.step(task.data).values():
            float(value)  # waits for the device
    return time.perf_counter() - began
