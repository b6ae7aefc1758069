"""What an architecture is worth by shared weights, on one batch or on a whole stream: Pham et al. 2018 (ENAS), sections 2.2 and 2.3

https://arxiv.org/abs/1802.03268; https://github.com/melodyguan/enas. The supernet is left as it was.
"""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from supernet.derive import recalibrate
from supernet.errors import InputError, without_effect
from supernet.layers.base import Supernet
from supernet.mixture import Mixture, one_hot
from supernet.modules.modes import by_batch, kept_buffers
from supernet.randomness import drawing_apart
from supernet.space import Architecture
from supernet.task import Task


class Worth:
    """Scores architectures of ``supernet`` on ``task``.

    ``scale``: of exp(-loss), which a batch is worth where the task counts no right answers. ``calibration``: training batches that batch
    norms are recalibrated on before a stream.
    Raises ``InputError`` for a task without validation data, and for a ``scale`` where right answers are counted.
    """

    def __init__(self, supernet: Supernet, task: Task, *, scale: float, calibration: int | None):
        if not task.data.has("validation"):
            raise InputError("what a policy draws is rewarded by validation data, and the task has none: give Task a validation loader")
        if scale != 1 and task.judged.counted:
            raise without_effect("scale", "what is rewarded is a share of right answers")
        self.supernet, self.task, self.scale, self.calibration = supernet, task, scale, calibration

    @torch.no_grad()
    def on_batch(self, mixture: Mixture, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """What a batch, by its own statistics, says an architecture is worth: (), on the CPU; and all that is measured on it."""
        with by_batch(self.supernet):
            outputs = self.task.predict(partial(self.supernet, mixture), batch)
        measured, judged = {"loss": self.task.loss(outputs, batch), **self.task.measure(outputs, batch)}, self.task.judged
        worth = measured[judged.name] if judged.counted else self.scale * (-measured["loss"]).exp()
        worth = worth.cpu().double()  # devices may have no float64
        self.task.ranks.mean([worth])
        return worth, measured

    def on_stream(self, architecture: Architecture, stream: str = "validation") -> dict[str, float]:
        """Loss and metrics under an architecture on all of a stream, by batch norms that are recalibrated for it."""
        mixture = one_hot(self.supernet.space, architecture)
        batches = list(islice(self.task.data.calibrating("train"), self.calibration))
        with kept_buffers(self.supernet), drawing_apart(self.task.device):
            if batches:
                recalibrate(self.supernet, partial(self.task.predict, partial(self.supernet, mixture)), batches)
            return self.task.evaluate(self.supernet, stream, mixture)

    def best(self, architectures: list[Architecture]) -> Architecture:
        """That with the best validation score, each different one evaluated once; of equals the first."""
        different = {self.supernet.space.key(a): a for a in architectures}
        judged = self.task.judged
        scores = {key: judged.worth(self.on_stream(a)[judged.name]) for key, a in different.items()}
        return different[max(scores, key=lambda key: scores[key])]
