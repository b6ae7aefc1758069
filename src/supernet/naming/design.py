"""A design: an architecture of a built-in space with the settings of its evaluation network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from supernet.errors import InputError
from supernet.modules.sketch import sketched
from supernet.settings.given import defaults, json_ready
from supernet.space import Architecture
from supernet.spaces import space as space_named


@dataclass(frozen=True)
class Design:
    """An architecture of a built-in space, and the settings of its evaluation network.

    ``plan``: what the space's ``network`` takes. ``choices``: the same as choices of the search space; None where it has none
    that say it. ``settings``: those the source fixes. ``stored``: the run's architecture.json where it comes from one.
    """

    space: str
    plan: Any
    choices: Architecture | None
    notation: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    stored: dict[str, Any] = field(default_factory=dict)

    @property
    def alone(self) -> bool:
        """Whether the weights of the run it comes from were never a supernet's: those of a retraining, or of finals that began anew."""
        return "trained" in self.stored or self.stored.get("finals", {}).get("from") == "nothing"

    def sized(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All settings of the network: the space's defaults, those of the source, those ``given`` (None: not given)."""
        chosen = {**self.settings, **{k: v for k, v in given.items() if v is not None}}
        return space_named(self.space).network.sized(chosen)

    def written(self, given: Mapping[str, Any] | None = None) -> str:
        """The notation; in spaces of one build with the settings that are not usual, so that it names the network that is described."""
        space, sized = space_named(self.space), self.sized(given or {})
        if not space.one_build:
            return self.notation
        usual = space.network.usual()
        stem = {name: value for name, value in usual.items() if name == "stem"}
        base = json_ready({**defaults(space.network.sizes), **usual, **space.network.usual(sized.get("stem")), **stem})
        own = {k: v for k, v in json_ready(sized).items() if v is not None and v != base[k]}
        said = ", ".join(f"{name}={value}" for name, value in own.items())
        return self.notation.replace(self.space, f"{self.space}({said})", 1) if said else self.notation

    def network(self, given: Mapping[str, Any] | None = None) -> nn.Module:
        """The evaluation network."""
        built: nn.Module = space_named(self.space).network(self.plan, **self.sized(given or {}))
        return built

    def describe(self, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Parameters, multiply-adds of one image (or token) in evaluation mode, choices and settings."""
        space, sized = space_named(self.space), self.sized(given or {})
        network = sketched(space.network.what, lambda: self.network(given))
        found = {**space.costs(network, sized), "choices": self.choices}
        return {**found, "genotype": self.written(given), "settings": json_ready(sized)}


def of_plan(space: str, plan: Any, settings: Mapping[str, Any] | None = None) -> Design:
    """The design of what the ``network`` of a space takes."""
    known = space_named(space)
    try:
        choices = known.plans.choices(plan)
    except InputError:  # a genotype that the search space cannot choose
        choices = None
    return Design(space, plan, choices, known.notation(plan), settings or {})


def of_choices(space: str, choices: Architecture, settings: Mapping[str, Any]) -> Design:
    """The design of what a search took."""
    return Design(space, choices, dict(choices), space_named(space).notation(choices), settings)
