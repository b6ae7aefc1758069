"""What methods may ask of a space, and the settings of its supernet by which a space gives it.

What a space cannot give is left out: the method then does without, or refuses with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Serves = Mapping[str, Callable[[Any], Mapping[str, Any]]]  # need -> the settings that give a value of it


def setting(name: str) -> Callable[[Any], Mapping[str, Any]]:
    """A need that is a setting of that name."""
    return lambda value: {name: value}


SERVES: dict[str, Serves] = {
    "darts": {
        **{name: setting(name) for name in ("partial", "least_inputs", "fixed_reduction", "skip_dropout", "auxiliary_skip")},
        "without_none": lambda _: {"operations": "s5"},
        "evaluation_size": lambda _: {"channels": 36, "cells": 20},
        "stages": lambda stages: stages[0],
    },
    "darts-rnn": {"batch_statistics": setting("batch_statistics")},
}


def served(space: str, needs: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a space's supernet that give what it can of ``needs``."""
    own = SERVES.get(space, {})
    return {name: value for need, asked in needs.items() if need in own for name, value in own[need](asked).items()}


def builds_again(space: str, needs: Mapping[str, Any]) -> bool:
    """Whether a method that goes through stages can have the supernet of each built in the space."""
    return "stages" in needs and "stages" in SERVES.get(space, {})
