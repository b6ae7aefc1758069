"""One-shot training: one supernet shares its weights among the architectures that are drawn; a searcher picks one afterwards.

Guo et al. 2020 (SPOS), section 3, https://arxiv.org/abs/1904.00420; Li, Talwalkar 2019 (random search with weight
sharing), https://arxiv.org/abs/1902.07638
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from random import Random
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from supernet.data.streams import Data
from supernet.layers.base import Supernet
from supernet.mixture import Mixture
from supernet.searchers.state import random_state, restore_random
from supernet.strategies.base import SupernetStrategy
from supernet.strategies.lessons import Lesson, Lessons, Taught, lessons_of
from supernet.strategies.weights import Weights, over
from supernet.task import Task
from supernet.tree import mapped

Objective = Callable[[Task, Any, Any, Any], Tensor]  # task, outputs, batch, target of the lesson -> loss


def taught(task: Task, outputs: Any, batch: Any, target: Any) -> Tensor:
    """The task's loss where ``target`` is None, else the cross-entropy of logits (B, classes) with the softmax of the target's.

    Hinton et al. 2015, section 2, https://arxiv.org/abs/1503.02531, at a temperature of 1.
    """
    return task.loss(outputs, batch) if target is None else F.cross_entropy(outputs, target.softmax(1))


def taught_by_both(task: Task, outputs: Any, batch: Any, target: Any, distil: float) -> Tensor:
    """The task's loss, and ``distil`` times the cross-entropy of logits (B, classes) with the softmax of the target's."""
    loss = task.loss(outputs, batch)
    return loss if target is None or not distil else loss + distil * F.cross_entropy(outputs, target.softmax(1))


class OneShot(SupernetStrategy):
    """Each step runs the ``lessons`` on one batch, then updates the weights once.

    ``lessons``: made, or by name: see ``supernet.strategies.lessons``. ``objective``: the loss of each; by default ``taught``.
    ``weights``: how the weights are trained, made from the supernet; or settings of ``Weights`` that differ from ``recipe``.
    Raises ``InputError`` for lessons that the supernet's space does not allow.
    """

    needs: ClassVar[Mapping[str, Any]] = {"batch_statistics": True}
    recipe: ClassVar[Mapping[str, Any]] = {"lr": 0.05, "lr_min": 0.0, "decay": 4e-5}

    def __init__(
        self,
        supernet: Supernet,
        task: Task,
        *,
        lessons: Lessons | str = "uniform",
        objective: Objective = taught,
        weights: Callable[[nn.Module], Weights] | Mapping[str, Any] | None = None,
        seed: int = 0,
    ):
        self.supernet, self.task, self.objective = supernet, task, objective
        self.lessons, self.rng, self.progress = lessons_of(lessons, supernet, task), Random(seed), 0.0
        made = weights(supernet) if callable(weights) else self.trainer(supernet, **over(self.recipe, weights))
        self.weights = made.scaled_for(task)

    @property
    def batches(self) -> int:
        """How many batches a step learns from."""
        return self.weights.accumulate

    def step(self, data: Data) -> dict[str, Tensor]:
        """One update; the measured are those of the last lesson."""
        measured: dict[str, Tensor] = {}

        def losses() -> Iterator[Tensor]:
            for _ in range(self.batches):
                batch = data.next("train")
                lessons = self.lessons_on(batch)
                lesson = next(lessons, None)
                while lesson is not None:
                    mixture, target = lesson
                    outputs = self.outputs(mixture, batch, target)
                    loss = self.objective(self.task, outputs, batch, target)
                    measured.update(loss=loss.detach(), **self.task.measure(outputs, batch))
                    yield loss
                    lesson = following(lessons, mapped(detached, outputs))

        self.weights.step(losses(), self.task.ranks)
        return measured

    def lessons_on(self, batch: Any) -> Taught:
        """What a step learns from a batch."""
        return self.lessons(self.supernet.space, self.rng, self.progress)

    def outputs(self, mixture: Mixture, batch: Any, target: Any) -> Any:
        """What the supernet gives under the blend of a lesson that has ``target``."""
        return self.task.predict(partial(self.supernet, mixture), batch)

    def steps(self, data: Data) -> int:
        """How many steps make one pass of the training data."""
        return max(data.steps("train") // self.batches, 1)

    def epoch(self, done: int, of: int, metrics: dict[str, Any]) -> bool:
        """Before the first epoch and after each: set the schedules. Never asks to stop."""
        self.schedule(done, of)
        return False

    def schedule(self, done: float, of: int) -> None:
        """Set the learning rate, and what lessons depend on."""
        self.progress = done / max(of, 1)
        self.weights.epoch(done, of)

    def facts(self) -> dict[str, Any]:
        """What a history line records of this strategy."""
        return {"learning_rate": self.weights.lr}

    def state_dict(self) -> dict[str, Any]:
        rng = random_state(self.rng)
        return {"supernet": self.supernet.state_dict(), "weights": self.weights.state_dict(), "rng": rng, "progress": self.progress}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.supernet.load_state_dict(state["supernet"])
        self.weights.load_state_dict(state["weights"])
        restore_random(self.rng, state["rng"])
        self.progress = state["progress"]


def following(lessons: Taught, outputs: Any) -> Lesson | None:
    """The lesson after one that gave ``outputs``; None where that was the last."""
    try:
        return lessons.send(outputs)
    except StopIteration:
        return None


def detached(value: Any) -> Any:
    """A tensor without its graph; anything else as it is."""
    return value.detach() if isinstance(value, Tensor) else value
