"""Image classification: one class an image. Without data of one's own: the digits of scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor
from torch.nn import functional as F

from supernet.data import SETS, images
from supernet.metrics import USUAL
from supernet.tasks.images import Images


class Classification(Images):
    """The one class of an image."""

    name: ClassVar = "classification"
    sets: ClassVar = SETS
    recipe: ClassVar = {
        "search": {"data": {"source": "digits", "batch_size": 64}},
        "retrain": {"data": {"source": "digits", "batch_size": 96}},
    }
    scored: ClassVar = USUAL
    wrong = staticmethod(F.cross_entropy)

    @classmethod
    def load(cls, settings: Mapping[str, Any]) -> images.ImageSet:
        return images.load(settings["source"], size=settings["size"])

    @classmethod
    def strata(cls, labels: Tensor) -> Tensor:
        return labels
