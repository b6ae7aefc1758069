"""The multiply-adds of forward and backward passes, counted while they are done, on any device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from math import prod
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

aten = torch.ops.aten
ENOUGH = 16  # steps of an epoch that are counted at least
APART = (7, 3)  # of so many steps one is counted, the most that leave enough; what alternates has its share
_now: ContextVar[Passes | None] = ContextVar("passes", default=None)


class Passes:
    """``total``: multiply-adds of what ran ``with passes.counting():``, forward and backward. Results are those without it.

    Looking at each operation takes as long as small operations do. So of the steps of a training one in ``APART`` is looked at, where that
    leaves ``ENOUGH`` in an epoch, and the others count as their mean; the first, which may prepare things, and the last, which may have
    fewer examples, stand for themselves. So it is exact where the others are alike; where each draws what it runs, it is an estimate,
    with the standard error of a mean of so many.
    """

    def __init__(self) -> None:
        self.total = 0
        self.sampled = (0, 0)  # multiply-adds and number of the steps that were looked at in this epoch
        self._mode: _Mode | None = None

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count what runs meanwhile; inside of itself it counts once."""
        if self._mode:
            yield
            return
        self._mode, before = _Mode(self), _now.set(self)
        try:
            with self._mode:
                yield
        finally:
            self._mode = None
            _now.reset(before)

    @contextmanager
    def step(self, at: int, of: int) -> Iterator[None]:
        """Count step ``at`` of ``of`` in an epoch, or take it for the mean of those that were looked at."""
        apart, itself = next((n for n in APART if of >= n * ENOUGH), 1), at in (0, of - 1)
        if not itself and at % apart != apart // 2:
            with self._away():
                yield
            return
        before, (work, number) = self.total, self.sampled if at else (0, 0)
        with self.counting():
            yield
        if itself and number:
            self.total += work * (of - 2 - number) // number
        self.sampled = (work, number) if itself else (work + self.total - before, number + 1)

    @contextmanager
    def _away(self) -> Iterator[None]:
        """What runs meanwhile is not counted."""
        mode = self._mode
        if mode is None:
            yield
            return
        mode.__exit__(None, None, None)  # type: ignore[no-untyped-call]
        try:
            yield
        finally:
            mode.__enter__()  # type: ignore[no-untyped-call]

    def since(self, before: int) -> dict[str, int]:
        """What a line of a history says of the passes since ``total`` was ``before``."""
        return {"multiply_adds": self.total - before}

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"multiply_adds": self.total, "sampled": self.sampled}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.total, self.sampled = state.get("multiply_adds", 0), state.get("sampled", (0, 0))


class Uncounted(Passes):
    """Where nobody asks: counts nothing, and costs nothing."""

    def counting(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()

    def step(self, at: int, of: int) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()

    def since(self, before: int) -> dict[str, int]:
        return {}


def counting_now() -> Passes:
    """What counts at the moment."""
    return _now.get() or Uncounted()


class _Mode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, passes: Passes) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.passes = passes

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        out = func(*args, **(kwargs or {}))
        packet = func.overloadpacket
        if packet in flop_registry:
            self.passes.total += _multiply_adds(packet, args, kwargs or {}, out)
        return out


def _multiply_adds(packet: Any, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> int:
    """Of one operation. PyTorch's own count takes groups of a convolution for one in the gradient of its weight."""
    if packet is aten.convolution:
        x, weight, transposed = args[0], args[1], args[6]
        return int(prod((x if transposed else out).shape) * prod(weight.shape[1:]))
    if packet is aten.convolution_backward:
        gradient, x, weight, transposed, wanted = args[0], args[1], args[2], args[7], args[10]
        return int(sum(wanted[:2]) * prod((x if transposed else gradient).shape) * prod(weight.shape[1:]))
    return int(flop_registry[packet](*args, **kwargs, out_val=out)) // 2
