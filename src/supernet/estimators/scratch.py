"""Score an architecture by training its network from nothing for a few epochs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from supernet.randomness import drawing_apart
from supernet.space import Architecture
from supernet.strategies.retrain import Retrain
from supernet.task import Task
from supernet.train import fit


class FromScratch:
    """architecture -> loss and metrics on the validation stream after ``epochs`` (or ``steps``) of training ``build(architecture)``.

    Every architecture is trained from the same seed on the same batches, whatever was scored before it.
    ``strategy(model, task)``: how it is trained.
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
    ):
        self.build, self.task, self.epochs, self.steps, self.seed, self.strategy = build, task, epochs, steps, seed, strategy
        self.start: dict[str, Any] = task.data.state_dict()

    def __call__(self, architecture: Architecture) -> dict[str, float]:
        before = self.task.data.state_dict()
        with drawing_apart(self.task.device):
            self.task.data.load_state_dict(self.start)
            try:
                strategy = self.begin(architecture)
                fit(strategy, self.task.data, self.epochs, steps=self.steps, what="training one architecture")
            finally:
                self.task.data.load_state_dict(before)
            return strategy.evaluate("validation")

    def begin(self, architecture: Architecture) -> Retrain:
        """The training of an architecture, at its start."""
        torch.manual_seed(self.seed)
        return self.strategy(self.task.place(self.build(architecture)), self.task)
