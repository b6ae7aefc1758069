"""Random search of equal cost: the same arithmetic spent on training random architectures from nothing.

Li, Talwalkar 2019, https://arxiv.org/abs/1902.07638, on why every search needs it. Cost is counted in multiply-adds of
forward and backward passes, while they are done, not in seconds, so that the comparison is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any, NamedTuple

from supernet.costs.objective import Objective
from supernet.costs.passes import Passes
from supernet.estimators.scratch import FromScratch
from supernet.explore.loop import explore
from supernet.explore.workers import ALONE, Crew
from supernet.progress import within
from supernet.randomness import drawing_apart
from supernet.run import Run
from supernet.searchers import Searcher, make_searcher
from supernet.searchers.assured import Assured
from supernet.space import Architecture, SearchSpace
from supernet.trying import Costs, try_architectures


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


def random_baseline(
    run: Run,
    space: SearchSpace,
    searched: int,
    make: Callable[[int | None], FromScratch],
    found: Architecture,
    *,
    trials: int,
    seed: int,
    objective: Objective,
    costs: Costs | None,
    feasible: Architecture | None,
    crew: Crew = ALONE,
) -> dict[str, Any]:
    """Search at random in the folder ``baseline`` of ``run``; the best, the budget, and ``found`` trained in the same way.

    ``make(steps)``: the estimator that trains each architecture so long. ``searched``: the multiply-adds of the search.
    ``feasible``: an architecture that keeps the limits of ``objective``, where one is known. ``crew``: who makes the estimates.
    """

    def searcher() -> Searcher:
        plain = make_searcher("random", space, seed)
        return plain if feasible is None else Assured(plain, feasible)

    drawn = _drawn(space, searcher(), trials, objective, costs)
    budget, passes = equal_budget(searched, drawn, make(1)), Passes()
    short, long = make(budget.steps), make(budget.steps + 1)
    longer = {space.key(architecture) for architecture in drawn[: budget.longer]}

    def estimate(architecture: Architecture) -> dict[str, float]:
        return (long if space.key(architecture) in longer else short)(architecture)

    with run.sub("baseline", {"method": "random", "seed": seed, **asdict(budget)}) as sub:
        how: dict[str, Any] = {"costs": costs, "what": "random search", "passes": passes, "crew": crew}
        tried = try_architectures(space, searcher(), estimate, trials, objective, sub, **how)
        best = tried[0]
    with within("what was found, trained alike"):
        alike = short(found)
    done = {**asdict(budget), "spent": passes.total}
    return {"best": space.matters(best.architecture), "scores": best.scores, "found": alike, "budget": done}


def _drawn(space: SearchSpace, searcher: Searcher, trials: int, objective: Objective, costs: Costs | None) -> list[Architecture]:
    """The architectures that random search will train, in order."""
    free = replace(objective, maximise=("drawn",), minimise=())
    tried = explore(space, searcher, lambda architecture: {"drawn": 0.0}, trials, free, costs=costs)
    return [trial.architecture for trial in sorted(tried, key=lambda trial: trial.number)]
