"""A search that asks for architectures and is told what they are worth, a step at a time: bounded, no architecture twice."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Literal

from supernet.costs.objective import Objective
from supernet.errors import InputError
from supernet.explore.executor import LOST, TRAINED, Estimate, Executor, Handle, InProcess, Metrics
from supernet.explore.trial import Trial, front, ranked
from supernet.searchers import Exhausted, Outcome, Searcher, share_of
from supernet.space import Architecture, SearchSpace

OTHER = "the history is of another search"
ROUNDING = 1e-9  # of a sum of fidelities


@dataclass
class Pending:
    """What was asked for and not told yet. asked: which ask it was; numbers: the searcher's, of all asks for it; began: clock, seconds."""

    architecture: Architecture
    fidelity: float
    asked: int
    numbers: list[int]
    began: float
    costs: dict[str, float] = field(default_factory=dict)
    handle: Handle | None = None


class Exploration:
    """A search that can be left at any step, and taken up by the lines of its trials.

    estimate: (architecture, fidelity) -> metrics; costs: architecture -> metrics that are cheap to know, asked before the estimate.
    budget: how many whole estimates are run, or the more of smaller fidelity; one that began is finished. patience: how many asks
    may go by without one, or as many as were run where these are more. shares: the smaller shares of an estimate that there are,
    ascending; what is asked for between two is estimated at the lower, and below all at the lowest, which is its fidelity; without any,
    every share is estimated as it is asked for. executor: makes of ``estimate`` what runs it; it may hold many at a time, and finish them
    in any order.
    ``trials`` holds each distinct architecture once (once for each fidelity), in the order in which the searcher was told; ``stopped``
    says why there is no next step: "budget", "exhausted" (the searcher has nothing left) or "patience" (it only repeats itself).
    """

    def __init__(
        self,
        space: SearchSpace,
        searcher: Searcher,
        estimate: Estimate,
        budget: int,
        objective: Objective,
        *,
        costs: Callable[[Architecture], Metrics] | None = None,
        patience: int = 2000,
        shares: Sequence[float] = (),
        executor: Callable[[Estimate], Executor] = InProcess,
    ) -> None:
        if budget < 1 or patience < 1:
            raise InputError(f"budget and patience must be at least 1, not {budget} and {patience}")
        self.space, self.searcher, self.costs, self.executor = space, searcher, costs, executor(estimate)
        self.budget, self.objective, self.patience, self.shares = budget, objective, patience, shares
        self.trials: list[Trial] = []
        self.leader: Trial | None = None  # the best scored, see ``best``; the first of several
        self.evaluations = 0  # estimates run
        self.spent = 0.0  # their fidelities together
        self.asked = 0
        self._seen: dict[tuple[str, float], Trial] = {}  # by the space's key and the fidelity
        self._pending: dict[tuple[str, float], Pending] = {}  # in the order in which they were asked for
        self._idle = 0  # asks since the last estimate
        self._exhausted = False
        self._known = 0  # how many of the trials were forgotten
        self._forgotten: list[int] = []  # after which asks, since the last trial

    @property
    def pending(self) -> int:
        """How many estimates are not finished."""
        return len(self._pending)

    @property
    def stopped(self) -> str | None:
        """Why there is no next step; None while there is one."""
        return None if self._pending else self._ended

    def step(self) -> Trial | None:
        """Ask, try, tell: a new trial, or None where there is none yet.

        There is none where the architecture was known already and its outcome was told again, and where others are estimated at the
        same time: a step then asks for one more while the executor has room, and else waits until any is finished.
        """
        trial = self._begin()
        if trial is None and self._open:
            self._ask()
            trial = self._begin()
        if trial is not None or self._open or not self._pending:
            return trial
        return self._finish()

    def replay(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Go on after the trials that gave ``lines``: the searcher asks again for each and is told what became of it then.

        It is asked and told in the same order as then, however many estimates were run at a time. Raises ``InputError`` where it asks
        for anything else.
        """
        for line in lines:
            past = Trial.of_line(line, self.objective)
            for forgotten in past.forgotten:
                self._ask_until(forgotten)
                if self._pending:
                    raise self._another()
                self.forget()
            self._ask_until(past.asked)
            wanted = self._pending.get((self.space.key(past.architecture), past.wanted or past.fidelity))
            if not wanted or (past.number, past.architecture) != (len(self.trials) + 1, wanted.architecture):
                raise self._another()
            self._tell(wanted, past)

    def forget(self) -> None:
        """Take what is known for no longer true, as where the weights that scored it have moved.

        An architecture that is met again is then estimated again, and ``best``, ``leader`` and ``front`` are of what comes from now on.
        ``trials`` stay. What the searcher remembers is its own affair. Raises ``InputError`` while estimates are running.
        """
        if self._pending:
            raise InputError(f"{self.pending} estimates are running, of what is to be forgotten or not: step on until none is pending")
        self._seen.clear()
        self.leader, self._known = None, len(self.trials)
        self._forgotten.append(self.asked)

    def best(self) -> list[Trial]:
        """The scored trials, best first: see ``ranked``."""
        return ranked(self.trials[self._known :])

    def front(self) -> list[Trial]:
        """The trials that no other beats in all that the objective asks for."""
        return front(self.trials[self._known :])

    @property
    def _ended(self) -> str | None:
        """Why nothing is asked for, be there others pending or not."""
        if self.spent + sum(pending.fidelity for pending in self._pending.values()) >= self.budget - ROUNDING:
            return "budget"
        if self._exhausted:
            return "exhausted"
        return "patience" if self._idle >= max(self.patience, self.evaluations) else None

    @property
    def _open(self) -> bool:
        """Whether the searcher is to be asked now."""
        return len(self._pending) < self.executor.workers and self._ended is None

    def _ask(self) -> None:
        """Ask once; what is known is told at once."""
        try:
            asked = self.searcher.ask()
        except Exhausted:  # until it is told more
            self._exhausted = True
            return
        number, architecture, fidelity = asked[0], asked[1], share_of(asked)
        if not 0 < fidelity <= 1:
            raise InputError(f"a searcher asks for a share of an estimate, above 0 and at most 1, not {fidelity}")
        if self.shares:
            fidelity = max((share for share in (*self.shares, 1.0) if share <= fidelity + ROUNDING), default=self.shares[0])
        self.asked, self._idle = self.asked + 1, self._idle + 1
        key = (self.space.key(architecture), fidelity)
        if key in self._seen:
            self.searcher.tell(number, architecture, _outcome(self._seen[key]))
        elif key in self._pending:
            self._pending[key].numbers.append(number)
        else:
            self._pending[key] = Pending(architecture, fidelity, self.asked, [number], perf_counter())

    def _ask_until(self, asked: int | None) -> None:
        """Ask until so many were asked for; None: until one is new. Raises ``InputError`` where the search ends before."""
        while self.asked < asked if asked is not None else not self._pending:
            if ended := self._ended:
                raise InputError(f"{OTHER}: this one ends ({ended}) after {len(self.trials)} trials")
            self._ask()

    def _begin(self) -> Trial | None:
        """Begin the estimates that wait for it; the trial where one is beyond the limits by its costs."""
        for pending in list(self._pending.values())[: self.executor.workers]:
            if pending.handle is None:
                pending.costs = dict(self.costs(pending.architecture)) if self.costs else {}
                if not self.objective.feasible(pending.costs):
                    return self._tell(pending, self._trial(pending, "infeasible", None))
                pending.handle = self.executor.submit(pending.architecture, pending.fidelity)
        return None

    def _finish(self) -> Trial:
        """Wait for an estimate; limits once more, since they may be on what the estimate gives."""
        running = {id(pending.handle): pending for pending in self._pending.values() if pending.handle is not None}
        handle = self.executor.wait([pending.handle for pending in running.values() if pending.handle is not None])
        pending = running[id(handle)]
        scores = _finite(handle)
        if scores is None:
            return self._tell(pending, self._trial(pending, "failed", None))
        share, lost = scores.pop(TRAINED, 1.0), int(scores.pop(LOST, 0))
        metrics = {**pending.costs, **scores}
        score = self.objective.score(metrics)
        if not self.objective.feasible(metrics):
            return self._tell(pending, self._trial(pending, "infeasible", scores, share=share, lost=lost))
        return self._tell(pending, self._trial(pending, "scored", scores, score, share, lost))

    def _trial(
        self,
        pending: Pending,
        outcome: Literal["scored", "infeasible", "failed"],
        scores: dict[str, float] | None,
        score: tuple[float, ...] | None = None,
        share: float = 1.0,
        lost: int = 0,
    ) -> Trial:
        """What became of what was pending; ``share``: how much of what was asked for was spent; ``lost``: workers that were lost."""
        at_once = len(self._pending) == 1 and pending.asked == self.asked
        wanted = pending.fidelity if share < 1 else None
        place = (pending.fidelity * share, None if at_once else self.asked, tuple(self._forgotten), wanted)
        number, seconds = len(self.trials) + 1, perf_counter() - pending.began
        return Trial(number, pending.architecture, outcome, scores, pending.costs, score, seconds, *place, lost)

    def _tell(self, pending: Pending, trial: Trial) -> Trial:
        """Tell the searcher, and remember."""
        key = (self.space.key(trial.architecture), pending.fidelity)
        for number in pending.numbers:
            self.searcher.tell(number, trial.architecture, _outcome(trial))
        del self._pending[key]
        self.trials.append(trial)
        self._seen[key] = trial
        self._exhausted, self._forgotten = False, []
        if trial.scores is not None or trial.outcome == "failed":
            self.evaluations, self.spent, self._idle = self.evaluations + 1, self.spent + trial.fidelity, 0
        first = self.leader
        if trial.score is not None and (first is None or (trial.fidelity, trial.score) > (first.fidelity, first.score or ())):
            self.leader = trial
        return trial

    def _another(self) -> InputError:
        wanted = f"trial {len(self.trials) + 1} is not the one that this search makes"
        return InputError(f"{OTHER}: {wanted}; go on with the same space, searcher, seed and bounds")


def _outcome(trial: Trial) -> Outcome:
    """What a searcher is told of a trial."""
    bad: Outcome = "failed" if trial.outcome == "failed" else "infeasible"
    return bad if trial.score is None else trial.score


def _finite(handle: Handle) -> dict[str, float] | None:
    """What an estimate gives; None where that is not finite."""
    try:
        scores = {name: float(value) for name, value in handle.result().items()}
    except FloatingPointError:
        return None
    return scores if all(map(math.isfinite, scores.values())) else None
