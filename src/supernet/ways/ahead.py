"""What a training takes, told before it from a few steps on few examples: memory, time, and the batch size that memory holds.

What a step holds, and how long it takes, grows with its examples along a line, which two sizes give.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from supernet.errors import OUT_OF_MEMORY, SMALLER, InputError, RunError, let_go, out_of_memory
from supernet.launched import launched
from supernet.memory import forget_peak, peak_memory, room
from supernet.task import Task
from supernet.ways.pace import timed

EPOCHS = 2  # of a training in miniature, so that a warm-up counts, and what comes after it
FEWEST, MORE = 2, 8  # examples that a batch norm can learn from; so many more that the line is not drawn by what else a process holds
SECONDS = 0.3  # that a step of a still larger size may take
SHARE = 0.9  # of the memory, which a step may hold: the line is not exact, and others want some too

R = TypeVar("R")
T = TypeVar("T", bound=Task)


@dataclass(frozen=True)
class Batches:
    """How a training meets its examples: so many at a time, of ``most``. ``processes``: those that share this computer's memory."""

    size: int
    most: int
    processes: int = 1


@dataclass(frozen=True)
class Ahead:
    """What is told before a training, of batches of ``size``.

    ``seconds``: of a step, ``steps``: of an epoch. ``megabytes``: that the process holds at most, ``room``: that it may hold.
    ``fits``: the largest batch size within ``SHARE`` of that; 0: not even the smallest.
    """

    size: int
    seconds: float
    steps: int
    megabytes: float
    room: float
    fits: int

    @property
    def measured(self) -> dict[str, Any]:
        """What ``--dry-run`` prints."""
        return {
            "seconds_per_step": float(f"{self.seconds:.3g}"),
            "seconds_per_epoch": float(f"{self.seconds * self.steps:.3g}"),
            "peak_memory_mb": round(self.megabytes),
            "memory_mb": round(self.room),
            "batch_size_that_fits": self.fits,
        }

    @property
    def short(self) -> str:
        """What to do where memory does not hold these batches; empty where it does."""
        return self.advice if self.fits < self.size else ""

    @property
    def advice(self) -> str:
        """What to do where these batches were more than memory holds, whatever the line says."""
        fits = min(self.fits, self.size // 2) if self.fits >= self.size else self.fits
        held = f"batches of {self.size} take about {self.megabytes / 1024:,.1f} GB, and there are {self.room / 1024:,.1f} GB"
        return f"{held}: {f'--batch-size {fits} fits' if fits else 'make the network smaller, such as by --channels or --cells'}"


@dataclass(frozen=True)
class Took:
    """What a few steps on so many examples took: MB that the process held at most, seconds of a step, and steps of an epoch."""

    examples: int
    megabytes: float
    seconds: float
    steps: int


def ahead(begin: Callable[[T], Any], task: T, batches: Batches) -> Ahead:
    """What the training that ``begin(task)`` begins takes; it is begun twice, from the same seed. The task's streams are put back."""
    ranks = task.ranks
    most = max(batches.most // ranks.count, 1)
    own = min(max(batches.size // ranks.count, 1), most)
    before, held = task.data.state_dict(), room(task.device) / (batches.processes if task.device.type == "cpu" else 1)
    took(begin, task, min(FEWEST, most))  # the first steps of all are slower
    small = took(begin, task, min(FEWEST, most))
    able = FEWEST * min(SECONDS / small.seconds, held / 2 / small.megabytes)
    large = took(begin, task, min(max(own, MORE), most, ranks.told(max(int(able), MORE))))
    task.data.load_state_dict(before)
    between = max(large.examples - small.examples, 1)
    each, longer = (max(b - a, 0.0) / between for a, b in ((small.megabytes, large.megabytes), (small.seconds, large.seconds)))
    seconds, megabytes = (at + more * (own - large.examples) for at, more in ((large.seconds, longer), (large.megabytes, each)))
    reach = large.examples + (SHARE * held - large.megabytes) / each if each else float(most)
    fits = max(int(min(reach, most)), 0)
    fits = fits if fits < 16 or fits == most else fits // 8 * 8
    return Ahead(batches.size, seconds, large.steps, megabytes, held, ranks.told(fits * ranks.count if fits >= FEWEST else 0))


def took(begin: Callable[[T], Any], task: T, examples: int) -> Took:
    """What the first steps on so many examples take, one of each of ``EPOCHS``."""
    forget_peak(task.device)
    few = task.of_size(examples)
    strategy, seconds = begin(few), 0.0
    for epoch in range(EPOCHS):
        strategy.epoch(epoch, EPOCHS, {})
        with strategy.training():
            seconds += timed(strategy, few)
    return Took(examples, peak_memory(task.device), seconds / EPOCHS, strategy.steps(task.data))


def advised(work: Callable[[], R], told: Callable[[], Ahead | None]) -> R:
    """What ``work()`` gives. Raises ``RunError`` where it runs out of memory: which batch size would not, by what is ``told()`` then."""
    try:
        return work()
    except (InputError, MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        let_go(error)
    raise RunError(f"{OUT_OF_MEMORY}: {_advice(told)}; begin again so, or go on with --resume where there is more memory")


def _advice(told: Callable[[], Ahead | None]) -> str:
    if not launched():  # where others would have to take the same steps
        try:
            found = told()
            return found.advice if found else SMALLER
        except (InputError, MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            let_go(error)
    return SMALLER
