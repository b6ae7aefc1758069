"""What to search by where nobody names a method: what pays in the least time, by the figures in docs/results.md."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from supernet.costs.latency.predictor import Predictor
from supernet.costs.latency.table import LatencyTable
from supernet.costs.limits import Limits, bound_by
from supernet.costs.objective import Objective
from supernet.costs.passes import Passes, Uncounted
from supernet.derive import derive
from supernet.described import described
from supernet.errors import InputError
from supernet.estimators.jacob_cov import JacobCov
from supernet.estimators.standing import Standing
from supernet.explore.workers import ALONE, Crew
from supernet.files.typed import value_as
from supernet.finals import finals_of, selected, trainings
from supernet.layers.base import Supernet
from supernet.randomness import seed_everything
from supernet.search import check_options, deliver, hold, limits_of, opened, problem, search
from supernet.searchers import make_searcher
from supernet.searchers.assured import assured
from supernet.settings.given import Settings
from supernet.settings.quantities import Count, Epochs, Seed
from supernet.space import Architecture
from supernet.task import Task
from supernet.trying import Found, default_objective

AUTO = "auto"
SCORES = "standing"  # the estimator ``Standing``
SCORES_WITHIN = JacobCov.name  # within bounds, where what others say of size says nothing more
SCORED, FINALISTS = 500, 4  # networks that are scored, and the best of these that are trained
USED = 0.95  # of a bound, by what is tried within it: of networks that cost alike, scores tell better
EXAMPLES = 2000  # validation examples by which shared weights are compared


def auto(
    supernet: Supernet,
    task: Task,
    *,
    epochs: int = 40,
    trials: int = SCORED,
    finals: int = FINALISTS,
    out: str | Path | None = None,
    resume: bool = False,
    seed: int = 0,
    limits: Mapping[str, float] | Limits | None = None,
    latency_table: LatencyTable | Predictor | str | Path | None = None,
    weights: Settings | None = None,
    count: bool = False,
    crew: Crew = ALONE,
) -> Found:
    """Search the networks of an untrained ``supernet`` as ``supernet search auto`` does; ``found.network`` is trained.

    Evolution climbs by ``standing``, a score of untrained networks, over ``trials`` of them, and the best ``finals`` are trained, for
    ``epochs`` in all, from the weights that they have in ``supernet``; the best of these by the task's first metric is found, and trained
    once more, to be handed back. ``weights``: settings of that training, see ``Weights``.
    Within ``limits`` it climbs by ``jacob-cov``, over networks that use 95 % of one limit at least.
    Where networks read no numbers but, such as language models, tokens, there are no such scores: then, and it is said, ``search`` trains
    the supernet by "one-shot" for ``epochs``, and the ``finals`` go on from its weights.
    ``out``, ``resume``, ``limits``, ``latency_table``, ``count``, ``crew``: as in ``search``.
    Raises ``InputError`` for bad settings before any work, ``Interrupted`` after Ctrl-C or SIGTERM.
    """
    counts = {"epochs": (Epochs, epochs), "trials": (Count, trials), "finals": (Count, finals), "seed": (Seed, seed)}
    for name, (kind, value) in counts.items():
        value_as(kind, value, name)
    given, bounds = dict(weights or {}), None
    if limits is not None:
        known = limits if isinstance(limits, Limits) else limits_of(supernet, task, limits, latency_table)
        bounds = replace(known, least=known.least or USED)
    feasible = bounds.check() if bounds else None

    def build(architecture: Architecture) -> nn.Module:
        return derive(supernet, architecture, *task.example)

    task.place(supernet)
    try:
        estimate = JacobCov(build, task, seed=seed) if bounds else Standing(build, task, space=supernet.space, seed=seed)
    except InputError as error:
        print(f"note: {AUTO} takes one-shot: {error}", file=sys.stderr)
        how: dict[str, Any] = {"epochs": epochs, "trials": trials, "finals": finals, "examples": EXAMPLES, "weights": given}
        how |= {"out": out, "resume": resume, "seed": seed, "limits": bounds, "count": count, "crew": crew}
        return search(supernet, task, "one-shot", **how)
    seed_everything(seed)
    check_options(supernet, task)
    about = {"method": AUTO, "seed": seed, "epochs": epochs}
    config = {**about, "trials": trials, "finals": finals, "weights": described(given), "count": count}
    config |= {"limits": described(bounds), **problem(supernet, task)}
    last = finals_of(finals, task, max(epochs // trainings(finals), 1), seed, given, start="nothing")
    passes = Passes() if count else Uncounted()
    with opened(out, config, resume, task.ranks) as run:
        found = selected(
            supernet.space,
            assured(make_searcher("evolution", supernet.space, seed, budget=trials), feasible),
            estimate,
            trials,
            bound_by(bounds, Objective((SCORES_WITHIN if bounds else SCORES,))),
            last,
            build,
            bound_by(bounds, default_objective(task)),
            run,
            task,
            costs=bounds.costs if bounds else None,
            passes=passes,
            crew=crew,
        )
        found.task = task
        hold(found, bounds)
        if run and found.network is not None:
            run.write_weights(found.network, *task.example)
        deliver(found, about, run)
    return found
