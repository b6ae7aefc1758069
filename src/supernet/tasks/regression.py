"""Regression: numbers predicted from rows of a table or from images. Without data of one's own: diabetes in 442 patients.

Networks predict standardised targets, ``(target - mean) / deviation`` by the training data; what a delivered network gives is turned back
by the ``target_mean`` and the ``target_std`` that stand beside it. Errors are in the unit of the targets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from supernet.data import regression
from supernet.data.images import ImageSet
from supernet.errors import InputError
from supernet.metrics import SHARE, Metric
from supernet.tasks.images import Images

PICTURES = ("size", "crop", "flip", "cutout")  # settings that do nothing to rows of a table


def moments(outputs: Tensor, targets: Tensor) -> tuple[Tensor, ...]:
    """What determination needs of a batch: how many, sums of targets and of their squares, of squared errors; by target."""
    return torch.tensor(len(targets)), targets.sum(0), targets.square().sum(0), (targets - outputs).square().sum(0)


def determination(total: tuple[Tensor, ...]) -> Tensor:
    """R2, the share of the variance of the targets that is explained: the mean over targets; 0 of one that never changes."""
    n, first, second, wrong = total
    variation = second - first.square() / n
    return torch.where(variation > 0, 1 - wrong / variation.clamp(min=1e-12), 0).mean()


class Regression(Images):
    """Numbers, from rows of a table or from images."""

    name: ClassVar = "regression"
    sets: ClassVar = regression.SETS
    recipe: ClassVar = {
        "search": {"data": {"source": "diabetes", "batch_size": 32}},
        "retrain": {"data": {"source": "diabetes", "batch_size": 32}},
    }
    scored: ClassVar = {
        "r2": Metric(moments, unit=SHARE, gathered="sum", compute=determination, label="R2"),
        "mae": Metric(F.l1_loss, larger=False, label="MAE"),
    }
    meant: ClassVar = ("targets", "target_mean", "target_std")
    wrong = staticmethod(F.mse_loss)

    def __init__(self, found: ImageSet, settings: Mapping[str, Any], **how: Any):
        if found.columns and (idle := [name for name in PICTURES if settings[name]]):
            raise InputError(f"data.{idle[0]} would have no effect: {found.name} is a table, not images")
        mean, std = found.y_train.mean(0), found.y_train.std(0, correction=0)
        std = torch.where(std > 0, std, 1)
        y_train, y_test = ((y - mean) / std for y in (found.y_train, found.y_test))
        mae = replace(self.scored["mae"], measure=lambda outputs, targets: ((outputs - targets).abs() * std.to(outputs)).mean())
        super().__init__(replace(found, y_train=y_train, y_test=y_test), settings, metrics={**self.scored, "mae": mae}, **how)
        self.about = {"targets": list(found.classes), "target_mean": mean.tolist(), "target_std": std.tolist()}

    @classmethod
    def load(cls, settings: Mapping[str, Any]) -> ImageSet:
        return regression.load(settings["source"], settings["size"])

    @classmethod
    def strata(cls, labels: Tensor) -> int:
        return len(labels)
