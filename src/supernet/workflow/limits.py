"""Hard limits on parameters and multiply-adds of the network that a search is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from supernet.costs.table import count_tables
from supernet.derivation import within
from supernet.designs import Design
from supernet.mixture import Mix, Mixture, Table, expected, one_hot
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
        described = Design(self.space, architecture, dict(architecture), "", dict(self.network)).describe()
        return {"params": described["params"], "macs": described["macs"]}

    def for_gradient(self, strength: float = 1.0) -> dict[str, Any]:
        """Settings for a gradient strategy: a penalty that grows as the expected cost passes a bound, and a derivation that keeps it."""
        tables = self.tables()

        def penalty(loss: Tensor, mixture: Mixture, space: SearchSpace) -> Tensor:
            kept = derivable(space, mixture)
            for name, bound in self.bounds.items():
                over = expected(space, kept, tables[name]) / bound - 1
                loss = loss + strength * torch.relu(over).to(loss)
            return loss

        def rule(space: SearchSpace, belief: Mapping[str, Any]) -> Architecture:
            return within(space, belief, partial(self._excess, tables, space))

        return {"penalty": penalty, "rule": rule}

    def tables(self) -> dict[str, Table]:
        """What each option adds to the evaluation network."""
        module = space_module(self.space)
        sized = Design(self.space, {}, None, "").sized(self.network)
        with torch.device("meta"):
            supernet = module.supernet(affine=True, **{k: v for k, v in sized.items() if k in module.SEARCH})
        return count_tables(supernet, sized["shape"])

    def _excess(self, tables: Mapping[str, Table], space: SearchSpace, architecture: Architecture) -> float:
        """By which share the worst bound is passed; at most 0 where all hold."""
        mixture = one_hot(space, architecture)
        return max(float(expected(space, mixture, tables[name])) / bound - 1 for name, bound in self.bounds.items())


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
