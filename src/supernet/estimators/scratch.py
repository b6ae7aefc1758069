"""Score an architecture by training its network from nothing for a few epochs.

Zoph, Le 2017, section 3.2, https://arxiv.org/abs/1611.01578
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

from supernet.estimators import part
from supernet.estimators.curves import Stop, Training, to_the_end
from supernet.randomness import drawing_apart
from supernet.space import Architecture
from supernet.strategies.retrain import Retrain
from supernet.task import Task
from supernet.train import fit


class FromScratch:
    """(architecture, fidelity) -> loss and metrics on the validation stream, after training ``build(architecture)``.

    It is trained for ``epochs`` or ``steps``, each architecture from the same seed on the same batches, whatever was scored before it.
    A smaller fidelity is a share of the steps, from the start and with schedules as long as these; the scoring is whole.
    ``strategy(model, task)``: how it is trained. ``stop``: when a training ends before its time, such as ``MedianStop``; the metrics then
    say by "trained" which share of it was done.
    """

    def __init__(
        self,
        build: Callable[[Architecture], nn.Module],
        task: Task,
        *,
        epochs: int = 1,
        steps: int | None = None,
        seed: int = 0,
        strategy: Callable[[nn.Module, Task], Retrain] = Retrain,
        stop: Stop = to_the_end,
    ):
        self.build, self.task, self.epochs, self.steps, self.seed, self.strategy = build, task, epochs, steps, seed, strategy
        self.stop = stop
        self.start: dict[str, Any] = task.data.state_dict()

    def __call__(self, architecture: Architecture, fidelity: float = 1.0) -> dict[str, float]:
        with self.apart():
            strategy, run = self.training(architecture, fidelity)
            return self.stop(architecture, fidelity, run, partial(strategy.evaluate, "validation"))

    @contextmanager
    def apart(self) -> Iterator[None]:
        """The data's streams and the random states are put back afterwards."""
        before = self.task.data.state_dict()
        with drawing_apart(self.task.device):
            try:
                yield
            finally:
                self.task.data.load_state_dict(before)

    def trained(self, architecture: Architecture, fidelity: float = 1.0) -> Retrain:
        """The training of an architecture, at its end."""
        strategy, run = self.training(architecture, fidelity)
        run()
        return strategy

    def training(self, architecture: Architecture, fidelity: float) -> tuple[Retrain, Training]:
        """The training of an architecture, at its start, and what runs it."""
        self.task.data.load_state_dict(self.start)
        strategy = self.begin(architecture)
        whole = self.steps or self.epochs * strategy.steps(self.task.data)
        steps = self.steps if fidelity == 1 else part(fidelity, whole)
        how: dict[str, Any] = {"steps": steps, "what": "training one architecture", "ranks": self.task.ranks}
        return strategy, partial(fit, strategy, self.task.data, self.epochs, **how)

    def begin(self, architecture: Architecture) -> Retrain:
        """The training of an architecture, at its start."""
        torch.manual_seed(self.seed)
        return self.strategy(self.task.place(self.build(architecture)), self.task)
