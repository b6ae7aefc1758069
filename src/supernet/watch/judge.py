"""Scores a supernet epoch by epoch against a benchmark table of its space.

Dong, Yang 2020 (NAS-Bench-201), https://arxiv.org/abs/2001.00326; Yu et al. 2020, on rankings by shared weights,
https://arxiv.org/abs/1902.08142
"""

from __future__ import annotations

from statistics import fmean
from typing import Any

from supernet.errors import InputError
from supernet.estimators.ranking import drawn, kendall, spearman
from supernet.estimators.shared import SharedWeights
from supernet.estimators.tabular import Table
from supernet.layers.base import Supernet
from supernet.metrics import Score
from supernet.randomness import drawing_apart
from supernet.space import Architecture, SearchSpace
from supernet.task import Task


class Judge:
    """Looks up what a supernet would give now, and how well its shared weights rank architectures.

    ``samples``: how many architectures are ranked, the same ones each time, drawn by ``seed``; 0: none. Each is measured on the first
    ``batches`` validation batches, its batch norms recalibrated on ``calibration`` training batches. The searches' own
    generators, the supernet and the data stay as they were. Raises ``InputError`` where the table is not of ``space``.
    """

    def __init__(
        self, table: Table, space: SearchSpace, samples: int = 100, seed: int = 0, *, batches: int = 4, calibration: int = 2
    ) -> None:
        if samples < 0 or samples == 1 or min(batches, calibration) < 1:
            raise InputError(f"a judge ranks 2 or more samples, or 0, on 1 or more batches; got {samples} on {batches} and {calibration}")
        if table.space() != space:
            raise InputError("the table is read for another search space: give Table the space that is searched")
        self.table, self.batches, self.calibration = table, batches, calibration
        self.samples = drawn(space, samples, seed)
        self.known = [self._true(arch) for arch in self.samples]

    def score(self, supernet: Supernet, task: Task, derived: Architecture | None = None) -> dict[str, Any]:
        """What a history line records: "true" {"validation", "test"} of what would be derived now, "tau", "spearman", "samples", "random".

        ``derived``: what would be derived now; None where the method has no architecture of its own: then it is the sampled one that the
        shared weights rank first, recorded as "architecture". "tau", "spearman": Kendall's tau (b) and Spearman's correlation of the
        ranking by shared weights and the table's search column, from -1 to 1; None where either ranks nothing. Weights rank by what
        searchers compare over them: the loss where ``derived`` is None, else the task's first metric. "random": the mean of the
        samples in the table. Scores are in the table's units.
        """
        space = supernet.space
        able = [i for i, arch in enumerate(self.samples) if all(space[name].legal(taken) for name, taken in arch.items())]
        found: dict[str, Any] = {}
        own: list[float] = []
        if able and task.data.has("validation"):
            by = SharedWeights.judged if derived is None else task.judged
            own = self._shared(supernet, task, [self.samples[i] for i in able], by)
            known = [self.known[i] for i in able]
            found["tau"] = kendall(own, [k["validation"] for k in known])
            found["spearman"] = spearman(own, [k["validation"] for k in known])
            found["samples"] = len(able)
            found["random"] = {name: fmean(k[name] for k in known) for name in ("validation", "test")}
        if derived is not None:
            found["true"] = self._true(space.check(space.matters(derived)))
        elif own:
            best = self.samples[able[max(range(len(own)), key=own.__getitem__)]]
            found |= {"architecture": best, "true": self._true(best)}
        return found

    def _true(self, architecture: Architecture) -> dict[str, float]:
        return {**self.table.estimate(architecture), "test": self.table.report(architecture)["test"]}

    def _shared(self, supernet: Supernet, task: Task, architectures: list[Architecture], by: Score) -> list[float]:
        """What each is worth by a score, larger is better, by the shared weights on a part of the validation data."""
        part = task.beginning(lambda batches: min(batches, self.batches))
        with drawing_apart(task.device):
            estimate = SharedWeights(supernet, part, batches=self.calibration)
            scores = [estimate(supernet.space.check(arch)) for arch in architectures]
        return [by.worth(score[by.name]) for score in scores]
