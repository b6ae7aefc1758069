"""How well the shared weights of a trained supernet rank architectures that were trained on their own.

Yu et al. 2020, https://arxiv.org/abs/1902.08142; on how few validation images rank: Guo et al. 2020 (SPOS), section 3.4,
https://arxiv.org/abs/1904.00420
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from supernet.errors import InputError
from supernet.estimators.kept import Kept
from supernet.estimators.ranking import drawn, interval, kendall, regret, spearman
from supernet.estimators.shared import SharedWeights
from supernet.estimators.tabular import Table
from supernet.metrics import Score
from supernet.progress import Progress
from supernet.searchers.state import plain
from supernet.space import Architecture, SearchSpace
from supernet.stopping import Interrupted, interruptible
from supernet.trained.supernet import Trained, comparing

TRUSTED = (1, 5, 10)  # of how many that the shared weights rank first the regret is
Known = Sequence[tuple[Architecture, float]]  # what training on its own gave each architecture; larger is better


@dataclass(frozen=True)
class Ranking:
    """Architectures, what they score by the shared weights and what is known of them, an entry each; larger is better of both.

    ``metric``: what the shared weights are scored by, as the task has it. ``beginnings``: examples -> the scores by so many of the
    validation examples, the first of them; the last are by all of them.
    """

    architectures: list[Architecture]
    own: list[float]
    known: list[float]
    metric: Score
    beginnings: dict[int, list[float]]

    def document(self) -> dict[str, Any]:
        """What ``supernet rank --json`` prints; what ranks nothing is None.

        "interval": of Kendall's tau, 95 %. "regret": by how many are trusted, in the unit of what is known. "by_examples": Kendall's tau
        by how many validation examples the scores are of. "enough": the fewest of these whose tau lies in the interval.
        """
        between = interval(self.own, self.known)
        taus = {examples: kendall(own, self.known) for examples, own in self.beginnings.items()}
        return {
            "kendall": kendall(self.own, self.known),
            "interval": between,
            "spearman": spearman(self.own, self.known),
            "regret": {str(k): regret(self.own, self.known, k) for k in TRUSTED},
            "samples": len(self.own),
            "by_examples": {str(examples): tau for examples, tau in taus.items()},
            "enough": enough(taus, between),
        }

    def points(self) -> list[dict[str, Any]]:
        """Each architecture with both numbers, those of the shared weights as the metric has them."""
        every = zip(self.architectures, self.own, self.known, strict=True)
        return [{"architecture": plain(a), "shared": self.metric.worth(own), "known": known} for a, own, known in every]


def rank(
    trained: Trained,
    known: Known | Table,
    *,
    samples: int = 200,
    seed: int = 0,
    calibration: int = 20,
    examples: int | None = None,
    kept: Path | None = None,
) -> Ranking:
    """Score ``samples`` architectures by the weights of a trained supernet, beside what is ``known`` of them.

    ``trained``: what ``search`` found, or a ``TrainedSupernet``. Each is scored on the validation data of its task, on the first
    ``examples`` of it, in whole batches (None: all), batch norms recalibrated on ``calibration`` training batches. ``known``: a
    benchmark table of the supernet's space, whose search column counts, or pairs of architectures and what they are worth; of more than
    ``samples`` so many are drawn by ``seed``. ``kept``: a file that keeps the scores, so that none is computed twice.
    An architecture whose score is not finite is left out. The supernet, the data and the global random state are left as they were.
    Raises ``InputError`` for fewer than two architectures and where there is no validation data, ``Interrupted`` after Ctrl-C or SIGTERM.
    """
    if samples < 2:
        raise InputError(f"a ranking is of 2 or more samples; got {samples}")
    supernet, task = comparing(trained)
    pairs = pairs_of(known, supernet.space, samples, seed)
    estimate, judged = Kept(SharedWeights(supernet, task, batches=calibration, examples=examples), kept), task.judged
    progress = Progress("ranking", len(pairs), unit="architectures")
    scores: list[dict[int, float]] = []
    try:
        with interruptible() as asked:
            for architecture, _ in pairs:
                scores.append(estimate.beginnings(architecture))
                values = [list(score.values())[-1] for score in scores] if progress.due else []
                progress.advance(**({"best": max(values, key=judged.worth)} if values else {}))
                if asked:
                    raise Interrupted("stopped; what was scored is kept: the same command goes on" if kept else "stopped")
    finally:
        progress.close()
        estimate.sync()
    finite = [i for i, score in enumerate(scores) if all(map(math.isfinite, score.values()))]
    if len(finite) < 2:
        raise InputError(f"a ranking is of 2 or more architectures with a finite score; {len(finite)} of {len(pairs)} have one")
    beginnings = {examples: [judged.worth(scores[i][examples]) for i in finite] for examples in scores[finite[0]]}
    own = list(beginnings.values())[-1]
    return Ranking([pairs[i][0] for i in finite], own, [pairs[i][1] for i in finite], judged, beginnings)


def enough(taus: Mapping[int, float | None], between: tuple[float, float] | None) -> dict[str, Any] | None:
    """The fewest examples that rank as well as all of them, whose tau has the interval ``between``; None where that is not known.

    ``taus``: examples -> Kendall's tau of the scores by so many, all of them last.
    """
    if between is None:
        return None
    able = [(examples, tau) for examples, tau in taus.items() if tau is not None and between[0] <= tau <= between[1]]
    if not able:
        return None
    fewest, tau = min(able)
    within = f"their tau of {tau:.3f} lies in its interval"
    return {"examples": fewest, "says": f"{fewest} of the {max(taus)} validation examples rank as well as all of them: {within}"}


def pairs_of(known: Known | Table, space: SearchSpace, samples: int, seed: int) -> list[tuple[Architecture, float]]:
    """Up to ``samples`` different architectures of ``space``, drawn by ``seed``, with what is ``known`` of them."""
    return of_table(known, space, samples, seed) if isinstance(known, Table) else _some(known, space, samples, seed)


def of_table(table: Table, space: SearchSpace, samples: int, seed: int) -> list[tuple[Architecture, float]]:
    """Different architectures of ``space``, drawn by ``seed``, with what the column of a table that is searched on says of them."""
    return [(architecture, table.estimate(architecture)["validation"]) for architecture in drawn(space, samples, seed)]


def _some(known: Known, space: SearchSpace, samples: int, seed: int) -> list[tuple[Architecture, float]]:
    """Up to ``samples`` of what is known, as ``space`` writes architectures; of one that is known several times the mean."""
    every: dict[str, tuple[Architecture, list[float]]] = {}
    for architecture, value in known:
        whole = space.check(architecture)
        every.setdefault(space.key(whole), (whole, []))[1].append(value)
    pairs = [(architecture, math.fsum(values) / len(values)) for architecture, values in every.values()]
    return pairs if len(pairs) <= samples else Random(seed).sample(pairs, samples)
