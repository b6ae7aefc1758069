"""Averaged SGD that begins when it is needed: NT-ASGD, Merity et al. 2018, section 3, https://arxiv.org/abs/1708.02182

SGD goes on as before; from the moment that validation has stopped improving, what is evaluated, and kept in the end, is the
average of the weights over all steps since (Polyak, Juditsky 1992).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from supernet.data.streams import Data
from supernet.errors import InputError
from supernet.settings.quantities import Count
from supernet.strategies.retrain import Retrain
from supernet.strategies.weights import Weights
from supernet.task import Task


class Averaged(Retrain):
    """Trains ``model`` by SGD at a constant rate, and averages from the epoch that shows no progress.

    ``patience``: averaging begins when the validation loss is above the best of all epochs but the last so many (5 in the papers).
    ``weights``: by default those of DARTS' recurrent evaluation on Penn Treebank.
    Its epochs must be given the validation loss (``fit(..., evaluate=lambda: {"validation": strategy.evaluate()})``). The model holds the
    average once the last epoch is done, or after ``finish``.
    """

    def __init__(
        self,
        model: nn.Module,
        task: Task,
        *,
        patience: Count = 5,
        weights: Callable[[nn.Module], Weights] | None = None,
    ):
        if patience < 1:
            raise InputError(f"patience must be at least 1 epoch; got {patience}")
        constant = partial(Weights, lr=20.0, lr_min=20.0, momentum=0.0, decay=8e-7, clip=0.25)
        super().__init__(model, task, auxiliary=0.0, drop_path=0.0, weights=weights or constant)
        self.patience, self.losses, self.count = patience, list[float](), 0
        self.means: list[Tensor] | None = None

    def step(self, data: Data) -> dict[str, Tensor]:
        """One update, then one of the average where it has begun."""
        measured = super().step(data)
        if self.means is not None:
            self.count += 1
            with torch.no_grad():
                torch._foreach_lerp_(self.means, [p.detach() for p in self.weights.parameters], 1 / self.count)
        return measured

    def epoch(self, done: int, of: int, metrics: dict[str, Any]) -> bool:
        """Set the schedules; begin to average where validation has stopped improving; end with the average. Never asks to stop."""
        if done and self.means is None:
            if "validation" not in metrics:
                raise InputError("averaged SGD begins by the validation loss: give the task a validation split, and fit an evaluate")
            loss = float(metrics["validation"]["loss"])
            if len(self.losses) > self.patience and loss > min(self.losses[: -self.patience]):
                self.means, self.count = [p.detach().clone() for p in self.weights.parameters], 0
            self.losses.append(loss)
        if done >= of:
            self.finish()
        return super().epoch(done, of, metrics)

    def finish(self, data: Data | None = None) -> None:
        """Put the average into the model; nothing where there is none yet."""
        if self.means is not None and self.count:
            with torch.no_grad():
                torch._foreach_copy_(list[Tensor](self.weights.parameters), self.means)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The model holds the average within, its own weights after."""
        own = [p.detach().clone() for p in self.weights.parameters]
        self.finish()
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(list[Tensor](self.weights.parameters), own)

    def evaluate(self, stream: str = "validation") -> dict[str, float]:
        """Loss and metrics of the model, of the average where there is one."""
        with self.averaged():
            return super().evaluate(stream)

    def facts(self) -> dict[str, Any]:
        """What a history line records of this strategy."""
        return {**super().facts(), "averaging": self.means is not None}

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "losses": list(self.losses), "count": self.count, "means": self.means}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.losses, self.count = list(state["losses"]), state["count"]
        self.means = None if state["means"] is None else [m.to(self.task.device) for m in state["means"]]
