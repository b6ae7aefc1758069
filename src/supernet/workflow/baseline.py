"""Random search of equal cost: the same arithmetic spent on training random architectures from nothing.

Li, Talwalkar 2019, https://arxiv.org/abs/1902.07638, on why every search needs it. Cost is counted in multiply-adds of
forward and backward passes, not in seconds, so that the comparison is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

from torch.utils.flop_counter import FlopCounterMode

from supernet.costs.objective import Objective
from supernet.estimators.scratch import FromScratch
from supernet.progress import within
from supernet.randomness import drawing_apart
from supernet.run import Run
from supernet.search import Costs, try_architectures
from supernet.searchers import make_searcher
from supernet.space import Architecture, SearchSpace
from supernet.task import Task


@dataclass(frozen=True)
class Budget:
    """``trials`` random architectures, ``steps`` training steps each; ``searched``, ``spent``: multiply-adds of the search and of these."""

    trials: int
    steps: int
    searched: int
    spent: int


def work(task: Task, function: Callable[[], Any]) -> int:
    """The multiply-adds of calling ``function`` once; the task's streams and the global generator are put back."""
    before = task.data.state_dict()
    with drawing_apart(task.device), FlopCounterMode(display=False) as counter:
        function()
    task.data.load_state_dict(before)
    return int(counter.get_total_flops()) // 2


def equal_budget(searched: int, space: SearchSpace, estimate: FromScratch, trials: int, seed: int) -> Budget:
    """How many steps each of ``trials`` random architectures may train so that all cost as much as the search.

    ``searched``: the multiply-adds of the search. Architectures differ in cost, and train equally long: the mean counts.
    """
    rng = Random(seed)
    drawn = [work(estimate.task, lambda: estimate.one_step(space.sample(rng))) for _ in range(min(trials, 4))]
    mean = sum(drawn) / len(drawn)
    steps = max(round(searched / trials / mean), 1)
    return Budget(trials, steps, searched, round(steps * trials * mean))


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
) -> dict[str, Any]:
    """Search at random in the folder ``baseline`` of ``run``; the best, the budget, and ``found`` trained in the same way.

    ``make(steps)``: the estimator that trains each architecture so long.
    """
    budget = equal_budget(searched, space, make(1), trials, seed)
    estimate = make(budget.steps)
    with run.sub("baseline", {"method": "random", "seed": seed, **asdict(budget)}) as sub:
        searcher = make_searcher("random", space, seed)
        tried = try_architectures(space, searcher, estimate, trials, objective, sub, costs=costs, what="random search")
        best = tried[0]
    with within("what was found, trained alike"):
        alike = estimate(found)
    return {"best": space.matters(best.architecture), "scores": best.scores, "found": alike, "budget": asdict(budget)}
