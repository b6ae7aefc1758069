"""Strategies train a supernet. Names as on the command line; each is made from (supernet, task, **settings)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import Any

from supernet.errors import unknown


@dataclass(frozen=True)
class Method:
    """Where a strategy's class is, what its name fixes, whom to cite; ``alphas``: whether it learns architecture parameters."""

    place: str
    cite: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    alphas: bool = True

    def load(self) -> Callable[..., Any]:
        """The class, with what the name fixes."""
        module, _, attribute = self.place.partition(":")
        return partial(getattr(import_module(module), attribute), **self.fixed)


_DARTS = "Liu, Simonyan, Yang 2019: DARTS: Differentiable Architecture Search, https://arxiv.org/abs/1806.09055"
_SPOS = "Guo et al. 2020: Single Path One-Shot Neural Architecture Search with Uniform Sampling, https://arxiv.org/abs/1904.00420"

STRATEGIES = {
    "darts": Method("supernet.strategies.darts:DARTS", _DARTS),
    "darts-2nd": Method("supernet.strategies.darts:DARTS", _DARTS, {"order": 2}),
    "one-shot": Method("supernet.strategies.one_shot:OneShot", _SPOS, alphas=False),
}


def strategy(name: str) -> Method:
    """The method behind a name of ``STRATEGIES``; raises ``InputError`` for another name."""
    if name not in STRATEGIES:
        raise unknown("strategy", name, STRATEGIES)
    return STRATEGIES[name]
