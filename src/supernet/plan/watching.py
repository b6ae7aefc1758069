"""What watches a command's supernet while it trains: the collapse alarm, and a benchmark table as judge."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from supernet.errors import InputError
from supernet.estimators.tabular import Table
from supernet.layers.base import Supernet
from supernet.run import Run
from supernet.search import Watch
from supernet.settings.sections import AlarmSettings, JudgeSettings
from supernet.space import SearchSpace
from supernet.spaces.record import Space
from supernet.strategies.base import SupernetStrategy
from supernet.watch.alarm import Alarm, can_skip
from supernet.watch.judge import Judge


@dataclass(frozen=True)
class Watching:
    """What looks on: the alarm where the method ``decides``, and a judge every so many epochs and after the last, where there is one."""

    space: Space
    decides: bool
    alarm: AlarmSettings
    judge: Judge | None
    every: int

    def over(self, run: Run, supernet: Supernet, last: int) -> Watch:
        """What is called at the end of every epoch: the present genotype, the alarm, whose warnings it prints, the judge.

        ``last``: the number of the last epoch, where no rule ends the search before.
        """
        watched = self.alarm.every and self.decides and can_skip(supernet)
        alarm = Alarm(**self.alarm.model_dump(), past=run.history) if watched else None
        epochs: list[int] = []  # the last one

        def watch(strategy: Any, line: dict[str, Any]) -> dict[str, Any]:
            epochs[:] = [epochs[0] + 1 if epochs else 1 + sum("epoch" in past for past in run.history())]
            found: dict[str, Any] = {}
            derived = strategy.architecture() if strategy.decides else None
            if derived is not None:
                found["genotype"] = self.space.notation(strategy.supernet.space.matters(derived))
            if alarm and (record := alarm.observe(strategy, line)):
                found["alarm"] = record
                for warning in record.get("warnings", ()):
                    print(f"warning: epoch {epochs[0]}: {warning}", file=sys.stderr)  # above the bar, where there is one
            if self.judge and ((epochs[0] - 1) % self.every == 0 or epochs[0] == last):
                found["judge"] = self.judge.score(strategy.supernet, strategy.task, derived)
            return found

        return watch


def judge_of(given: JudgeSettings, method: type[SupernetStrategy], name: str, space: SearchSpace, seed: int) -> Judge:
    """The judge of a search by a method of that ``name``, from the table in a file; raises ``InputError`` where it does not fit."""
    if not given.samples and not method.decides:
        raise InputError(f"{name} has no architecture of its own to be judged while it trains: judge.samples must be above 0")
    try:
        table = Table.read(str(given.file), space=space, **given.model_dump(include={"search", "report", "dataset"}, exclude_none=True))
    except InputError as error:
        raise InputError(f"--judge {given.file}: {error}") from error
    return Judge(table, space, seed=seed, **given.model_dump(include={"samples", "batches", "calibration"}))
