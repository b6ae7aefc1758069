"""Hard limits on parameters and multiply-adds of the network that a search is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from supernet.costs.table import count_tables
from supernet.derivation import within
from supernet.designs import Design
from supernet.layers.base import Supernet
from supernet.mixture import Mix, Mixture, Table, expected, one_hot
from supernet.settings import taken
from supernet.space import Architecture, SearchSpace
from supernet.spaces import space_module


@dataclass(frozen=True)
class Limits:
    """``bounds``: "params" and "macs" of the evaluation network of ``space`` with the settings ``network``, each at most that."""

    bounds: Mapping[str, float]
    space: str
    network: Mapping[str, Any]

    @classmethod
    def of(cls, settings: Mapping[str, Any], network: Mapping[str, Any]) -> Limits:
        """The limits among a command's settings."""
        return cls({k: v for k, v in settings["limits"].items() if v is not None}, settings["space"], dict(network))

    @property
    def any(self) -> bool:
        """Whether there is a limit."""
        return bool(self.bounds)

    def costs(self, architecture: Architecture) -> dict[str, float]:
        """Exact parameters and multiply-adds of an architecture's evaluation network."""
        mixture = one_hot(self.search_space, architecture)
        return {name: float(expected(self.search_space, mixture, table)) for name, table in self.tables.items()}

    def for_gradient(self, strength: float = 1.0) -> dict[str, Any]:
        """Settings for a gradient strategy: a penalty that grows as the expected cost passes a bound, and a derivation that keeps it."""
        tables = self.tables

        def penalty(loss: Tensor, mixture: Mixture, space: SearchSpace) -> Tensor:
            kept = derivable(space, mixture)
            for name, bound in self.bounds.items():
                over = expected(space, kept, tables[name]) / bound - 1
                loss = loss + strength * torch.relu(over).to(loss)
            return loss

        def rule(space: SearchSpace, belief: Mapping[str, Any]) -> Architecture:
            return within(space, belief, self._excess)

        return {"penalty": penalty, "rule": rule}

    @cached_property
    def supernet(self) -> Supernet:
        """The evaluation network with every choice open, without storage."""
        module = space_module(self.space)
        sized = Design(self.space, {}, None, "").sized(self.network)
        with torch.device("meta"):
            found: Supernet = module.supernet(**taken(module.supernet, {**sized, "affine": True}))
        return found

    @property
    def search_space(self) -> SearchSpace:
        """The choices of the evaluation network."""
        return self.supernet.space

    @cached_property
    def tables(self) -> dict[str, Table]:
        """What each option adds to the evaluation network."""
        sized = Design(self.space, {}, None, "").sized(self.network)
        return count_tables(self.supernet, sized["shape"])

    def _excess(self, architecture: Architecture) -> float:
        """By which share the worst bound is passed; at most 0 where all hold."""
        costs = self.costs(self.search_space.check(architecture))
        return max(costs[name] / bound - 1 for name, bound in self.bounds.items())


def derivable(space: SearchSpace, mixture: Mixture) -> Mixture:
    """The blend as a derived network would weigh it: nothing on options that cannot be taken, subsets by how many are kept."""
    kept = {}
    for name, mix in mixture.items():
        choice = space[name]
        if mix.weights is None and choice.pick is not None:
            n = len(choice.options)
            kept[name] = Mix(torch.full((n,), choice.pick[1] / n), mix.runs)
        elif mix.weights is not None and choice.search_only:
            able = torch.tensor([float(o in choice.able) for o in choice.options]).to(mix.weights)
            weights = mix.weights * able
            kept[name] = Mix(weights / weights.sum(), mix.runs)
        else:
            kept[name] = mix
    return kept
