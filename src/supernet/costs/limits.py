"""Bounds on what a network may cost: a price while a search runs, a constrained derivation at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from supernet.costs.predictor import Predictor
from supernet.costs.price import Price, Prices
from supernet.costs.table import count_tables
from supernet.errors import InputError, unknown
from supernet.layers.base import Supernet
from supernet.mixture import Costing, Table, expected, one_hot
from supernet.space import Architecture, SearchSpace

COSTS = ("latency", "energy", "macs", "params", "activations", "storage")  # the first that is bound is what a method's own price is of
BOUNDED = {"power": {"form": "linear", "weight": 0.1}}  # forms that need more than a bound, and what stands for them under one


@dataclass(frozen=True)
class Limits:
    """``bounds``: cost -> the most that it may be, in the unit of its table. ``tables``: cost -> what each option of ``space`` costs.

    ``margin``: the share of a bound on latency that is left for what the table does not know.
    """

    bounds: Mapping[str, float]
    tables: Mapping[str, Table | Costing]
    space: SearchSpace
    margin: float = 0.0

    def __post_init__(self) -> None:
        for name, bound in self.bounds.items():
            if name not in self.tables:
                raise unknown("cost", name, self.tables)
            if not bound > 0:
                raise InputError(f"a bound on {name} must be above 0; got {bound:g}")
        if not 0 <= self.margin < 1:
            raise InputError(f"the margin of a bound is a share, at least 0 and below 1; got {self.margin:g}")

    @property
    def aims(self) -> dict[str, float]:
        """What a search keeps to: the bounds, that on latency less the margin."""
        return {name: bound * (1 - self.margin) if name == "latency" else bound for name, bound in self.bounds.items()}

    @classmethod
    def of(
        cls,
        supernet: Supernet,
        example: Sequence[Any],
        bounds: Mapping[str, float],
        measured: Mapping[str, Table | Costing] | None = None,
        margin: float = 0.0,
    ) -> Limits:
        """Limits on networks derived from ``supernet``; ``example``: inputs, one example each; ``measured``: what cannot be counted."""
        for name in bounds:
            if name not in COSTS:
                raise unknown("cost", name, COSTS)
            if name in ("latency", "energy") and name not in (measured or {}):
                raise InputError(f"a bound on {name} needs a table that was measured: supernet profile writes one")
        return cls(dict(bounds), {**count_tables(supernet, *example), **(measured or {})}, supernet.space, margin)

    def costs(self, architecture: Architecture) -> dict[str, float]:
        """What an architecture costs, by every table."""
        mixture = one_hot(self.space, self.space.check(architecture))
        return {name: float(expected(self.space, mixture, table)) for name, table in self.tables.items()}

    def excess(self, architecture: Architecture) -> float:
        """By which share the worst of ``aims`` is passed; at most 0 where all hold."""
        mixture = one_hot(self.space, self.space.check(architecture))
        return max(float(expected(self.space, mixture, self.tables[name])) / aim - 1 for name, aim in self.aims.items())

    def for_gradient(self, pricing: Mapping[str, Any], chosen: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Settings for a gradient strategy: ``penalty`` and, where there are bounds, ``within``.

        ``pricing``: the price of the method's paper, for the first bound cost of ``COSTS``; other bounds are priced where they are passed.
        ``chosen``: settings of ``Price`` that differ, and ``cost``: what is priced, bound or not.
        """
        forms = self.forms(pricing, chosen)
        if not forms:
            return {}
        if any(isinstance(table, Predictor) and table.kind != "mlp" for table in self.tables.values()):
            raise InputError("boosted trees have no gradient: fit a predictor with predictor=mlp for a gradient method")
        prices = {name: Price(self.tables[name], bound=self.aims.get(name), **form) for name, form in forms.items()}
        return {"penalty": Prices(prices), **({"within": self.excess} if self.bounds else {})}

    def forms(self, pricing: Mapping[str, Any], chosen: Mapping[str, Any] | None = None) -> dict[str, dict[str, Any]]:
        """Cost -> the settings of its ``Price``, the method's own first; arguments as of ``for_gradient``."""
        given = {k: v for k, v in (chosen or {}).items() if v is not None}
        main = given.pop("cost", None) or next((n for n in COSTS if n in self.bounds), None)
        if main is None:
            return {}
        if main not in self.tables:
            raise unknown("cost", main, self.tables)
        own = {**pricing, **({} if main not in self.bounds else BOUNDED.get(pricing["form"], {})), **given}
        other = "reward" if own["form"] == "reward" else "hinge"
        return {main: own} | {name: {"form": other} for name in self.bounds if name != main}
