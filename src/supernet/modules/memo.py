"""Values that one forward pass computes once although many edges of a cell ask for them; off outside a supernet's forward."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import torch
from torch import Tensor

from supernet.errors import InputError
from supernet.tree import versions

Value = TypeVar("Value")
Seen = dict[tuple[Hashable, ...], tuple[Tensor, Any, list[int]]]  # (key, id and version of x) -> x, the value, its versions

_seen: ContextVar[Seen | None] = ContextVar("seen", default=None)


@contextmanager
def memo(on: bool = True) -> Iterator[None]:
    """Share results between calls of ``once`` while the context lasts; with ``on`` false, share nothing.

    Raises ``InputError`` at its end where somebody changed a shared result in place.
    """
    seen: Seen | None = {} if on else None
    token = _seen.set(seen)
    try:
        yield
    finally:
        _seen.reset(token)
    for (key, *_), (_, value, before) in (seen or {}).items():
        if versions([value]) != before:
            name = key[0] if isinstance(key, tuple) else key
            raise InputError(f"the result of {name!r}, which several options share, was changed in place: use inplace=False behind it")


def once(key: Hashable, x: Tensor, compute: Callable[[Tensor], Value]) -> Value:
    """Return ``compute(x)``, or what it gave for the same tensor and ``key`` earlier in this forward pass.

    ``compute`` must be pure, ``key`` must say everything that it depends on besides ``x``, and nobody may change the
    result in place.
    """
    seen = None if torch.compiler.is_compiling() else _seen.get()  # a compiler finds what is computed twice
    if seen is None:
        return compute(x)
    full = (key, id(x), *versions([x]))
    if full not in seen:
        made = compute(x)
        seen[full] = (x, made, versions([made]))  # holding x keeps its id from being used again
    value: Value = seen[full][1]
    return value
