"""Multi-label classification: any number of the labels hold of an image. Without data of one's own: pairs of digits.

Mean average precision is the mean over labels of the area under precision by recall, as a step function: Everingham et al. 2010,
section 4.2, https://doi.org/10.1007/s11263-009-0275-4, over all thresholds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from supernet.data import multi_label
from supernet.data.images import ImageSet
from supernet.metrics import SHARE, Metric
from supernet.tasks.images import Images


def average_precisions(scores: Tensor, right: Tensor) -> Tensor:
    """Of each label: (N, labels), (N, labels) of 0 and 1 -> (labels,); NaN of a label that never holds."""
    found = []
    for score, holds in zip(scores.double().unbind(1), right.double().unbind(1), strict=True):
        order = score.argsort(descending=True)
        hits = holds[order].cumsum(0)
        last = torch.cat([score[order].diff() != 0, torch.ones(1, dtype=torch.bool)])  # of those that score alike
        precision = hits / torch.arange(1, len(hits) + 1)
        found.append((hits[last].diff(prepend=hits.new_zeros(1)) * precision[last]).sum() / hits[-1])
    return torch.stack(found)


def mean_average_precision(whole: tuple[Tensor, Tensor]) -> Tensor:
    """Over the labels that hold somewhere; 0 where none does."""
    return average_precisions(*whole).nanmean().nan_to_num()


class MultiLabel(Images):
    """Which labels hold of an image: any number of them."""

    name: ClassVar = "multi-label"
    sets: ClassVar = multi_label.SETS
    recipe: ClassVar = {
        "search": {"data": {"source": "digit-pairs", "batch_size": 64}},
        "retrain": {"data": {"source": "digit-pairs", "batch_size": 96}},
    }
    scored: ClassVar = {
        "average_precision": Metric(
            lambda outputs, targets: (outputs, targets), unit=SHARE, gathered="all", compute=mean_average_precision, label="mAP"
        )
    }

    @staticmethod
    def wrong(outputs: Tensor, targets: Tensor, /) -> Tensor:
        """Binary cross-entropy of logits and 0 or 1, both (B, labels), the mean over both: ()."""
        return F.binary_cross_entropy_with_logits(outputs, targets)

    @classmethod
    def load(cls, settings: Mapping[str, Any]) -> ImageSet:
        return multi_label.load(settings["source"], settings["size"])

    @classmethod
    def strata(cls, labels: Tensor) -> int:
        return len(labels)
