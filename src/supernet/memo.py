"""Values that one forward pass computes once although many edges of a cell ask for them; off outside a supernet's forward."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from torch import Tensor

Value = TypeVar("Value")

_seen: ContextVar[dict[tuple[Hashable, int], tuple[Tensor, Any]] | None] = ContextVar("seen", default=None)


@contextmanager
def memo(on: bool = True) -> Iterator[None]:
    """Share results between calls of ``once`` while the context lasts; with ``on`` false, share nothing."""
    token = _seen.set({} if on else None)
    try:
        yield
    finally:
        _seen.reset(token)


def once(key: Hashable, x: Tensor, compute: Callable[[Tensor], Value]) -> Value:
    """Return ``compute(x)``, or what it gave for the same tensor and ``key`` earlier in this forward pass.

    ``compute`` must be pure, ``key`` must say everything that it depends on besides ``x``, and nobody may change the
    result in place.
    """
    seen = _seen.get()
    if seen is None:
        return compute(x)
    full = (key, id(x))
    if full not in seen:
        seen[full] = (x, compute(x))  # holding x keeps its id from being used again
    value: Value = seen[full][1]
    return value
