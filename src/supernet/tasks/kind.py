"""What every kind of task says of itself, beyond being a ``Task``: what commands ask, before and after its data is read."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from supernet.data import KnownSet
from supernet.errors import unknown
from supernet.metrics import Metric, Score
from supernet.ranks import here
from supernet.run import Run
from supernet.settings.given import Settings
from supernet.settings.sections import Machine
from supernet.strategies.retrain import Retrain
from supernet.task import Task


@dataclass(frozen=True)
class Companion:
    """A plain network that is trained like one that was found, to stand beside it.

    ``settings``: those it is built with; ``said``: of them, what the result says. ``params``, ``macs``: its costs.
    """

    name: str
    settings: Settings
    said: Settings
    build: Callable[[], nn.Module]
    params: int
    macs: Callable[[nn.Module], int]


class Kind(Task, ABC):
    """A task that commands know by ``name``.

    ``sets``: the data sets that it knows by name. ``reads``: the settings of the section ``data`` that it takes. ``recipe``: by command
    and section, the settings of a space that has none of its own. ``scored``: its metrics; by the first a run is judged.
    ``trainer``: what trains an evaluation network, and ``short``: its settings in a short training. ``dimension``: of what a network is
    fed, where examples are counted. ``unpriced``: why costs choose nothing among its networks; empty: they do. ``alike``: whether its
    batches of training have one shape, but for the last of a pass. ``meant``: what of ``about`` is said of a delivered network.
    Of the data that was read: ``sizes``: what networks for it are built with. ``about``: what outputs stand for. ``preprocessing``: how
    an input is made. ``decided``: settings of ``data`` that follow from it. ``counts``: examples by split. ``before_training``: what
    whoever trains on it should know.
    """

    name: ClassVar[str]
    sets: ClassVar[Mapping[str, KnownSet]]
    reads: ClassVar[tuple[str, ...]]
    recipe: ClassVar[Mapping[str, Settings]]
    scored: ClassVar[Mapping[str, Metric]]
    trainer: ClassVar[type[Retrain]] = Retrain
    short: ClassVar[Settings] = {"drop_path": 0.0}
    dimension: ClassVar[int] = 0
    meant: ClassVar[tuple[str, ...]] = ("classes",)
    unpriced: ClassVar[str] = ""
    alike: ClassVar[bool] = True

    sizes: Settings
    about: Settings
    preprocessing: Settings
    decided: Settings
    counts: dict[str, int]
    before_training: Sequence[str] = ()

    @classmethod
    @abstractmethod
    def read(cls, data: Settings, machine: Machine, testing: bool = False) -> Kind:
        """The task of the settings that it ``reads``; only a retraining gets the test split (``testing``)."""

    @classmethod
    def drawn(cls, sizes: Mapping[str, Any], examples: int, data: Mapping[str, Any] | None = None) -> Tensor:
        """What a network of these sizes is fed, so many examples, always the same; ``data``: the section of the settings, where known."""
        return torch.randn(examples, *sizes["shape"], generator=torch.Generator().manual_seed(0))

    @classmethod
    def main(cls, scores: Mapping[str, float]) -> float | None:
        """The score that a run is judged by: the first metric, or a table's score; None where it was not measured."""
        return next((scores[name] for name in (cls.judged_by().name, "validation") if name in scores), None)

    @classmethod
    def judged_by(cls) -> Score:
        """What is known of that score."""
        return next(metric.score(name) for name, metric in cls.scored.items())

    @classmethod
    def evaluated(cls, data: Settings, batch_size: int | None) -> Settings:
        """The section ``data`` of an evaluation; ``batch_size`` None: 256. Raises ``InputError`` where it would have no effect."""
        return {**data, "batch_size": batch_size or 256}

    def paced(self, strategy: Any) -> Any:
        """A strategy, its steps adapted to the batches where that is part of the task."""
        return strategy

    def forget(self, start: dict[str, Any]) -> None:
        """Leave nothing in the streams of the network that was trained before; ``start``: their state at the beginning."""

    def keep(self, run: Run) -> None:
        """Write into a run what its outputs cannot be read without."""

    @classmethod
    def kept(cls, folder: Path) -> Settings:
        """What was written so into the run of a folder, for the description of a delivered network."""
        return {}

    def check_kept(self, folder: Path) -> None:
        """Raise ``InputError`` where a run's network was trained on data that this is not like."""

    def beside(self, described: Mapping[str, Any]) -> Sequence[Companion]:
        """The plain networks that a retrained one is compared with; ``described``: what ``describe`` says of it."""
        return ()


def arguments(machine: Machine) -> Settings:
    """The arguments of a task that are of the machine, its ranks and the seed."""
    ranks = here(machine.batch_norms == "synchronised")
    return {"seed": machine.seed, "device": ranks.device(machine.device), "autocast": dtype_of(machine.autocast), "ranks": ranks}


def dtype_of(name: str | None) -> torch.dtype | None:
    """The dtype of mixed precision; raises ``InputError`` for another name."""
    able = {"bfloat16": torch.bfloat16, "float16": torch.float16}
    if name is None:
        return None
    if name not in able:
        raise unknown("autocast", name, able)
    return able[name]


def say(notes: Sequence[str]) -> None:
    """What was done with the data, for whoever runs a command."""
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
