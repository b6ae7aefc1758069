"""Says, while a gradient search runs, whether it collapses.

What is watched: skip-connections in what would be derived (Liang et al. 2019, DARTS+, https://arxiv.org/abs/1909.06035), the entropy
of the alphas, how much of the supernet's score is lost when it is discretised, and how sharply the validation loss bends in the
alphas (both Zela et al. 2020, RobustDARTS, https://arxiv.org/abs/1909.09656).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from torch import nn

from supernet.decided import entropies
from supernet.errors import InputError
from supernet.estimators.shared import SharedWeights
from supernet.layers.base import Supernet
from supernet.layers.one_of import OneOf
from supernet.randomness import drawing_apart
from supernet.settings.quantities import Count, CountOrNone
from supernet.space import Architecture, Option
from supernet.strategies.curvature import largest_eigenvalue
from supernet.strategies.early_stopping import CurvatureGrowth, SkipConnects

Record = dict[str, Any]

KINDS = ("normal", "reduce")  # of cells, by what the names of their choices begin with; other choices make one group, "all"
SKIPS, NOTHING = ("skip_connect", "skip"), ("none", "zero")
# Where papers give no number: 6 of the 8 operations of a DARTS cell, 5 of the 6 of NAS-Bench-201 without weights. Only of groups that
# are large enough, and not of reduction cells: that of DARTS V2 has nothing but pooling and skip-connections.
WITHOUT_WEIGHTS, FEWEST = 0.75, 3
LOST = 0.5  # of the supernet's score in discretising; ours too


class Alarm:
    """Observes a gradient strategy once an epoch; a search with it and one without give the same result.

    ``every``: observes the first epoch and each so many after it. ``gap``: also scores the discretised architecture by shared weights,
    batch norms recalibrated on ``calibration`` batches. ``curvature``: also measures the Hessian's largest eigenvalue, every second
    epoch as in the paper. ``past``: the lines of the history that was there before the first observation, in a search that is
    resumed. Raises ``InputError`` for ``every`` below 1.
    """

    def __init__(
        self,
        *,
        every: Count = 1,
        gap: bool = True,
        curvature: bool = False,
        calibration: CountOrNone = 5,
        past: Callable[[], Iterable[Mapping[str, Any]]] = list,
    ):
        if every < 1:
            raise InputError(f"the alarm's every must be at least 1; got {every}")
        self.every, self.gap, self.curvature, self.calibration, self.past = every, gap, curvature, calibration, past
        self.records: list[Record] | None = None  # one an epoch, empty where it was not observed

    def observe(self, strategy: Any, metrics: Mapping[str, Any]) -> Record:
        """What a history line records of the epoch that has ended; nothing where it is not observed.

        ``metrics``: the line so far; its "validation" saves measuring the supernet again. "warnings" are the thresholds crossed
        in this epoch, a sentence each; "crossed" names those that are crossed now.
        """
        if self.records is None:
            self.records = [dict(line.get("alarm") or {}) for line in self.past() if "epoch" in line]
        record: Record = {}
        if len(self.records) % self.every == 0:
            with drawing_apart(strategy.device):
                record = self._measured(strategy, metrics, len(self.records))
            crossed = self.crossed([*self.records, record])
            before: Record = next((r for r in reversed(self.records) if r), {})
            warnings = [text for name, text in crossed.items() if name not in before.get("crossed", ())]
            record |= {"crossed": list(crossed), **({"warnings": warnings} if warnings else {})}
        self.records.append(record)
        return record

    def _measured(self, strategy: Any, metrics: Mapping[str, Any], epoch: int) -> Record:
        """``epoch``: from 0."""
        supernet, task = strategy.supernet, strategy.task
        taken = supernet.space.matters(strategy.architecture())
        entropy = entropies(strategy.belief())
        record: Record = {"learning": bool(strategy.alphas_learn), "cells": cells(supernet, taken)}
        record |= {"entropy": math.fsum(entropy.values()) / max(len(entropy), 1), "entropies": {n: round(e, 6) for n, e in entropy.items()}}
        if strategy.stage is not None:
            record["stage"] = strategy.stage
        if self.gap and task.data.has("validation"):
            judged = task.judged
            blended = (metrics.get("validation") or strategy.evaluate())[judged.name]
            own = SharedWeights(supernet, task, batches=self.calibration)(supernet.space.check(taken))[judged.name]
            if math.isfinite(blended) and math.isfinite(own):
                record |= {"discretised": own, "gap": judged.worth(blended) - judged.worth(own)}
                record |= {} if judged.larger else {"smaller": True}  # is better
        if self.curvature and epoch % max(self.every, 2) == 0:
            record["eigenvalue"] = largest_eigenvalue(strategy)
        return record

    def crossed(self, records: Sequence[Record]) -> dict[str, str]:
        """The thresholds that the last of ``records`` is beyond, by name, a sentence each; none while the alphas do not learn."""
        now, found = records[-1], {}
        if not now["learning"]:
            return {}
        for kind, cell in now["cells"].items():
            where = "architecture" if kind == "all" else f"{kind} cell"
            idle = cell["skips"] + cell["pooling"] + cell["none"]
            if kind == "normal" and cell["skips"] >= SkipConnects().most:
                found["skip-connections"] = (
                    f"the normal cell would hold {cell['skips']} skip-connections: DARTS+ stops at {SkipConnects().most} (arXiv 1909.06035)"
                )
            if kind != "reduce" and cell["operations"] >= FEWEST and idle >= WITHOUT_WEIGHTS * cell["operations"]:
                found[f"collapsed-{kind}"] = (
                    f"collapsed: {idle} of the {cell['operations']} operations of the {where} would be skip-connections, pooling or none"
                )
        if "gap" in now and (lost := _lost(now["discretised"], now["gap"], now.get("smaller", False))):
            found["gap"] = lost
        if growth := self._growth(records):
            found["curvature"] = growth
        return found

    def _growth(self, records: Sequence[Record]) -> str | None:
        """Whether RobustDARTS' rule would stop at the last measured eigenvalue; of a search in stages, in the present one."""
        rule = CurvatureGrowth(every=max(self.every, 2), measure=lambda one: float(one.eigenvalue))
        stage = records[-1].get("stage")
        measured = [_Measured(i + 1, r["eigenvalue"]) for i, r in enumerate(records) if "eigenvalue" in r and r.get("stage") == stage]
        since = [rule(one, 1, 1) for one in measured][-1:]
        if not since or since[0] is None:
            return None
        averages = rule.averages()
        times = averages[-1] / averages[-1 - rule.lag]
        grown = f"has grown {times:.2f} times since epoch {since[0]['epoch']}"
        return f"the largest eigenvalue of the Hessian in the alphas {grown}: RobustDARTS stops at {rule.factor} (arXiv 1909.09656)"


def _lost(own: float, gap: float, smaller: bool) -> str | None:
    """What discretising has cost, where that is too much: half of a score that is better larger, or twice one that is better smaller."""
    blended = own - gap if smaller else own + gap
    if smaller and 0 < blended < LOST * own:
        return f"discretised, the supernet scores {own:.4g} and not {blended:.4g}, which is better smaller: more than twice as much"
    if not smaller and gap > LOST * blended > 0:
        return f"discretised, the supernet keeps {own:.4g} of its score of {blended:.4g}: less than half"
    return None


class _Measured(NamedTuple):
    """An epoch, from 1, as ``CurvatureGrowth`` meets it."""

    epoch: int
    eigenvalue: float

    def architecture(self) -> Architecture:
        return {"epoch": self.epoch}


def can_skip(supernet: Supernet) -> bool:
    """Whether a choice of ``supernet`` has a skip-connection among its options."""
    kinds = kinds_of(supernet)
    return any(kinds.get((c.name, o)) == "skips" for c in supernet.space.values() for o in c.able)


def kinds_of(supernet: Supernet) -> dict[tuple[str, Option], str]:
    """(choice, option) -> "skips", "pooling" or "none", of the options that are one of these, by their name or their module.

    An identity is a skip-connection where another option has weights; among activations it is one of them.
    """
    found: dict[tuple[str, Option], str] = {}
    for layer in supernet.layers:
        branches: list[nn.Module | None] = list(layer.branches) if isinstance(layer, OneOf) else []
        options = layer.choice.options if layer.choice and layer.choice.pick is None else ()
        weights = any(True for branch in branches if branch is not None for _ in branch.parameters())
        for option, branch in zip(options, branches or [None] * len(options), strict=True):
            name = str(option).lower()
            if name in NOTHING or getattr(branch, "zero", False):
                kind = "none"
            elif name in SKIPS or (weights and (name == "identity" or isinstance(branch, nn.Identity))):
                kind = "skips"
            elif "pool" in name or type(branch).__module__ == "torch.nn.modules.pooling":
                kind = "pooling"
            else:
                continue
            assert layer.choice
            found.setdefault((layer.choice.name, option), kind)
    return found


def cells(supernet: Supernet, architecture: Architecture) -> dict[str, dict[str, float]]:
    """What the operations of ``architecture`` are, by kind of cell: how many in all, skips, pooling, none, and the share of skips.

    Operations are the choices of one among names that matter; those among numbers are sizes.
    """
    kinds = kinds_of(supernet)
    found: dict[str, dict[str, float]] = {}
    for name, taken in supernet.space.matters(architecture).items():
        if isinstance(taken, str):
            cell = found.setdefault(
                next((k for k in KINDS if name.startswith(k)), "all"), dict.fromkeys(("operations", "skips", "pooling", "none"), 0)
            )
            cell["operations"] += 1
            if (name, taken) in kinds:
                cell[kinds[name, taken]] += 1
    return {kind: {**cell, "skip_share": round(cell["skips"] / cell["operations"], 6)} for kind, cell in found.items()}
