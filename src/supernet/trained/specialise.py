"""Networks for several devices and bounds out of one trained supernet, without training.

Cai et al. 2020 (Once-for-All), section 3.4, https://arxiv.org/abs/1908.09791
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from supernet.costs.latency.predictor import Predictor
from supernet.costs.latency.table import LatencyTable
from supernet.costs.limits import Limits
from supernet.costs.objective import Objective
from supernet.errors import InputError
from supernet.estimators.kept import Kept
from supernet.estimators.shared import SharedWeights
from supernet.explore.trial import Trial, ranked
from supernet.layers.base import Supernet
from supernet.search import Found, best_of, default_objective, limits_of, try_architectures
from supernet.searchers import Searcher, make_searcher
from supernet.searchers.assured import Assured
from supernet.settings.sections import SEARCHER
from supernet.task import Task


def specialise(
    supernet: Supernet,
    task: Task,
    limits: Sequence[Limits | Mapping[str, float]],
    latency_table: LatencyTable | Predictor | str | Path | None = None,
    *,
    searcher: str = SEARCHER,
    trials: int = 200,
    seed: int = 0,
    calibration: int = 20,
    kept: Path | None = None,
    objective: Objective | None = None,
    **settings: object,
) -> list[Found]:
    """For each of ``limits`` the best network that keeps them, with weights that work as they are.

    ``limits``: bounds as ``search`` takes them, those on latency and energy by ``latency_table``; or ``Limits``, as for several devices.
    ``searcher``, with ``settings``, tries ``trials`` architectures for each by the shared weights; of all that were tried for any of
    them, the best that keeps the bounds is taken, so that a wider bound never has the worse network. An architecture is scored once,
    whatever number of bounds it is tried for; ``kept``: a file that keeps scores, also for the next time.
    ``network`` of what is found is plain, with batch norms recalibrated on ``calibration`` training batches, and ``scores`` are its own
    on the validation data. ``objective``: default the task's first metric, else the loss.
    Raises ``InputError`` where there is no validation data and for bounds that nothing keeps, before any is searched for, ``Interrupted``
    after Ctrl-C or SIGTERM, ``RunError`` where nothing within a bound has a finite score.
    """
    if not task.data.has("validation"):
        raise InputError("architectures are compared on validation data, and the task has none: give Task a validation loader")
    every = [each if isinstance(each, Limits) else limits_of(supernet, task, each, latency_table) for each in limits]
    feasible = [each.check() for each in every]
    estimate, goal = SharedWeights(supernet, task, batches=calibration), objective or default_objective(task)
    scored, space = Kept(estimate, kept), supernet.space
    tried: dict[str, Trial] = {}
    for number, (each, known) in enumerate(zip(every, feasible, strict=True), start=1):
        asker: Searcher = make_searcher(searcher, space, seed, budget=trials, **settings)
        asker = asker if known is None else Assured(asker, known)
        what = f"bound {number} of {len(every)}" if len(every) > 1 else "trying"
        bounded = replace(goal, limits={**each.aims, **goal.limits})
        for trial in try_architectures(space, asker, scored, trials, bounded, costs=each.costs, what=what):
            key = space.key(trial.architecture)
            tried[key] = max(tried.get(key, trial), trial, key=lambda each: each.fidelity)
    return [_best(list(tried.values()), each, goal, estimate) for each in every]


def _best(tried: Sequence[Trial], limits: Limits, objective: Objective, estimate: SharedWeights) -> Found:
    """The best of ``tried`` that keeps ``limits``, as a network."""
    priced = [replace(trial, costs=limits.costs(trial.architecture)) for trial in tried]
    able = [trial for trial in priced if all(trial.costs[name] <= aim for name, aim in limits.aims.items())]
    found = best_of(ranked(able), estimate.supernet.space, objective, estimate.task)
    network = estimate.network(found.architecture)
    costs = limits.costs(estimate.supernet.space.check(found.architecture))
    scores = estimate.task.evaluate(network, estimate.stream)
    return replace(found, scores=scores, supernet=estimate.supernet, network=network, costs=costs, limits=limits.judged(costs))
