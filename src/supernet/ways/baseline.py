"""Random search of equal cost: the same arithmetic spent on training random architectures from nothing.

Li, Talwalkar 2019, https://arxiv.org/abs/1902.07638, on why every search needs it. Cost is counted in multiply-adds of
forward and backward passes, while they are done, not in seconds, so that the comparison is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any, NamedTuple

from supernet.costs.limits import Limits, bound_by
from supernet.costs.objective import Objective
from supernet.costs.passes import Passes
from supernet.decided import by_difference
from supernet.estimators.scratch import FromScratch
from supernet.explore.loop import explore
from supernet.explore.workers import ALONE, Crew
from supernet.progress import within
from supernet.randomness import drawing_apart
from supernet.run import Run
from supernet.searchers import Searcher, make_searcher
from supernet.searchers.assured import assured
from supernet.space import Architecture, SearchSpace
from supernet.task import Task
from supernet.trying import Costs, Found, default_objective, try_architectures


@dataclass(frozen=True)
class Budget:
    """``trials`` random architectures, ``steps`` training steps each and one more for the first ``longer`` of them.

    ``searched``, ``spent``: the multiply-adds of the search, and of training and scoring these.
    """

    trials: int
    steps: int
    longer: int
    searched: int
    spent: int


def equal_budget(searched: int, drawn: Sequence[Architecture], estimate: FromScratch) -> Budget:
    """How many steps the architectures ``drawn`` may train so that together they cost as much as the search, to within a step of one.

    ``searched``: the multiply-adds of the search. Architectures differ in cost, and train equally long, to within one step; a step
    costs as much as its batches are large beside those of the first.
    """
    priced = [_costs(architecture, estimate) for architecture in drawn]
    batches, first, sizes = priced[0].batches, priced[0].size, estimate.task.sizes_ahead()
    step, size = sum(each.step for each in priced), sum(islice(sizes, batches))  # the first step's cost, the next one's size
    spent, steps, longer = sum(each.scoring for each in priced), 0, 0
    while steps == 0 or spent + step * size // first <= searched:
        spent, steps = spent + step * size // first, steps + 1
        size = sum(islice(sizes, batches))
    for each in priced:
        if searched - spent < each.step * size // first / 2:
            break
        spent, longer = spent + each.step * size // first, longer + 1
    return Budget(len(drawn), steps, longer, searched, spent)


class _Cost(NamedTuple):
    """The multiply-adds of the first training step of an architecture, and of scoring it; the batches of that step and their size."""

    step: int
    scoring: int
    batches: int
    size: int


def _costs(architecture: Architecture, estimate: FromScratch) -> _Cost:
    """What an architecture costs; streams and random states are put back."""
    task, step, scoring = estimate.task, Passes(), Passes()
    before = task.data.state_dict()
    with drawing_apart(task.device):
        strategy = estimate.begin(architecture)
        batches = strategy.weights.accumulate
        size = sum(islice(task.sizes_ahead(), batches))
        with step.counting(), strategy.training():
            strategy.step(task.data)
        with scoring.counting():
            strategy.evaluate("validation")
    task.data.load_state_dict(before)
    return _Cost(step.total, scoring.total, batches, size)


@dataclass(frozen=True)
class Baseline:
    """Random search of equal cost: ``trials`` architectures, each trained as ``train(steps)`` does, by what the task is judged by.

    ``limits``: where anything is bound or priced; ``feasible``: an architecture that keeps them, where one is known. ``crew``: who makes
    the estimates.
    """

    task: Task
    trials: int
    train: Callable[[int | None], FromScratch]
    seed: int
    limits: Limits | None = None
    feasible: Architecture | None = None
    crew: Crew = ALONE

    def beside(self, found: Found, space: SearchSpace, run: Run) -> None:
        """Search so in the folder ``baseline`` of ``run``, for what was found, and tell ``found`` of it and whether it beats it."""
        found.baseline = self.search(run, space, found.multiply_adds, found.architecture)
        judged = self.task.judged
        own, other = (found.baseline[whose][judged.name] for whose in ("found", "scores"))
        number = self.task.examples() if judged.counted else None
        found.decided |= {"baseline": by_difference(own, other, number, judged.larger)}

    def search(self, run: Run, space: SearchSpace, searched: int, found: Architecture) -> dict[str, Any]:
        """The best of random search for as many multiply-adds as were ``searched``, the budget, and ``found`` trained in the same way."""
        objective = bound_by(self.limits, default_objective(self.task))
        costs = self.limits.costs if self.limits else None

        def searcher() -> Searcher:
            return assured(make_searcher("random", space, self.seed), self.feasible)

        drawn = _drawn(space, searcher(), self.trials, objective, costs)
        budget, passes = equal_budget(searched, drawn, self.train(1)), Passes()
        short, long = self.train(budget.steps), self.train(budget.steps + 1)
        longer = {space.key(architecture) for architecture in drawn[: budget.longer]}

        def estimate(architecture: Architecture) -> dict[str, float]:
            return (long if space.key(architecture) in longer else short)(architecture)

        with run.sub("baseline", {"method": "random", "seed": self.seed, **asdict(budget)}) as sub:
            how: dict[str, Any] = {"costs": costs, "what": "random search", "passes": passes, "crew": self.crew}
            best = try_architectures(space, searcher(), estimate, self.trials, objective, sub, **how)[0]
        with within("what was found, trained alike"):
            alike = short(found)
        done = {**asdict(budget), "spent": passes.total}
        return {"best": space.matters(best.architecture), "scores": best.scores, "found": alike, "budget": done}


def _drawn(space: SearchSpace, searcher: Searcher, trials: int, objective: Objective, costs: Costs | None) -> list[Architecture]:
    """The architectures that random search will train, in order."""
    free = replace(objective, maximise=("drawn",), minimise=())
    tried = explore(space, searcher, lambda architecture: {"drawn": 0.0}, trials, free, costs=costs)
    return [trial.architecture for trial in sorted(tried, key=lambda trial: trial.number)]
