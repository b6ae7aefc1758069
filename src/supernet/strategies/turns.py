"""In which order alphas and weights are stepped: by turns, on batches of their own, or together by one loss of one batch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor

from supernet.data.streams import Data
from supernet.mixture import Mixture

if TYPE_CHECKING:
    from supernet.strategies.gradient import Gradient

Measured = dict[str, Tensor]  # what a step measured, on the device


class Turns(Protocol):
    """One step of a gradient search."""

    stream: str  # whose batches the alphas learn on
    weight_steps: int  # in one step of the search

    def step(self, strategy: Gradient, data: Data) -> Measured:
        """Step alphas and weights of ``strategy``; the measured are those of the last step on the weights."""
        ...


class Alternating:
    """One step on the alphas by a batch of ``stream``, unless they wait, then ``weight_steps`` steps on the weights."""

    def __init__(self, stream: str = "validation", weight_steps: int = 1):
        self.stream, self.weight_steps = stream, weight_steps

    def step(self, strategy: Gradient, data: Data) -> Measured:
        """The step on the alphas sees the first training batch too, for methods that look ahead."""
        measured: Measured = {}
        for i in range(self.weight_steps):
            batches = strategy.batches(data)
            first = next(batches)
            if i == 0 and strategy.alphas_learn:
                strategy.alpha_step(first, data.next(self.stream))
            measured = strategy.weight_step(chain([first], batches))
        return measured


class Together:
    """Alphas and weights descend the mean gradient of one loss over the training batches of a step, all under one blend."""

    stream = "train"
    weight_steps = 1

    def step(self, strategy: Gradient, data: Data) -> Measured:
        """The alphas that take part are those of ``strategy.joint_alphas``."""
        mixture, alphas = strategy.blended(strategy.relax), strategy.joint_alphas
        total: list[Tensor | None] = [None] * (len(alphas) + len(strategy.weights.parameters))
        measured: Measured = {}
        for batch in strategy.batches(data):
            grads, measured = self.gradients(strategy, batch, mixture, [*alphas, *strategy.weights.parameters])
            total = [new if old is None else old if new is None else old + new for old, new in zip(total, grads, strict=True)]
        if alphas:
            strategy.alphas.apply(total[: len(alphas)], strategy.task.ranks)
        strategy.weights.apply(total[len(alphas) :], strategy.task.ranks)
        return measured

    def gradients(self, strategy: Gradient, batch: Any, mixture: Mixture, learnt: list[Tensor]) -> tuple[Sequence[Tensor | None], Measured]:
        """One batch's part of the mean gradient, priced where the alphas learn, and what is measured. The blend's graph stays."""
        task, batches = strategy.task, strategy.weights.accumulate
        outputs = task.predict(partial(strategy.supernet, strategy.moved(mixture)), batch)
        loss = task.loss(outputs, batch)
        measured = {"loss": loss.detach(), **task.measure(outputs, batch)}
        total = strategy.descended(loss, mixture) if strategy.alphas_learn else loss
        if not total.requires_grad:  # a path that is frozen
            return [None] * len(learnt), measured
        grads = strategy.weights.scaling.gradients(total / batches, learnt, allow_unused=True, retain_graph=batches > 1)
        return grads, measured
