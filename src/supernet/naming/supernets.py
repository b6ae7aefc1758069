"""What the supernet of a space is: its size, its choices, and how many architecture parameters a method learns in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from supernet.costs.count import params
from supernet.layers.base import Supernet
from supernet.modules.sketch import sketched
from supernet.settings.given import json_ready
from supernet.space import Choice
from supernet.spaces import space as space_named
from supernet.strategies import Method, strategy


def alphas(choice: Choice, method: Method | None, space: str) -> int:
    """How many architecture parameters a method learns for a choice; None: as DARTS does."""
    if method is None:
        return len(choice.options) if choice.pick is None else 0
    return method.load(space).logits(choice)


def describe_space(space: str, method: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of a space's supernet, the number of alphas a method learns, the options of every choice, the space's size."""
    found = space_named(space)
    known = strategy(method) if method else None
    own = found.served(known.load(space).needs) if known else {}
    usual = found.network.usual(given.get("stem")) if found.one_build else found.supernet.usual()
    settings = found.supernet.accepted({**usual, **own, **{k: v for k, v in given.items() if v is not None}})
    supernet: Supernet = sketched(found.supernet.what, lambda: found.supernet(**settings))
    open_choices = supernet.space.values()
    return {
        "supernet_params": params(supernet, without=()),
        "alphas": sum(alphas(c, known, space) for c in open_choices),
        "choices": {c.name: list(c.options) for c in open_choices},
        "size": supernet.space.size(),
        "settings": json_ready(settings),
    }
