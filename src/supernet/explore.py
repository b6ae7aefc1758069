"""The loop of every search that asks for architectures and is told what they are worth: bounded, no architecture twice."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

from supernet.errors import InputError, RunError
from supernet.searchers import Exhausted, Outcome, Searcher
from supernet.searchers.state import from_plain, plain
from supernet.space import Architecture, SearchSpace

if TYPE_CHECKING:
    from supernet.costs.objective import Objective

Metrics = Mapping[str, float]


@dataclass(frozen=True)
class Trial:
    """One architecture that was tried.

    scores: what the estimate gave; None where it was not run or failed. costs: what was known before.
    score: what the searcher was told, to be maximised; None unless ``outcome`` is "scored".
    seconds: how long costs and estimate took.
    """

    number: int
    architecture: Architecture
    outcome: Literal["scored", "infeasible", "failed"]
    scores: dict[str, float] | None
    costs: dict[str, float]
    score: tuple[float, ...] | None
    seconds: float

    @property
    def metrics(self) -> dict[str, float]:
        """Costs and scores together."""
        return {**self.costs, **(self.scores or {})}

    def line(self) -> dict[str, Any]:
        """The trial as a line of a run's history; what depends on the clock is under ``measured``."""
        line: dict[str, Any] = {"trial": self.number, "architecture": plain(self.architecture)}
        line |= {"scores": self.scores, "outcome": self.outcome}
        return line | ({"costs": self.costs} if self.costs else {}) | {"measured": {"seconds": self.seconds}}


class Exploration:
    """A search that can be left at any step, and taken up by the lines of its trials.

    estimate: architecture -> metrics; costs: architecture -> metrics that are cheap to know, asked before the estimate.
    budget: how many estimates are run. patience: how many asks may go by without one.
    ``trials`` holds each distinct architecture once, in the order in which they were tried; ``stopped`` says why there is no next step:
    "budget", "exhausted" (the searcher has nothing left) or "patience" (it only repeats itself).
    """

    def __init__(
        self,
        space: SearchSpace,
        searcher: Searcher,
        estimate: Callable[[Architecture], Metrics],
        budget: int,
        objective: Objective,
        *,
        costs: Callable[[Architecture], Metrics] | None = None,
        patience: int = 2000,
    ) -> None:
        if budget < 1 or patience < 1:
            raise InputError(f"budget and patience must be at least 1, not {budget} and {patience}")
        self.space, self.searcher, self.estimate, self.costs = space, searcher, estimate, costs
        self.budget, self.objective, self.patience = budget, objective, patience
        self.trials: list[Trial] = []
        self.leader: Trial | None = None  # the best scored; the first of several
        self.evaluations = 0  # estimates run
        self._seen: dict[str, Trial] = {}  # by the space's key
        self._pending: tuple[int, Architecture] | None = None  # asked for, not told yet
        self._idle = 0  # asks since the last estimate
        self._exhausted = False

    @property
    def stopped(self) -> str | None:
        """Why there is no next step; None while there is one."""
        if self.evaluations >= self.budget:
            return "budget"
        if self._exhausted:
            return "exhausted"
        return "patience" if self._idle >= self.patience else None

    def step(self) -> Trial | None:
        """Ask, try, tell: the new trial, or None where the architecture was known already and its outcome was told again."""
        return self._turn(self._try)

    def replay(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Go on after the trials that gave ``lines``: the searcher asks again for each and is told what became of it then.

        Raises ``InputError`` where it asks for anything else.
        """
        for line in lines:
            past = self._from_line(line)

            def again(architecture: Architecture, past: Trial = past) -> Trial:
                if (past.number, past.architecture) != (len(self.trials) + 1, architecture):
                    wanted = f"trial {len(self.trials) + 1} is not the one that this search makes"
                    raise InputError(f"the history is of another search: {wanted}; go on with the same space, searcher, seed and bounds")
                return past

            made = None
            while made is None:
                if self.stopped:
                    raise InputError(f"the history is of another search: this one ends ({self.stopped}) after {len(self.trials)} trials")
                made = self._turn(again)

    def best(self) -> list[Trial]:
        """The scored trials, best first; equal ones in the order in which they were tried."""
        return sorted((t for t in self.trials if t.score is not None), key=lambda t: t.score or (), reverse=True)

    def _turn(self, attempt: Callable[[Architecture], Trial]) -> Trial | None:
        """One step, in which ``attempt`` makes the trial of an architecture that was not met before."""
        if self._pending is None:
            try:
                self._pending = self.searcher.ask()
            except Exhausted:
                self._exhausted = True
                return None
        number, architecture = self._pending
        known = self._seen.get(self.space.key(architecture))
        trial = known or attempt(architecture)
        bad: Outcome = "failed" if trial.outcome == "failed" else "infeasible"
        self.searcher.tell(number, architecture, bad if trial.score is None else trial.score)
        self._pending = None
        self._idle += 1
        if known is None:
            self._remember(trial)
        return None if known else trial

    def _try(self, architecture: Architecture) -> Trial:
        """Costs, limits, estimate, limits again (they may be on what the estimate gives)."""
        number, start = len(self.trials) + 1, perf_counter()
        costs = dict(self.costs(architecture)) if self.costs else {}
        if not self.objective.feasible(costs):
            return Trial(number, architecture, "infeasible", None, costs, None, perf_counter() - start)
        scores = self._estimate(architecture)
        seconds = perf_counter() - start
        if scores is None:
            return Trial(number, architecture, "failed", None, costs, None, seconds)
        metrics = {**costs, **scores}
        score = self.objective.score(metrics)
        if not self.objective.feasible(metrics):
            return Trial(number, architecture, "infeasible", scores, costs, None, seconds)
        return Trial(number, architecture, "scored", scores, costs, score, seconds)

    def _estimate(self, architecture: Architecture) -> dict[str, float] | None:
        """What the estimate gives; None where that is not finite."""
        try:
            scores = {name: float(value) for name, value in self.estimate(architecture).items()}
        except FloatingPointError:
            return None
        return scores if all(map(math.isfinite, scores.values())) else None

    def _remember(self, trial: Trial) -> None:
        self.trials.append(trial)
        self._seen[self.space.key(trial.architecture)] = trial
        if trial.scores is not None or trial.outcome == "failed":
            self.evaluations += 1
            self._idle = 0
        if trial.score is not None and (self.leader is None or self.leader.score is None or trial.score > self.leader.score):
            self.leader = trial

    def _from_line(self, line: Mapping[str, Any]) -> Trial:
        """The trial that gave ``line``."""
        scores, outcome = line["scores"], line["outcome"]
        costs = {name: math.nan if cost is None else cost for name, cost in line.get("costs", {}).items()}  # JSON has no NaN
        score = self.objective.score({**costs, **scores}) if outcome == "scored" else None
        return Trial(line["trial"], from_plain(line["architecture"]), outcome, scores, costs, score, line["measured"]["seconds"])


def explore(
    space: SearchSpace,
    searcher: Searcher,
    estimate: Callable[[Architecture], Metrics],
    budget: int,
    objective: Objective,
    *,
    costs: Callable[[Architecture], Metrics] | None = None,
    record: Callable[[Trial], None] | None = None,
    past: Iterable[Mapping[str, Any]] = (),
    progress: Callable[[Exploration], None] | None = None,
    patience: int = 2000,
) -> list[Trial]:
    """Run up to ``budget`` estimates of distinct architectures and return the scored trials, best first.

    An architecture met again is answered from memory. One that breaks a limit by its ``costs`` is told "infeasible" and never estimated;
    one whose estimate is not finite or raises ``FloatingPointError`` is told "failed" and counts as an estimate.

    record: called with each new trial, whose ``line()`` is to be kept. progress: called after that, with the exploration. past: the
    lines of a search that was left; with a searcher at its start it then makes the same trials as if it had not been left.
    Raises ``RunError`` where nothing feasible is found or every estimate failed.
    """
    exploration = Exploration(space, searcher, estimate, budget, objective, costs=costs, patience=patience)
    exploration.replay(past)
    while exploration.stopped is None:
        trial = exploration.step()
        if trial is None:
            continue
        if record:
            record(trial)
        if progress:
            progress(exploration)
    best, tried = exploration.best(), exploration.trials
    if not best:
        if tried and all(t.outcome == "failed" for t in tried):
            raise RunError(f"all {len(tried)} architectures tried failed: their estimates were not finite")
        raise RunError(objective.unmet([t.metrics for t in tried if t.outcome == "infeasible"]))
    return best
