"""A user's own loader, made to start again at any batch of any pass.

A loader that shuffles draws from a random generator, and a pass cannot be had again once that has moved on. Here each pass is
drawn from generators seeded by (seed, pass): torch's, numpy's and random's for the CPU, and those that the loader or its
samplers hold. They are lent to the loader for as long as it makes a batch, so nobody else's random numbers change.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy
import torch
from torch.utils.data import DataLoader

from supernet.data.batches import seeded
from supernet.errors import InputError


class Replayed:
    """A ``torch.utils.data.DataLoader``, or anything with a length that can be iterated again, as passes that can be resumed.

    Its batches are passed on as they are. Resuming within a pass makes the batches before it once more and throws them away.
    Persistent workers are started anew each pass, because they carry random state from one pass into the next.

    Raises InputError for a loader that has no length, is empty, or can be iterated only once.
    """

    def __init__(self, loader: Iterable[Any], seed: int = 0):
        if isinstance(loader, Iterator):
            raise InputError("a loader must give a new pass each time it is iterated; this is an iterator, give what it was made from")
        try:
            self._length = len(loader)  # type: ignore[arg-type]
        except TypeError:
            raise InputError(f"a loader must have a length, its batches a pass; {type(loader).__name__} has none") from None
        if self._length < 1:
            why = ""
            if isinstance(loader, DataLoader) and loader.drop_last and loader.batch_size:
                why = f": its batch size {loader.batch_size} is above what it has, and it drops a smaller last batch"
            raise InputError(f"the loader {type(loader).__name__} has no batches{why}")
        self.loader, self.seed = loader, seed
        self.turn = self.at = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Any]:
        turn, start = self.turn, self.at
        for at, batch in enumerate(self._pass(turn)):
            if at >= start:
                self.turn, self.at = (turn, at + 1) if at + 1 < len(self) else (turn + 1, 0)
                yield batch
        if self.turn == turn:  # fewer batches than its length said
            self.turn, self.at = turn + 1, 0

    def _pass(self, turn: int) -> Iterator[Any]:
        loader, lent = self.loader, _Randomness(self.loader, self.seed, turn)
        if isinstance(loader, DataLoader) and loader.persistent_workers:
            own = copy.copy(loader)
            own._iterator = None  # the workers that the loader keeps
            loader = own
        with lent.in_use():
            batches = iter(loader)
        for _ in range(len(self)):
            with lent.in_use():
                try:
                    batch = next(batches)
                except StopIteration:
                    return
            yield batch

    def in_order(self) -> Iterator[Any]:
        """One whole pass, always the same, that leaves the state alone; in the loader's own order, which cannot be changed."""
        return self._pass(0)

    def state_dict(self) -> dict[str, int]:
        """The pass and the batch that come next."""
        return {"turn": self.turn, "at": self.at}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on where ``state`` was taken; raises InputError where a pass is too short for it."""
        if not 0 <= state["at"] < len(self):
            raise InputError(f"cannot go on at batch {state['at']} of a pass of {len(self)}; the data or the batch size has changed")
        self.turn, self.at = state["turn"], state["at"]


class _Randomness:
    """The random state of one pass, put in place of the program's while the loader works."""

    def __init__(self, loader: Any, seed: int, turn: int):
        batch_sampler = getattr(loader, "batch_sampler", None)
        holders = (loader, getattr(loader, "sampler", None), batch_sampler, getattr(batch_sampler, "sampler", None))
        held = [getattr(holder, "generator", None) for holder in holders]
        self.own = list({id(g): g for g in held if isinstance(g, torch.Generator)}.values())
        number = seeded(seed, turn).initial_seed()
        self.state: tuple[Any, ...] = (
            torch.Generator().manual_seed(number).get_state(),
            random.Random(number).getstate(),
            numpy.random.RandomState([number % 2**32, number >> 32]).get_state(),
            [torch.Generator(g.device).manual_seed(number).get_state() for g in self.own],
        )
        for holder in holders:
            if (set_epoch := getattr(holder, "set_epoch", None)) is not None:  # DistributedSampler shuffles by it
                set_epoch(turn)

    def _get(self) -> tuple[Any, ...]:
        return torch.get_rng_state(), random.getstate(), numpy.random.get_state(), [g.get_state() for g in self.own]

    def _set(self, state: tuple[Any, ...]) -> None:
        torch.set_rng_state(state[0])
        random.setstate(state[1])
        numpy.random.set_state(state[2])
        for generator, own in zip(self.own, state[3], strict=True):
            generator.set_state(own)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        before = self._get()
        self._set(self.state)
        try:
            yield
        finally:
            self.state = self._get()
            self._set(before)
