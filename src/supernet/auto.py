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
from supernet.costs.limits import Limits
from supernet.costs.objective import Objective
from supernet.costs.passes import Passes, Uncounted
from supernet.derive import derive
from supernet.described import described
from supernet.errors import InputError
from supernet.estimators.standing import Standing
from supernet.explore.workers import ALONE, Crew
from supernet.files.typed import value_as
from supernet.finals import finals_of, selected, trainings
from supernet.layers.base import Supernet
from supernet.randomness import seed_everything
from supernet.search import bounded, check_options, deliver, limits_of, opened, problem, search
from supernet.searchers import make_searcher
from supernet.searchers.assured import Assured
from supernet.settings.given import Settings
from supernet.settings.quantities import Count, Epochs, Seed
from supernet.space import Architecture
from supernet.task import Task
from supernet.trying import Found, default_objective

AUTO = "auto"
SCORES = "standing"  # the estimator ``Standing``
SCORED, FINALISTS = 500, 4  # networks that are scored, and the best of these that are trained


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

    Evolution climbs by ``standing``, a score of untrained networks, over ``trials`` of them, and the best ``finals`` within all ``limits``
    are trained, for ``epochs`` in all, from the weights that they have in ``supernet``; the best of these by the task's first metric is
    found, and trained once more, to be handed back. ``weights``: settings of that training, see ``Weights``.
    Where networks read no numbers but, such as language models, tokens, there are no such scores: then, and it is said, ``search`` trains
    the supernet by "one-shot" for ``epochs``, and the ``finals`` go on from its weights.
    ``out``, ``resume``, ``limits``, ``latency_table``, ``count``, ``crew``: as in ``search``.
    Raises ``InputError`` for bad settings before any work, ``Interrupted`` after Ctrl-C or SIGTERM.
    """
    for name, (kind, value) in {
        "epochs": (Epochs, epochs),
        "trials": (Count, trials),
        "finals": (Count, finals),
        "seed": (Seed, seed),
    }.items():
        value_as(kind, value, name)
    space, given = supernet.space, dict(weights or {})
    if limits is not None and not isinstance(limits, Limits):
        limits = limits_of(supernet, task, limits, latency_table)
    task.place(supernet)

    def build(architecture: Architecture) -> nn.Module:
        return derive(supernet, architecture, *task.example)

    try:
        estimate = Standing(build, task, space=space, seed=seed)
    except InputError as error:
        print(f"note: {AUTO} cannot score untrained networks: {error}; it takes one-shot", file=sys.stderr)
        how: dict[str, Any] = {"epochs": epochs, "out": out, "resume": resume, "seed": seed, "trials": trials, "limits": limits}
        return search(supernet, task, "one-shot", **how, finals=finals, weights=given, count=count, crew=crew)
    seed_everything(seed)
    check_options(supernet, task)
    asker, aims = make_searcher("evolution", space, seed, budget=trials), limits.aims if limits else {}
    if limits and (feasible := limits.check()) is not None:
        asker = Assured(asker, feasible)
    passes = Passes() if count else Uncounted()
    last = finals_of(finals, task, max(epochs // trainings(finals), 1), seed, given, start="nothing")
    about = {"method": AUTO, "seed": seed, "epochs": epochs}
    config = {**about, "trials": trials, "finals": finals, "weights": described(given), "limits": described(limits), "count": count}
    with opened(out, {**config, **problem(supernet, task)}, resume, task.ranks) as run:
        found = selected(
            space,
            asker,
            estimate,
            trials,
            Objective((SCORES,), limits=aims),
            last,
            build,
            replace(default_objective(task), limits=aims),
            run,
            task,
            costs=limits.costs if limits else None,
            passes=passes,
            crew=crew,
        )
        found.task = task
        bounded(found, limits)
        if run and found.network is not None:
            run.write_weights(found.network, *task.example)
        deliver(found, about, run)
    return found
