"""What watches a command's supernet while it trains: the collapse alarm, and a benchmark table as judge."""

from __future__ import annotations

import sys
from typing import Any

from supernet.errors import InputError
from supernet.estimators.tabular import Table
from supernet.layers.base import Supernet
from supernet.run import Run
from supernet.search import Watch
from supernet.settings.given import Settings
from supernet.space import SearchSpace
from supernet.spaces import space as space_named
from supernet.strategies import STRATEGIES
from supernet.watch.alarm import Alarm, can_skip
from supernet.watch.judge import Judge

COLUMNS = ("search", "report", "dataset")


def watcher(settings: Settings, run: Run, supernet: Supernet) -> Watch:
    """What is to be called at the end of every epoch: the present genotype, the alarm, whose warnings it prints, the judge."""
    space = space_named(settings["space"])
    alarm = alarm_of(settings, run) if STRATEGIES[settings["method"]].load(settings["space"]).decides and can_skip(supernet) else None
    judge, every = judge_of(settings, supernet.space), settings["judge"]["every"]
    epochs: list[int] = []  # the last one

    def watch(strategy: Any, line: dict[str, Any]) -> dict[str, Any]:
        epochs[:] = [epochs[0] + 1 if epochs else 1 + sum("epoch" in past for past in run.history())]
        found: dict[str, Any] = {}
        derived = strategy.architecture() if strategy.decides else None
        if derived is not None:
            found["genotype"] = space.notation(strategy.supernet.space.matters(derived))
        if alarm and (record := alarm.observe(strategy, line)):
            found["alarm"] = record
            for warning in record.get("warnings", ()):
                print(f"warning: epoch {epochs[0]}: {warning}", file=sys.stderr)  # above the bar, where there is one
        if judge and (epochs[0] - 1) % every == 0:
            found["judge"] = judge.score(strategy.supernet, strategy.task, derived)
        return found

    return watch


def alarm_of(settings: Settings, run: Run | None = None) -> Alarm | None:
    """The alarm of a command's settings; None where ``alarm.every`` is 0. Raises ``InputError`` for settings that are wrong."""
    given = settings["alarm"]
    return Alarm(**given, past=run.history if run else list) if given["every"] else None


def judge_of(settings: Settings, space: SearchSpace) -> Judge | None:
    """The judge of a command's settings; None where no table is given. Raises ``InputError`` where it does not fit."""
    given, method = settings["judge"], settings["method"]
    if not given["file"]:
        return None
    if method not in STRATEGIES:
        raise InputError(f"--judge scores a supernet while it trains, and {method} trains none; to search on a table give --table")
    if not given["samples"] and not STRATEGIES[method].load(settings["space"]).decides:
        raise InputError(f"{method} has no architecture of its own to be judged while it trains: judge.samples must be above 0")
    try:
        table = Table.read(given["file"], space=space, **{k: given[k] for k in COLUMNS if given[k] is not None})
    except InputError as error:
        raise InputError(f"--judge {given['file']}: {error}") from error
    sizes = {k: given[k] for k in ("samples", "batches", "calibration")}
    return Judge(table, space, seed=settings["seed"], **sizes)
