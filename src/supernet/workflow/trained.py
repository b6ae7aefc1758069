"""The supernet of a finished search, as its training left it, and the scores that are kept beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supernet.errors import InputError, RunError
from supernet.files.whole import write_whole
from supernet.layers.base import Supernet
from supernet.plan.search import SearchPlan
from supernet.run import CHECKPOINT, held, read_checkpoint
from supernet.settings.given import Settings
from supernet.tasks.kind import Kind
from supernet.train import load_strategy


@dataclass(frozen=True)
class TrainedRun:
    """A run whose search trained ``supernet`` on ``task``; ``built``: the settings of that supernet.

    ``calibration``: training batches on which batch norms are recalibrated for each architecture; ``examples``: of how many validation
    examples scores are that are compared, None: all. ``kept``: the file of scores.
    """

    folder: Path
    plan: SearchPlan
    supernet: Supernet
    task: Kind
    built: Settings
    calibration: int
    examples: int | None

    @property
    def kept(self) -> Path:
        """The file with what was scored by this supernet."""
        return self.folder / "scores.jsonl"

    def write_json(self, name: str, content: Any) -> None:
        """Write plain data into the folder; raises ``RunError``."""
        try:
            write_whole(self.folder / name, json.dumps(content, indent=2) + "\n")
        except OSError as error:
            raise RunError(f"{self.folder / name} cannot be written: {error.strerror or error}") from error


@contextmanager
def trained_run(folder: Path, plan: SearchPlan) -> Iterator[TrainedRun]:
    """The supernet of the run in ``folder``, which was planned as ``plan``; nobody else writes the folder meanwhile.

    Raises ``InputError`` where the search trained no supernet, is not finished, or its checkpoint is damaged.
    """
    way = plan.over_supernet
    if not (folder / CHECKPOINT).exists():
        raise InputError(f"{folder} has no {CHECKPOINT}, so no trained supernet: the run is not finished, or parts of it were removed")
    lock = held(folder)
    try:
        state = read_checkpoint(folder / CHECKPOINT, way.task.device)
        if not state.get("finished"):
            raise InputError(f"the search in {folder} is not finished: go on with --resume")
        way.task.check_kept(folder)
        supernet = way.build()
        way.task.place(supernet)
        strategy = way.strategy(supernet, way.task)
        load_strategy(strategy, state, folder)
        yield TrainedRun(folder, plan, strategy.supernet, way.task, {**way.sizes, **strategy.built}, way.calibration, way.examples)
    finally:
        lock.release()
