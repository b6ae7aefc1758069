"""A supernet that is trained, with the task that it was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from supernet.errors import InputError
from supernet.layers.base import Supernet
from supernet.task import Task


class Trained(Protocol):
    """What has a trained supernet and its task: what ``search`` found, a strategy, or a ``TrainedSupernet``."""

    @property
    def supernet(self) -> Supernet | None: ...

    @property
    def task(self) -> Task | None: ...


@dataclass(frozen=True)
class TrainedSupernet:
    """A supernet that was trained by hand, and the task whose data scores it."""

    supernet: Supernet
    task: Task


def comparing(trained: Trained) -> tuple[Supernet, Task]:
    """The supernet and its task; raises ``InputError`` where there is no supernet, or no validation data to compare architectures on."""
    if trained.supernet is None or trained.task is None:
        raise InputError("this search trained no supernet: give what a search by a method such as one-shot found")
    if not trained.task.data.has("validation"):
        raise InputError("architectures are compared on validation data, and the task has none: give Task a validation loader")
    return trained.supernet, trained.task
