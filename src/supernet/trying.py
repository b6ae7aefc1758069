"""Trying architectures that a searcher asks for: progress, history, the best of them; what a search gives."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import torch

from supernet.costs.objective import Objective
from supernet.costs.passes import Passes, Uncounted
from supernet.decided import Verdict, by_models, by_trials, named
from supernet.explore.executor import Estimate
from supernet.explore.exploration import Exploration
from supernet.explore.loop import explore
from supernet.explore.trial import Trial, front
from supernet.explore.workers import ALONE, Along, Crew, nothing
from supernet.files.records import check_trials
from supernet.layers.base import Supernet
from supernet.metrics import LOSS, Score
from supernet.progress import Progress, within
from supernet.run import Run
from supernet.searchers import Searcher
from supernet.searchers.trust import models
from supernet.space import Architecture, SearchSpace
from supernet.stopping import Interrupted, interruptible
from supernet.task import Task
from supernet.train import History

CHEAP = 0.05  # seconds of a trial that may be made again after a loss of power
Costs = Callable[[Architecture], Mapping[str, float]]


@dataclass
class Found:
    """What a search gives: the architecture, its scores on the validation data, and the supernet that counts in the end, with its task.

    ``costs``: what the architecture costs, by name, where there were limits. ``built``: the settings of that supernet; ``baseline``:
    random search of equal cost. Both where a command asked for them. ``network``: the derived network whose weights the run holds.
    ``data``: what its inputs and outputs are, where a command knows.
    ``finals``: how many of the best were "trained" in the end, "from" what, and the "place" that what won had among them; empty: none.
    ``multiply_adds``: of the passes of the search, where they were counted. ``limits``: by cost, its ``bound`` and whether it ``holds``.
    """

    architecture: Architecture
    scores: dict[str, float]
    supernet: Supernet | None = None
    history: History = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    baseline: dict[str, Any] = field(default_factory=dict)
    built: dict[str, Any] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)
    limits: dict[str, dict[str, Any]] = field(default_factory=dict)
    decided: dict[str, Verdict] = field(default_factory=dict)
    network: torch.nn.Module | None = None
    finals: dict[str, Any] = field(default_factory=dict)
    multiply_adds: int = 0
    data: dict[str, Any] = field(default_factory=dict)
    task: Task | None = None

    @property
    def front(self) -> list[Trial]:
        """Of the trials, those that no other beats in all that the objective asks for; the best first."""
        return front(self.trials)

    @property
    def holds(self) -> bool:
        """Whether every bound holds of the architecture."""
        return all(entry["holds"] for entry in self.limits.values())


def try_architectures(
    space: SearchSpace,
    searcher: Searcher,
    estimate: Estimate,
    budget: int,
    objective: Objective,
    run: Run | None = None,
    *,
    costs: Costs | None = None,
    what: str = "trying",
    passes: Passes | None = None,
    shares: Sequence[float] = (),
    crew: Crew = ALONE,
    along: Along = nothing,
) -> list[Trial]:
    """``explore`` with progress and history: the scored trials, best first. Those in the history of ``run`` are not made again.

    ``searcher`` must be at its start. ``shares``: of ``Exploration``. ``passes``: counts what the estimates compute, those of the history
    too. ``crew``: who makes the estimates; ``along``: what a worker is sent with an architecture.
    """
    passes = passes or Uncounted()
    past = run.trials() if run else []
    if run:
        check_trials(past, run.folder / "history.jsonl")
    passes.total += sum(line.get("multiply_adds", 0) for line in past)
    counted = passes.total
    estimates = [line.get("fidelity", 1.0) for line in past if line["scores"] is not None or line["outcome"] == "failed"]
    estimated, spent = itertools.count(1 + len(estimates)), int(sum(estimates))
    progress = Progress(what, budget, spent, unit="trials")

    @wraps(estimate, updated=())
    def numbered(architecture: Architecture, *fidelity: float) -> Mapping[str, float]:
        number = next(estimated)
        with within(f"{what}, trial {number}{f' of {budget}' if number <= budget else ''}"), passes.counting():
            return estimate(architecture, *fidelity)

    def after(exploration: Exploration) -> None:
        nonlocal spent
        best = exploration.leader
        while spent < int(exploration.spent):
            spent += 1
            progress.advance(**({"best": f"{best.score[0]:.4g}"} if progress.due and best and best.score else {}))
        if asked:
            raise Interrupted("stopped; everything is saved: go on with --resume" if run else "stopped")

    def record(trial: Trial) -> None:
        nonlocal counted
        if run:
            run.append({**trial.line(), **passes.since(counted)}, again=trial.seconds < CHEAP)
        counted = passes.total

    try:
        folder = run.folder if run else None
        with interruptible() as asked, crew.making(estimate, passes, along, folder, what) as executor:
            how: dict[str, Any] = {"record": record, "past": past, "progress": after, "shares": shares, "executor": executor}
            return explore(space, searcher, numbered, budget, objective, costs=costs, **how)
    finally:
        progress.close()


def best_of(trials: list[Trial], space: SearchSpace, objective: Objective, searcher: Searcher, task: Task | None = None) -> Found:
    """What ``try_architectures`` found: the first of the scored ``trials``, and what was decided: by them, and by the searcher."""
    best = trials[0]
    decided = among(trials, objective, task) | named("model", by_models(models(searcher.state_dict())))
    return Found(space.matters(best.architecture), dict(best.scores or {}), trials=trials, decided=decided)


def among(trials: Sequence[Trial], objective: Objective, task: Task | None = None, what: str = "trials") -> dict[str, Verdict]:
    """Whether the best of the scored ``trials`` can be told from most; shares of right answers by the examples that ``task`` evaluates.

    ``what``: the name of the verdict.
    """
    alike = [trial for trial in trials if trial.fidelity == trials[0].fidelity]  # the largest: the best come first
    scores, examples = [trial.score[0] for trial in alike if trial.score], None
    if task and task.judged.counted and (*objective.maximise, *objective.minimise)[0] in (task.judged.name, LOSS.name):
        scores, examples = [trial.scores[task.judged.name] for trial in alike if trial.scores], task.examples()
    return named(what, by_trials(scores, examples, what))


def default_objective(task: Task) -> Objective:
    """The task's first metric, else its loss, in the direction that is better."""
    return objective_of(task.judged)


def objective_of(score: Score) -> Objective:
    """A single score, in the direction that is better."""
    return Objective(maximise=(score.name,)) if score.larger else Objective(maximise=(), minimise=(score.name,))
