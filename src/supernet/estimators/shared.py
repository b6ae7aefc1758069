"""Score an architecture by the weights of a trained supernet.

Bender et al. 2018 (One-Shot), https://proceedings.mlr.press/v80/bender18a.html; Guo et al. 2020 (SPOS), section 3.4, on batch
statistics, https://arxiv.org/abs/1904.00420
"""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from itertools import islice
from typing import ClassVar

from torch import nn

from supernet.derive import derive, recalibrate
from supernet.estimators import part
from supernet.layers.base import Supernet
from supernet.metrics import LOSS, Pass, Score
from supernet.mixture import one_hot
from supernet.modules.weights import checksum
from supernet.randomness import drawing_apart
from supernet.space import Architecture
from supernet.task import Task
from supernet.tree import tensors


class SharedWeights:
    """(architecture, fidelity) -> loss and metrics on ``stream``, batch norms recalibrated on ``batches`` training batches for each.

    The supernet and the global random state are left as they were, so that an estimate depends on the architecture alone.
    ``batches`` 0: the shared running statistics as they are. ``examples``: of how many examples of the stream a score is, the first of
    them, in whole batches; None: all. A smaller fidelity is the beginning of the batches of both.
    ``compared``: the task, evaluated on these examples alone. ``judged``: the score by which architectures are compared whose weights
    were trained one by one, the loss: it ranks them better than the share of right answers does, and those that were trained blended worse
    (docs/results.md). Papers take the share, but for You et al. 2020 (GreedyNAS), https://arxiv.org/abs/2003.11236
    """

    judged: ClassVar[Score] = LOSS

    def __init__(self, supernet: Supernet, task: Task, *, batches: int = 20, stream: str = "validation", examples: int | None = None):
        self.supernet, self.task, self.stream, self.compared = supernet, task, stream, task
        self.calibration = list(islice(task.data.calibrating("train"), batches))
        if examples is not None and examples < task.examples(stream):
            held = task.covering(examples, stream)
            self.compared = task.beginning(lambda every: min(held, every))

    def __call__(self, architecture: Architecture, fidelity: float = 1.0) -> dict[str, float]:
        return self.measured(architecture, fidelity).scores()

    def measured(self, architecture: Architecture, fidelity: float = 1.0) -> Pass:
        """What a pass over the examples that are compared gives batch by batch."""
        return self._measured(architecture, fidelity, self.compared)

    def final(self, architecture: Architecture) -> dict[str, float]:
        """Loss and metrics on all of the stream."""
        return self._measured(architecture, 1.0, self.task).scores()

    def _measured(self, architecture: Architecture, fidelity: float, task: Task) -> Pass:
        calibration = self.calibration[: part(fidelity, len(self.calibration))]
        task = task if fidelity == 1 else task.beginning(partial(part, fidelity))
        mixture = one_hot(self.supernet.space, architecture)
        norms = [m for m in self.supernet.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        before = [{n: b.clone() for n, b in m.named_buffers()} for m in norms]
        try:
            with drawing_apart(self.task.device):
                if calibration:
                    recalibrate(self.supernet, lambda batch: task.predict(partial(self.supernet, mixture), batch), calibration)
                return task.measured(self.supernet, self.stream, mixture)
        finally:
            for norm, buffers in zip(norms, before, strict=True):
                for name, buffer in norm.named_buffers():
                    buffer.copy_(buffers[name])

    def network(self, architecture: Architecture) -> nn.Module:
        """The derived network of an architecture, with the batch statistics that it is scored by."""
        derived = derive(self.supernet, architecture, *self.task.example)
        if self.calibration:
            recalibrate(derived, partial(self.task.predict, derived), self.calibration)
        return derived

    @property
    def of(self) -> str:
        """What the scores are of: a digest of weights, calibration, the beginning of the stream, how much of it, and the metrics' names."""
        batches = [*self.calibration, next(self.task.data.each(self.stream))]
        data = {str(i): x for i, x in enumerate(x for batch in batches for x in tensors(batch))}
        lengths = f"{len(self.calibration)} {self.task.data.lengths()[self.stream]} {' '.join(self.task.metrics)}"
        lengths += "" if self.compared is self.task else f" {self.compared.examples(self.stream)}"
        return sha256(f"{checksum(self.supernet.state_dict())} {checksum(data)} {lengths}".encode()).hexdigest()[:16]
