"""Tabular classification: the class of a row of a table. Without data of one's own: tumours by measurements of their cells.

Balanced accuracy is the mean of the shares of each class that are right: Brodersen et al. 2010, https://doi.org/10.1109/ICPR.2010.764
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor
from torch.nn import functional as F

from supernet.data import tabular_classification
from supernet.data.images import ImageSet
from supernet.metrics import ACCURACY, SHARE, Metric
from supernet.tasks.images import Images


def by_class(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """How many rows of each class are right, and how many there are: (B, classes), (B,) -> (classes,), (classes,)."""
    right = targets[outputs.argmax(1) == targets]
    return right.bincount(minlength=outputs.shape[1]), targets.bincount(minlength=outputs.shape[1])


def balanced_accuracy(total: tuple[Tensor, Tensor]) -> Tensor:
    """The mean over the classes that are there: (classes,), (classes,) -> ()."""
    right, there = total
    return (right[there > 0].double() / there[there > 0]).mean()


class TabularClassification(Images):
    """The class of a row of a table; the loss is the log loss."""

    name: ClassVar = "tabular-classification"
    sets: ClassVar = tabular_classification.SETS
    reads: ClassVar = ("source", "limit", "batch_size", "validation")
    recipe: ClassVar = {
        "search": {"data": {"source": "breast-cancer", "batch_size": 32}},
        "retrain": {"data": {"source": "breast-cancer", "batch_size": 32}},
    }
    scored: ClassVar = {
        "accuracy": ACCURACY,
        "balanced_accuracy": Metric(by_class, unit=SHARE, gathered="sum", compute=balanced_accuracy),
    }
    wrong = staticmethod(F.cross_entropy)

    @classmethod
    def load(cls, settings: Mapping[str, Any]) -> ImageSet:
        return tabular_classification.load(settings["source"])

    @classmethod
    def strata(cls, labels: Tensor) -> Tensor:
        return labels
