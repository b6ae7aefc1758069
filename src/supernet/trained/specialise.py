"""Networks for several devices and bounds out of one trained supernet, without training.

Cai et al. 2020 (Once-for-All), section 3.4, https://arxiv.org/abs/1908.09791
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from random import Random

from supernet.costs.latency.predictor import Predictor
from supernet.costs.latency.table import LatencyTable
from supernet.costs.limits import Limits
from supernet.costs.objective import Objective
from supernet.costs.objective import number as amount
from supernet.decided import Verdict, by_bounds, by_sample, named
from supernet.estimators.kept import Kept
from supernet.estimators.shared import SharedWeights
from supernet.explore.trial import Trial, ranked
from supernet.search import limits_of
from supernet.searchers import Searcher, make_searcher
from supernet.searchers.assured import assured
from supernet.settings.sections import SEARCHER
from supernet.trained.supernet import Trained, comparing
from supernet.trying import Found, best_of, objective_of, try_architectures

DRAWN = 10  # random architectures that what was found is compared with
DRAWS = 500  # of which they are those within the bounds


def specialise(
    trained: Trained,
    limits: Sequence[Limits | Mapping[str, float]],
    latency_table: LatencyTable | Predictor | str | Path | None = None,
    *,
    searcher: str = SEARCHER,
    trials: int = 200,
    seed: int = 0,
    calibration: int = 20,
    examples: int | None = None,
    kept: Path | None = None,
    objective: Objective | None = None,
    **settings: object,
) -> list[Found]:
    """For each of ``limits`` the best network that keeps them, with weights that work as they are.

    ``trained``: what ``search`` found, or a ``TrainedSupernet``.
    ``limits``: bounds as ``search`` takes them, those on latency and energy by ``latency_table``; or ``Limits``, as for several devices.
    ``searcher``, with ``settings``, tries ``trials`` architectures for each by the shared weights; of all that were tried for any of
    them, the best that keeps the bounds is taken, so that a wider bound never has the worse network. An architecture is scored once,
    whatever number of bounds it is tried for; ``kept``: a file that keeps scores, also for the next time.
    ``network`` of what is found is plain, with batch norms recalibrated on ``calibration`` training batches, and ``scores`` are its own
    on the validation data. While architectures are compared, scores are of the first ``examples`` of it, in whole batches (None: all).
    ``objective``: default the loss. ``decided`` says of each whether most trials can be told from it
    ("trials"), whether random architectures within its bounds score less ("random"), and whether other bounds have the same ("bounds").
    Raises ``InputError`` where there is no validation data and for bounds that nothing keeps, before any is searched for, ``Interrupted``
    after Ctrl-C or SIGTERM, ``RunError`` where nothing within a bound has a finite score.
    """
    supernet, task = comparing(trained)
    every = [each if isinstance(each, Limits) else limits_of(supernet, task, each, latency_table) for each in limits]
    feasible = [each.check() for each in every]
    space, goal = supernet.space, objective or objective_of(SharedWeights.judged)
    askers: list[Searcher] = [make_searcher(searcher, space, seed, budget=trials, **settings) for _ in every]
    helped = list(map(assured, askers, feasible))
    estimate = SharedWeights(supernet, task, batches=calibration, examples=examples)
    scored = Kept(estimate, kept)
    try:
        tried = _tried(scored, every, helped, goal, trials)
        found = [_best(tried, each, goal, scored, asker) for each, asker in zip(every, askers, strict=True)]
        keys = [space.key(each.architecture) for each in found]
        said = [in_words(number, each) for number, each in enumerate(every, start=1)]
        for number, (one, bound) in enumerate(zip(found, every, strict=True)):
            alike = [other for other, key in enumerate(keys) if key == keys[number]]
            one.decided |= named("random", _against_random(one, bound, scored, seed)) | named("bounds", by_bounds(number, alike, said))
            assert one.network
            one.scores = task.evaluate(one.network, estimate.stream)
    finally:
        scored.sync()
    return found


def _tried(scored: Kept, every: Sequence[Limits], askers: Sequence[Searcher], objective: Objective, trials: int) -> list[Trial]:
    """What was tried for any of ``every`` bounds by the searcher of each: an architecture once, by its largest fidelity."""
    tried: dict[str, Trial] = {}
    for number, (each, asker) in enumerate(zip(every, askers, strict=True), start=1):
        what = f"bound {number} of {len(every)}" if len(every) > 1 else "trying"
        bounded = each.on(objective)
        for trial in try_architectures(scored.space, asker, scored, trials, bounded, costs=each.costs, what=what):
            key = scored.space.key(trial.architecture)
            tried[key] = max(tried.get(key, trial), trial, key=lambda each: each.fidelity)
    return list(tried.values())


def in_words(number: int, limits: Limits) -> str:
    """A bound by its number, with what it says."""
    return f"{number} ({', '.join(f'{name} <= {amount(bound)}' for name, bound in limits.bounds.items()) or 'none'})"


def _best(tried: Sequence[Trial], limits: Limits, objective: Objective, scored: Kept, searcher: Searcher) -> Found:
    """The best of ``tried`` that keeps ``limits``, as a network."""
    estimate, space = scored.estimate, scored.space
    priced = [replace(trial, costs=limits.costs(trial.architecture)) for trial in tried]
    able = [trial for trial in priced if all(trial.costs[name] <= aim for name, aim in limits.aims.items())]
    found = best_of(ranked(able), space, objective, searcher, estimate.compared)
    costs, network = limits.costs(space.check(found.architecture)), estimate.network(found.architecture)
    found = replace(found, supernet=estimate.supernet, task=estimate.task, network=network)
    return replace(found, costs=costs, limits=limits.judged(costs))


def _against_random(found: Found, limits: Limits, scored: Kept, seed: int) -> Verdict | None:
    """Whether what was found scores more than random architectures that keep ``limits``, by what the task is judged by."""
    rng, judged, drawn = Random(seed), scored.estimate.task.judged, dict[str, float]()
    for architecture in (scored.space.sample(rng) for _ in range(DRAWS)):
        if not limits.bounds or limits.excess(architecture) <= 0:
            drawn[scored.space.key(architecture)] = scored(architecture)[judged.name]
        if len(drawn) == DRAWN:
            break
    own, finite = found.scores[judged.name], [value for value in drawn.values() if isfinite(value)]
    return by_sample(own, finite, scored.estimate.compared.examples() if judged.counted else None, judged.larger)
