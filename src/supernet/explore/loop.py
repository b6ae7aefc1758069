"""The loop of every search that asks for architectures and is told what they are worth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from supernet.costs.objective import Objective
from supernet.errors import RunError
from supernet.explore.executor import Estimate, Executor, InProcess, Metrics
from supernet.explore.exploration import Exploration
from supernet.explore.trial import Trial
from supernet.searchers import Searcher
from supernet.space import Architecture, SearchSpace


def explore(
    space: SearchSpace,
    searcher: Searcher,
    estimate: Estimate,
    budget: int,
    objective: Objective,
    *,
    costs: Callable[[Architecture], Metrics] | None = None,
    record: Callable[[Trial], None] | None = None,
    past: Iterable[Mapping[str, Any]] = (),
    progress: Callable[[Exploration], None] | None = None,
    patience: int = 2000,
    shares: Sequence[float] = (),
    executor: Callable[[Estimate], Executor] = InProcess,
) -> list[Trial]:
    """Run up to ``budget`` estimates of distinct architectures and return the scored trials, best first.

    ``estimate``: (architecture, fidelity) -> metrics, or a function of the architecture alone where the searcher asks for whole estimates.
    An architecture met again is answered from memory. One that breaks a limit by its ``costs`` is told "infeasible" and never estimated;
    one whose estimate is not finite or raises ``FloatingPointError`` is told "failed" and counts as an estimate. See ``Exploration``.

    record: called with each new trial, whose ``line()`` is to be kept. progress: called after that, with the exploration. past: the
    lines of a search that was left; with a searcher at its start it then makes the same trials as if it had not been left.
    Raises ``RunError`` where nothing feasible is found or every estimate failed.
    """
    how: dict[str, Any] = {"costs": costs, "patience": patience, "shares": shares, "executor": executor}
    exploration = Exploration(space, searcher, estimate, budget, objective, **how)
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
