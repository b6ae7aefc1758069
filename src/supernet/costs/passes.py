"""The multiply-adds of forward and backward passes, counted while they are done, on any device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from math import prod
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

aten = torch.ops.aten


class Passes:
    """``total``: multiply-adds of what ran ``with passes.counting():``, forward and backward. Results are those without it."""

    def __init__(self) -> None:
        self.total = 0

    def counting(self) -> AbstractContextManager[object]:
        """Count what runs meanwhile."""
        return self._counting()

    @contextmanager
    def _counting(self) -> Iterator[None]:
        mode = _Mode()
        try:
            with mode:
                yield
        finally:
            self.total += mode.total

    def since(self, before: int) -> dict[str, int]:
        """What a line of a history says of the passes since ``total`` was ``before``."""
        return {"multiply_adds": self.total - before}


class Uncounted(Passes):
    """Where nobody asks: counts nothing, and costs nothing."""

    def counting(self) -> AbstractContextManager[object]:
        return nullcontext()

    def since(self, before: int) -> dict[str, int]:
        return {}


class _Mode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        out = func(*args, **(kwargs or {}))
        packet = func.overloadpacket
        if packet in flop_registry:
            self.total += _multiply_adds(packet, args, kwargs or {}, out)
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
