"""Semantic segmentation: a class for every pixel. Without data of one's own: scenes of digits.

Mean intersection over union is that of one confusion matrix of the whole split: Everingham et al. 2015, section 4.2,
https://doi.org/10.1007/s11263-014-0733-5
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from supernet.data import segmentation
from supernet.data.images import ImageSet
from supernet.data.masked import MaskedBatches
from supernet.metrics import SHARE, Metric
from supernet.tasks.images import Images


def confusion(outputs: Tensor, targets: Tensor) -> Tensor:
    """How many pixels of each class are taken for each, rows the true ones: (B, C, H, W), (B, H, W) -> (C, C); -1 does not count."""
    classes, counted = outputs.shape[1], targets >= 0
    pairs = classes * targets[counted] + outputs.argmax(1)[counted]
    return torch.bincount(pairs, minlength=classes**2).view(classes, classes)


def intersection_over_union(total: Tensor) -> Tensor:
    """The mean over the classes that are there or are taken for others: (C, C) -> ()."""
    right = total.diag().double()
    union = total.sum(0) + total.sum(1) - right
    return (right / union)[union > 0].mean().nan_to_num()


def share_of_pixels(total: Tensor) -> Tensor:
    """Of all pixels that count, those whose class is right: (C, C) -> ()."""
    return (total.diag().sum() / total.sum()).nan_to_num()


def mean_over_pixels(outputs: Tensor, targets: Tensor) -> Tensor:
    """The mean cross-entropy of the pixels that count: (); 0 where none does."""
    return F.cross_entropy(outputs, targets, ignore_index=-1, reduction="sum") / (targets >= 0).sum().clamp(min=1)


class Segmentation(Images):
    """The class of every pixel."""

    name: ClassVar = "segmentation"
    sets: ClassVar = segmentation.SETS
    reads: ClassVar = ("source", "limit", "batch_size", "validation", "size", "crop", "flip")
    recipe: ClassVar = {
        "search": {"data": {"source": "digit-scenes", "batch_size": 16}},
        "retrain": {"data": {"source": "digit-scenes", "batch_size": 16}},
    }
    scored: ClassVar = {
        "miou": Metric(confusion, unit=SHARE, gathered="sum", compute=intersection_over_union, label="mIoU"),
        "pixels": Metric(confusion, unit=SHARE, gathered="sum", compute=share_of_pixels, label="pixel accuracy"),
    }
    batches: ClassVar = MaskedBatches
    wrong = staticmethod(mean_over_pixels)

    def size(self, batch: tuple[Tensor, Tensor]) -> int:
        """How many pixels count, so that the mean loss of a pass does not depend on its batches."""
        return int((batch[1] >= 0).sum())

    @classmethod
    def load(cls, settings: Mapping[str, Any]) -> ImageSet:
        return segmentation.load(settings["source"], settings["size"])

    @classmethod
    def strata(cls, labels: Tensor) -> int:
        return len(labels)
