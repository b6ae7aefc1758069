"""Training one network: what follows a search. A plain model with its optimiser is a strategy like any other.

The recipe is that of Liu et al. 2019 (DARTS), appendix A.3, https://arxiv.org/abs/1806.09055: auxiliary head, drop path
growing linearly over the epochs, gradient clipping, SGD with a cosine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from torch import Tensor, nn

from supernet.data.streams import Data
from supernet.modules.convolutions import Routes
from supernet.modules.graph import Graph, asked
from supernet.modules.modes import training
from supernet.ops import set_drop_path
from supernet.settings.quantities import Amount, Part
from supernet.strategies.weights import Weights
from supernet.task import Task


class Retrain:
    """Trains ``model`` on the task's train stream.

    ``auxiliary``: the weight of the auxiliary head's loss, for a model that returns (outputs, auxiliary outputs) in
    training; None: what the model returns is the outputs, a tuple too. ``drop_path``: its probability at the end; it grows linearly from 0.
    """

    def __init__(
        self,
        model: nn.Module,
        task: Task,
        *,
        auxiliary: Amount | None = 0.4,
        drop_path: Part = 0.2,
        weights: Callable[[nn.Module], Weights] | None = None,
    ):
        self.model, self.task, self.auxiliary, self.drop_path = model, task, auxiliary, drop_path
        self.weights, self.routes = (weights or partial(Weights, lr_min=0.0))(model).scaled_for(task), Routes(model)
        self.graph = Graph()
        self.done, self.of = 0.0, 1

    def step(self, data: Data) -> dict[str, Tensor]:
        """One update."""
        measured: dict[str, Tensor] = {}

        def losses() -> Iterator[Tensor]:
            for _ in range(self.weights.accumulate):
                batch = data.next("train")
                with self.routes.taken():
                    outputs = self.task.predict(partial(self.graph, self.model, True) if asked() else self.model, batch)
                weight = self.auxiliary if isinstance(outputs, tuple) else None
                outputs, extra = (outputs, None) if weight is None else outputs
                loss = self.task.loss(outputs, batch)
                measured.update(loss=loss.detach(), **self.task.measure(outputs, batch))
                yield loss if weight is None else loss + weight * self.task.loss(extra, batch)

        self.weights.step(losses(), self.task.ranks)
        return measured

    def training(self) -> AbstractContextManager[None]:
        """What is trained is in training mode meanwhile."""
        return training(self.model)

    def steps(self, data: Data) -> int:
        """How many steps make one pass of the training data."""
        return max(data.steps("train") // self.weights.accumulate, 1)

    def epoch(self, done: int, of: int, metrics: dict[str, Any]) -> bool:
        """Before the first epoch and after each: set the schedules. Never asks to stop."""
        self.schedule(done, of)
        return False

    def schedule(self, done: float, of: int) -> None:
        """Set the learning rate and the probability of drop path."""
        self.done, self.of = done, max(of, 1)
        self.weights.epoch(done, of)
        self._set_drop_path()

    def evaluate(self, stream: str = "validation") -> dict[str, float]:
        """Loss and metrics of the model."""
        return self.task.evaluate(self.model, stream)

    def facts(self) -> dict[str, Any]:
        """What a history line records of this strategy."""
        return {"learning_rate": self.weights.lr}

    def state_dict(self) -> dict[str, Any]:
        return {"model": self.model.state_dict(), "weights": self.weights.state_dict(), "done": self.done, "of": self.of}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.weights.load_state_dict(state["weights"])
        self.done, self.of = state["done"], state["of"]
        self._set_drop_path()

    def _set_drop_path(self) -> None:
        set_drop_path(self.model, self.drop_path * self.done / self.of)
