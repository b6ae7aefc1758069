"""Language modelling by truncated back-propagation: the task of recurrent networks. Its metric is perplexity, exp(loss).

Regularised as in Merity et al. 2018, section 4.7, https://arxiv.org/abs/1708.02182
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from supernet.data.text import Text
from supernet.data.text_streams import Chunk, TextStream
from supernet.metrics import PERPLEXITY
from supernet.task import Task


@dataclass(frozen=True)
class Prediction:
    """What the loss is made of: logits (T, B, vocabulary), the cell's outputs (T, B, hidden), and these after dropout."""

    logits: Tensor
    outputs: Tensor
    dropped: Tensor


def _of_tokens(outputs: Prediction, targets: Tensor) -> Tensor:
    """The mean cross-entropy a token: (), of targets (T * B,)."""
    return F.cross_entropy(outputs.logits.flatten(0, 1), targets)


TOKENS = replace(PERPLEXITY, measure=_of_tokens)


class LanguageModelling(Task):
    """Predict each next token. The network takes (tokens, hidden state) and returns a ``Reading`` (``spaces.recurrent_network``).

    ``train``, ``validation``, ``test``: streams of chunks. The loss of training chunks adds ``slowness`` times the mean squared change of
    the outputs from step to step, and ``activation`` times the mean square of the dropped outputs; alphas that learn on
    validation chunks see the plain loss, as in https://github.com/quark0/darts/blob/master/rnn/architect.py.
    """

    def __init__(
        self,
        train: TextStream,
        validation: TextStream | None = None,
        test: TextStream | None = None,
        *,
        slowness: float = 1e-3,
        activation: float = 0.0,
        device: str | torch.device = "cpu",
        autocast: torch.dtype | None = None,
        seed: int = 0,
    ):
        self.slowness, self.activation = slowness, activation
        given = {"train": train, "validation": validation, "test": test}
        self.streams: dict[str, TextStream] = {name: stream for name, stream in given.items() if stream is not None}
        given_metrics = {"perplexity": TOKENS}
        super().__init__(train, validation, test, loss=F.cross_entropy, metrics=given_metrics, device=device, autocast=autocast, seed=seed)

    @classmethod
    def of(
        cls,
        text: Text,
        *,
        batch: int = 64,
        steps: int = 35,
        lengths: str = "halved",
        evaluation_batch: int = 10,
        testing: bool = False,
        seed: int = 0,
        **settings: Any,
    ) -> LanguageModelling:
        """The task of a text: chunks of ``batch`` strands by ``steps``; the test split only where ``testing``."""
        train = TextStream(text.train, batch, steps, lengths=lengths, seed=seed)
        rest = [TextStream(part, batch, steps, training=False, evaluation_batch=evaluation_batch) for part in (text.validation, text.test)]
        return cls(train, rest[0], rest[1] if testing else None, seed=seed, **settings)

    def sample(self, examples: int) -> tuple[Tensor]:
        """So many strands of tokens: (T, examples)."""
        chunk: Chunk = self._some_batch()
        return (chunk.tokens[:, :examples],)

    def size(self, batch: Chunk) -> int:
        """How many tokens a chunk predicts."""
        return batch.targets.numel()

    def prepare(self, batch: Chunk) -> Chunk:
        """The same chunk, on the device."""
        batch.tokens, batch.targets, batch.hidden = (moved(x, self.device) for x in (batch.tokens, batch.targets, batch.hidden))
        return batch

    def predict(self, network: Callable[..., Any], batch: Chunk) -> Prediction:
        """Run the network from the chunk's hidden state; where it ends is where the next chunk starts."""
        with torch.autocast(self.device.type, self.autocast, enabled=self.autocast is not None):
            reading = network(batch.tokens, batch.hidden)
        batch.after = moved(reading.hidden, None)
        return Prediction(reading.logits.float() if self.autocast else reading.logits, reading.outputs, reading.dropped)

    def loss(self, outputs: Prediction, batch: Chunk) -> Tensor:
        """The mean cross-entropy a token, in nats, with the regularisers for training chunks: ()."""
        loss = self.criterion(outputs.logits.flatten(0, 1), batch.targets.flatten())
        if batch.training and self.activation:
            loss = loss + self.activation * outputs.dropped.pow(2).mean()
        if batch.training and self.slowness and len(outputs.outputs) > 1:
            loss = loss + self.slowness * outputs.outputs.diff(dim=0).pow(2).mean()
        return loss


def moved(hidden: Any, device: torch.device | None) -> Any:
    """A tensor or tuple of tensors (or None) on ``device``; without a device, cut off from its past."""
    if hidden is None:
        return None
    if isinstance(hidden, tuple):
        return tuple(moved(h, device) for h in hidden)
    return hidden.detach() if device is None else hidden.to(device, non_blocking=True)
