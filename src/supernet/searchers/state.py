"""What searchers keep between runs, as data that JSON and ``torch.load(weights_only=True)`` carry."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from supernet.space import Architecture


def random_state(rng: Random) -> list[Any]:
    """The state of ``rng`` as [version, [integers], next gauss or None]."""
    version, integers, gauss = rng.getstate()
    return [version, list(integers), gauss]


def restore_random(rng: Random, state: list[Any]) -> None:
    """Put ``rng`` where ``random_state`` found it."""
    version, integers, gauss = state
    rng.setstate((version, tuple(integers), gauss))


def plain(architecture: Architecture) -> dict[str, Any]:
    """``architecture`` with lists for tuples."""
    return {name: list(taken) if isinstance(taken, tuple) else taken for name, taken in architecture.items()}


def from_plain(architecture: Mapping[str, Any]) -> Architecture:
    """``architecture`` with tuples for lists: what ``plain`` was given."""
    return {name: tuple(taken) if isinstance(taken, list) else taken for name, taken in architecture.items()}
