"""Streams of text for truncated back-propagation through time: chunks of parallel strands, whose state carries the hidden state."""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from supernet.data.batches import seeded
from supernet.errors import InputError, unknown
from supernet.ranks import ALONE, Ranks
from supernet.tree import mapped

LENGTHS = ("fixed", "halved", "normal")
FULL = 0.95  # how often a chunk is of the full length, else of about half
STRANDS = -2  # where a hidden state has them: (..., B, hidden)
SPREAD, SHORTEST, LONGEST_EXTRA = 5, 5, 20  # of normal lengths


@dataclass
class Chunk:
    """Some steps of parallel strands. However often it is run, it starts from ``hidden``; the last run's end starts the next chunk.

    It reads as a batch ``(tokens, targets)``, the targets in one row.
    """

    tokens: Tensor  # (T, B)
    targets: Tensor  # (T, B), the token after each
    hidden: Any = None  # of the network after the chunk before; None: nothing was before
    training: bool = False  # whether its loss is regularised
    after: Any = None  # set by who runs it

    def __getitem__(self, part: Any) -> Any:
        return (self.tokens, self.targets.flatten())[part]


class TextStream:
    """Passes over a text as ``batch`` parallel strands of equal length; the rest that fills no strand is left out.

    Its state names the next chunk and holds the hidden state it starts from. A new pass starts from none.

    tokens: (N,). steps: tokens of each strand in a chunk, also the unit of ``scale``.
    lengths: "fixed"; "halved": the full length 95 % of the time, else half of it (DARTS' search); "normal": drawn around these
    with deviation 5, at least 5 and at most ``steps`` + 20 (DARTS' evaluation, after Merity et al. 2018, section 4.1,
    https://arxiv.org/abs/1708.02182). Lengths are a function of the seed, the pass and the chunk.
    evaluation_batch: strands in ``in_order``, which always has fixed lengths; None: ``batch``.
    training: whether the loss of its chunks is regularised.
    ranks: those that train together: a chunk has the strands of this rank alone, and a hidden state of these; the state holds that of all,
    so that it is to be asked for by all ranks. ``in_order`` has all strands on each.

    Raises InputError for a text too short for its strands, and for strands that ranks cannot share equally.
    """

    def __init__(
        self,
        tokens: Tensor,
        batch: int,
        steps: int = 35,
        *,
        lengths: str = "fixed",
        seed: int = 0,
        training: bool = True,
        evaluation_batch: int | None = None,
        ranks: Ranks = ALONE,
    ):
        if lengths not in LENGTHS:
            raise unknown("lengths", lengths, LENGTHS)
        if batch < 1 or steps < 1:
            raise InputError(f"a chunk needs at least 1 strand of 1 step; got {batch} of {steps}")
        if len(tokens) < 2 * batch:
            raise InputError(f"{len(tokens)} tokens are too few for {batch} strands: a smaller batch size, or more text")
        if batch % ranks.count:
            raise InputError(f"strands are shared by all {ranks.count} ranks equally: give --batch-size a multiple of that; got {batch}")
        self.ranks, self.own = ranks, batch // ranks.count
        self.tokens, self.batch, self.steps, self.lengths, self.seed = tokens, batch, steps, lengths, seed
        self.training, self.evaluation_batch = training, evaluation_batch
        self.strands = tokens[: len(tokens) // batch * batch].view(batch, -1).t().contiguous()  # (N / batch, batch)
        self.turn = self.index = self.at = 0
        self._before: Any = None  # the hidden state that was loaded
        self._last: Chunk | None = None

    def of_size(self, batch: int) -> TextStream:
        """The same text from its start, as so many strands on each rank, or as now where these are fewer."""
        how: dict[str, Any] = {"training": self.training, "evaluation_batch": self.evaluation_batch, "ranks": self.ranks}
        strands = min(batch, self.own) * self.ranks.count
        return TextStream(self.tokens, strands, self.steps, lengths=self.lengths, seed=self.seed, **how)

    def __len__(self) -> int:
        """Chunks a pass, as many as there are on average."""
        full = FULL * self.steps + (1 - FULL) * (self.steps / 2 if self.lengths == "normal" else self.steps // 2)
        return max(math.ceil((len(self.strands) - 1) / (self.steps if self.lengths == "fixed" else full)), 1)

    def __iter__(self) -> Iterator[Chunk]:
        turn = self.turn
        while self.turn == turn:
            start, end = self.at, min(self.at + self.length(), len(self.strands) - 1)
            strands = self._part(self.strands, 1)
            chunk = Chunk(strands[start:end], strands[start + 1 : end + 1], self._hidden(), self.training)
            self._last, self._before = chunk, None
            more = end < len(self.strands) - 1
            self.turn, self.index, self.at = (turn, self.index + 1, end) if more else (turn + 1, 0, 0)
            yield chunk

    def length(self) -> int:
        """The steps that the next chunk is drawn to have; at the end of the text it gets fewer."""
        if self.lengths == "fixed":
            return self.steps
        rng = seeded(self.seed, self.turn, self.index)
        middle = self.steps if float(torch.rand((), generator=rng)) < FULL else self.steps / 2
        if self.lengths == "halved":
            return max(int(middle), 1)
        drawn = int(middle + SPREAD * float(torch.randn((), generator=rng)))
        return min(max(drawn, SHORTEST), self.steps + LONGEST_EXTRA)

    def lengths_ahead(self) -> Iterator[int]:
        """The steps of every chunk from the next one on, over passes without end."""
        ahead = copy(self)
        while True:
            yield from (len(chunk.tokens) for chunk in ahead)

    @property
    def scale(self) -> float:
        """By how much the length of the next chunk differs from ``steps``: the factor of its learning rate."""
        return self.length() / self.steps

    def in_order(self) -> TextStream:
        """The same text as one would evaluate on it, from its beginning."""
        return TextStream(self.tokens, min(self.evaluation_batch or self.batch, len(self.tokens) // 2), self.steps, training=False)

    def _hidden(self) -> Any:
        """What the next chunk starts from."""
        if self.at == 0:
            return None
        return self._before if self._last is None else self._last.after

    def state_dict(self) -> dict[str, Any]:
        """The pass, the chunk and the place that come next, and the hidden state there."""
        return {"turn": self.turn, "index": self.index, "at": self.at, "hidden": self._of_all(self._hidden())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where ``state`` was taken; raises InputError where the text is too short for it."""
        if not 0 <= state["at"] < len(self.strands) - 1:
            raise InputError(f"cannot go on at step {state['at']} of {len(self.strands)}; the text or the batch size has changed")
        self.turn, self.index, self.at = state["turn"], state["index"], state["at"]
        hidden = mapped(lambda x: self._part(x, STRANDS) if isinstance(x, Tensor) else x, state["hidden"])
        self._before, self._last = hidden, None

    def _part(self, x: Tensor, dimension: int) -> Tensor:
        """What this rank has of all strands."""
        return x if self.ranks.count == 1 else x.narrow(dimension, self.ranks.number * self.own, self.own)

    def _of_all(self, hidden: Any) -> Any:
        """The hidden state of all strands, of that of this rank's."""
        if self.ranks.count == 1:
            return hidden
        return mapped(lambda x: torch.cat(self.ranks.in_turn([x]), STRANDS) if isinstance(x, Tensor) else x, hidden)
