"""Language modelling by truncated back-propagation: the task of recurrent networks. Its metric is perplexity, exp(loss).

Regularised as in Merity et al. 2018, section 4.7, https://arxiv.org/abs/1708.02182
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from supernet.data import text
from supernet.data.streams import Data
from supernet.data.text import Text
from supernet.data.text_streams import Chunk, TextStream
from supernet.errors import InputError, without_effect
from supernet.files.records import read_vocabulary
from supernet.metrics import PERPLEXITY
from supernet.ranks import ALONE, Ranks
from supernet.run import Run
from supernet.settings.given import Settings, taken
from supernet.settings.sections import Machine
from supernet.spaces import lstm
from supernet.spaces.recurrent_network import token_macs
from supernet.strategies.averaged import Averaged
from supernet.strategies.by_length import ByLength
from supernet.tasks.kind import Companion, Kind, arguments, say


@dataclass(frozen=True)
class Prediction:
    """What the loss is made of: logits (T, B, vocabulary), the cell's outputs (T, B, hidden), and these after dropout."""

    logits: Tensor
    outputs: Tensor
    dropped: Tensor


def of_tokens(outputs: Prediction, targets: Tensor) -> Tensor:
    """The mean cross-entropy a token: (), of targets (T * B,)."""
    return F.cross_entropy(outputs.logits.flatten(0, 1), targets)


class LanguageModelling(Kind):
    """Predict each next token. The network takes (tokens, hidden state) and returns a ``Reading`` (``spaces.recurrent_network``).

    ``train``, ``validation``, ``test``: streams of chunks. The loss of training chunks adds ``slowness`` times the mean squared change of
    the outputs from step to step, and ``activation`` times the mean square of the dropped outputs; alphas that learn on
    validation chunks see the plain loss, as in https://github.com/quark0/darts/blob/master/rnn/architect.py.
    """

    name: ClassVar = "language"
    sets: ClassVar = text.SETS
    reads: ClassVar = ("source", "limit", "batch_size", "text")
    recipe: ClassVar = {
        "search": {"data": {"source": "shakespeare", "batch_size": 256}},
        "retrain": {"data": {"source": "shakespeare", "batch_size": 64}},
    }
    scored: ClassVar = {"perplexity": replace(PERPLEXITY, measure=of_tokens)}
    trainer: ClassVar = Averaged
    short: ClassVar = {}
    dimension: ClassVar = 1
    alike: ClassVar = False
    meant: ClassVar = ("level",)
    unpriced: ClassVar = "its cells all have the same size and take equally long; set network.hidden instead"

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
        ranks: Ranks = ALONE,
    ):
        self.slowness, self.activation = slowness, activation
        given = {"train": train, "validation": validation, "test": test}
        self.streams: dict[str, TextStream] = {name: stream for name, stream in given.items() if stream is not None}
        self.vocabulary: tuple[str, ...] = ()  # what the tokens stand for, where a text was read
        how: dict[str, Any] = {"device": device, "autocast": autocast, "seed": seed, "ranks": ranks}
        super().__init__(train, validation, test, loss=F.cross_entropy, metrics=self.scored, **how)

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
        ranks: Ranks = ALONE,
        **settings: Any,
    ) -> LanguageModelling:
        """The task of a text: chunks of ``batch`` strands by ``steps``; the test split only where ``testing``."""
        train = TextStream(text.train, batch, steps, lengths=lengths, seed=seed, ranks=ranks)
        how: dict[str, Any] = {"training": False, "evaluation_batch": evaluation_batch, "ranks": ranks}
        rest = [TextStream(part, batch, steps, **how) for part in (text.validation, text.test)]
        made = cls(train, rest[0], rest[1] if testing else None, seed=seed, ranks=ranks, **settings)
        made.vocabulary = text.vocabulary
        made.sizes = {"tokens": len(text.vocabulary)}
        made.about = {"level": text.level, "tokens": len(text.vocabulary)}
        made.preprocessing = {"layout": "TB", "level": text.level}  # numbers of tokens, time first, as they stand in the vocabulary
        made.counts = {"training": len(text.train), "validation": len(text.validation), **({"test": len(text.test)} if testing else {})}
        return made

    @classmethod
    def read(cls, data: Settings, machine: Machine, testing: bool = False) -> LanguageModelling:
        """The task of a text, a single file cut alike for every seed; chunks are as long as DARTS' code has them."""
        own = data["text"]
        found = text.load(data["source"], level=own["level"], min_count=own["min_count"])
        found = found if data["limit"] is None else found.limited(data["limit"])
        lengths = "normal" if testing else "halved"  # of a retraining, of a search
        how = {name: own[name] for name in ("steps", "evaluation_batch", "slowness", "activation")}
        made = cls.of(found, batch=data["batch_size"], lengths=lengths, testing=testing, **how, **arguments(machine))
        made.decided = {"text": {**own, "level": found.level}}
        say(found.notes)
        return made

    @classmethod
    def drawn(cls, sizes: Mapping[str, Any], examples: int, data: Mapping[str, Any] | None = None) -> Tensor:
        """So many strands of tokens, as long as a chunk: (T, examples)."""
        steps = data["text"]["steps"] if data else 2
        return torch.randint(sizes["tokens"], (steps, examples), generator=torch.Generator().manual_seed(0))

    @classmethod
    def evaluated(cls, data: Settings, batch_size: int | None) -> Settings:
        """As many strands at once as in the run."""
        if batch_size is not None:
            raise without_effect("--batch-size", "a language model reads as many strands at once as its run did")
        return data

    def paced(self, strategy: Any) -> Any:
        """The learning rate of each step follows the length of its chunk."""
        return ByLength(strategy, self.streams["train"])

    def forget(self, start: dict[str, Any]) -> None:
        """A stream carries the hidden state of the network that read it."""
        self.data.load_state_dict(start)

    def keep(self, run: Run) -> None:
        """What the tokens stand for, by number."""
        run.write_json("vocabulary.json", list(self.vocabulary))

    @classmethod
    def kept(cls, folder: Path) -> Settings:
        """The vocabulary, where the run has one."""
        file = folder / "vocabulary.json"
        return {"vocabulary": read_vocabulary(file)} if file.exists() else {}

    def check_kept(self, folder: Path) -> None:
        if list(self.vocabulary) != read_vocabulary(folder / "vocabulary.json"):
            raise InputError(f"the text has another vocabulary than the one that the network of {folder} has learnt")

    def beside(self, described: Mapping[str, Any]) -> Sequence[Companion]:
        """A plain LSTM with as many parameters."""
        tokens = described["settings"]["tokens"]
        sizes = {**taken(lstm.network, described["settings"]), "hidden": lstm.hidden_for(described["params"], tokens)}
        said = {"hidden": sizes["hidden"]}
        return [Companion("lstm", sizes, said, partial(lstm.network, **sizes), lstm.size(sizes["hidden"], tokens), token_macs)]

    def sample(self, examples: int) -> tuple[Tensor]:
        """So many strands of tokens: (T, examples)."""
        chunk: Chunk = self._some_batch()
        return (chunk.tokens[:, :examples],)

    def size(self, batch: Chunk) -> int:
        """How many tokens a chunk predicts."""
        return batch.targets.numel()

    def of_size(self, examples: int) -> LanguageModelling:
        """This task, trained on so many strands on each rank."""
        part = copy.copy(self)
        part.streams = {name: stream.of_size(examples) for name, stream in self.streams.items()}
        part.data = Data(0, part.prepare, part.share, **part.streams)
        return part

    def sizes_ahead(self) -> Iterator[int]:
        """The steps of each chunk of training to come."""
        return self.streams["train"].lengths_ahead()

    def share(self, batch: Chunk) -> Chunk:
        """A chunk has the strands of this rank alone."""
        return batch

    @property
    def evaluating(self) -> Ranks:
        """Each rank evaluates a pass by itself, since a chunk goes on from the one before."""
        return ALONE

    def prepare(self, batch: Chunk) -> Chunk:
        """The same chunk, on the device."""
        batch.tokens, batch.targets, batch.hidden = (moved(x, self.device) for x in (batch.tokens, batch.targets, batch.hidden))
        return batch

    def predict(self, network: Callable[..., Any], batch: Chunk) -> Prediction:
        """Run the network from the chunk's hidden state; where it ends is where the next chunk starts."""
        with self.ranks.norms(), self.precision():
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
