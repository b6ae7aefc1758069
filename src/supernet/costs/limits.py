"""Bounds on what a network may cost: a price while a search runs, a constrained derivation at its end."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from random import Random
from typing import Any

from supernet.costs.least import least
from supernet.costs.objective import Objective, number
from supernet.costs.price import Price, Prices
from supernet.costs.sought import sought
from supernet.costs.table import cost_of, count_tables
from supernet.errors import InputError, unknown
from supernet.layers.base import Supernet
from supernet.mixture import Costing, Table, one_hot
from supernet.space import Architecture, SearchSpace

COSTS = (
    "latency",
    "energy",
    "macs",
    "params",
    "activations",
    "storage",
    "bit_operations",
)  # the first that is bound is what a method's own price is of
BOUNDED = {"power": {"form": "linear", "weight": 0.1}}  # forms that need more than a bound, and what stands for them under one


ROUNDS = 8  # of looking for a network that keeps several bounds
NEAR = 500  # networks that are looked at in each, beside the cheapest
DRAWS = 1000  # in which one is looked for that uses enough of the bounds
Judged = Mapping[str, Mapping[str, Any]]  # cost -> its bound, and whether it holds


def missed(limits: Judged, costs: Mapping[str, float]) -> list[str]:
    """A sentence for each bound that does not hold of ``costs``."""
    beyond = {name: entry["bound"] for name, entry in limits.items() if not costs[name] <= entry["bound"]}
    return [f"the limit is missed: {name} {number(costs[name])} > {number(bound)}" for name, bound in beyond.items()]


@dataclass(frozen=True)
class Limits:
    """``bounds``: cost -> the most that it may be, in the unit of its table. ``tables``: cost -> what each option of ``space`` costs.

    ``margin``: the share of a bound on latency that is left for what the table does not know. ``least``: the share of at least one bound
    that what a searcher tries has to use.
    """

    bounds: Mapping[str, float]
    tables: Mapping[str, Table | Costing]
    space: SearchSpace
    margin: float = 0.0
    least: float = 0.0

    def __post_init__(self) -> None:
        for name, bound in self.bounds.items():
            if name not in self.tables:
                raise unknown("cost", name, self.tables)
            if not bound > 0:
                raise InputError(f"a bound on {name} must be above 0; got {bound:g}")
        if not 0 <= self.margin < 1:
            raise InputError(f"the margin of a bound is a share, at least 0 and below 1; got {self.margin:g}")
        if not 0 <= self.least < 1:
            raise InputError(f"what has to be used of a bound is a share, at least 0 and below 1; got {self.least:g}")

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
        least: float = 0.0,
    ) -> Limits:
        """Limits on networks derived from ``supernet``; ``example``: inputs, one example each; ``measured``: what cannot be counted."""
        for name in bounds:
            if name not in COSTS:
                raise unknown("cost", name, COSTS)
            if name in ("latency", "energy") and name not in (measured or {}):
                raise InputError(f"a bound on {name} needs a table that was measured: supernet profile writes one")
        return cls(dict(bounds), {**count_tables(supernet, *example), **(measured or {})}, supernet.space, margin, least)

    def on(self, objective: Objective) -> Objective:
        """``objective`` within the bounds; ``least`` of them counts as far as a network is found that uses so much."""
        found = self.check() if self.least else None
        least = 0.0 if found is None else min(self.least, (1 + self.excess(found)) * (1 - 1e-9))
        return replace(objective, limits={**self.aims, **objective.limits}, least=least)

    def check(self) -> Architecture | None:
        """An architecture that keeps all bounds, where one is found, and uses ``least`` of them where one is found that does.

        Raises what ``cheap`` does.
        """
        kept = self.cheap()
        return kept if kept is None or not self.least else self._filled(kept)

    def _filled(self, architecture: Architecture) -> Architecture:
        """``architecture``, or another that keeps the bounds and uses more of them, at best ``least``."""
        best, rng = self._fuller(architecture), Random(0)
        for _ in range(DRAWS):
            if (used := self.excess(best)) >= self.least - 1:
                break
            drawn = self.space.sample(rng)
            if used < self.excess(drawn) <= 0:
                best = self._fuller(drawn)
        return best

    def _fuller(self, architecture: Architecture) -> Architecture:
        """``architecture``, changed one choice at a time to what costs more within the bounds, until ``least`` of them is used."""
        used, better = self.excess(architecture), True
        while better and used < self.least - 1:
            better = False
            for other in self.space.neighbours(architecture):
                if used < (more := self.excess(other)) <= 0:
                    architecture, used, better = other, more, True
                    break
        return architecture

    def cheap(self) -> Architecture | None:
        """An architecture that keeps all bounds, where one is found.

        Raises ``InputError`` where the tables show that nothing keeps them, with the least that is possible, and where there are costs
        without a table and nothing that keeps the bounds is found by changing one choice at a time.
        """
        tables = {name: table for name in self.aims if isinstance(table := self.tables[name], dict)}
        kept: Architecture | None = None
        for name, table in tables.items():
            lowest = least(self.space, table)
            if lowest.bound > self.aims[name] * (1 + 1e-9):
                room = f", with {self.margin:.1%} left as a margin" if self.aims[name] < self.bounds[name] else ""
                possible = f"the least that is possible is {'' if lowest.exact else 'above '}{number(lowest.bound)}"
                raise InputError(f"no network of this space meets {name} <= {number(self.bounds[name])}{room}: {possible}")
            kept = kept or (lowest.architecture if self.excess(lowest.architecture) <= 0 else None)
        if kept is None and len(tables) > 1 and len(tables) == len(self.aims):
            kept = self._together(tables)
        return kept or (self._sought() if len(tables) < len(self.aims) else None)

    def _sought(self) -> Architecture:
        """An architecture that keeps the bounds; raises ``InputError`` where none is found."""
        found = sought(self.space, self.excess)
        if self.excess(found) > 0:
            bounds = " and ".join(f"{name} <= {number(bound)}" for name, bound in self.bounds.items())
            had = ", ".join(f"{name} {number(cost)}" for name, cost in self.costs(found).items() if name in self.aims)
            raise InputError(f"no network of this space was found that meets {bounds}; the nearest has {had}")
        return found

    def _together(self, tables: Mapping[str, Table]) -> Architecture | None:
        """An architecture that keeps several bounds, by the cheapest of weighted sums; raises ``InputError`` where there is none."""
        weights = dict.fromkeys(tables, 1.0)
        for _ in range(ROUNDS):
            total = sum(weights.values())
            joint: Table = {}
            for name, table in tables.items():
                for names, values in table.items():
                    joint[names] = joint.get(names, 0.0) + values * (weights[name] / total / self.aims[name])
            lowest = least(self.space, joint)
            if lowest.bound > 1 + 1e-9:  # a mean of the shares of the bounds: where it passes 1, one of them does
                bounds = " and ".join(f"{name} <= {number(self.bounds[name])}" for name in tables)
                had = ", ".join(f"{name} {number(cost)}" for name, cost in self.costs(lowest.architecture).items() if name in tables)
                raise InputError(f"no network of this space meets {bounds} together; near is one with {had}")
            near = self._nearer(lowest.architecture)
            if self.excess(near) <= 0:
                return near
            costs = self.costs(lowest.architecture)
            weights = {name: weight * math.exp(costs[name] / self.aims[name] - 1) for name, weight in weights.items()}
        return None

    def _nearer(self, architecture: Architecture) -> Architecture:
        """``architecture``, changed one choice at a time while that brings it nearer to the bounds."""
        over, tried = self.excess(architecture), 0
        while over > 0 and tried < NEAR:
            near = [(self.excess(other), other) for other in itertools.islice(self.space.neighbours(architecture), NEAR)]
            best = min(near, key=lambda pair: pair[0], default=(over, architecture))
            if best[0] >= over:
                break
            (over, architecture), tried = best, tried + len(near)
        return architecture

    def judged(self, costs: Mapping[str, float]) -> dict[str, dict[str, Any]]:
        """Each bound, and whether it holds of ``costs``."""
        return {name: {"bound": bound, "holds": bool(costs[name] <= bound)} for name, bound in self.bounds.items()}

    def costs(self, architecture: Architecture) -> dict[str, float]:
        """What an architecture costs, by every table."""
        whole = self.space.check(architecture)
        return {name: cost(whole) for name, cost in self._costs.items()}

    def excess(self, architecture: Architecture) -> float:
        """By which share the worst of ``aims`` is passed; at most 0 where all hold."""
        whole = self.space.check(architecture)
        return max(self._costs[name](whole) / aim - 1 for name, aim in self.aims.items())

    @cached_property
    def _costs(self) -> dict[str, Callable[[Architecture], float]]:
        """Each table -> what gives the cost of an architecture that decides every choice."""
        return {
            name: cost_of(self.space, table) if isinstance(table, dict) else partial(self._expected, table)
            for name, table in self.tables.items()
        }

    def _expected(self, table: Costing, architecture: Architecture) -> float:
        return float(table.expected(self.space, one_hot(self.space, architecture)))

    def for_gradient(self, pricing: Mapping[str, Any], chosen: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Settings for a gradient strategy: ``penalty`` and, where there are bounds, ``within``.

        ``pricing``: the price of the method's paper, for the first bound cost of ``COSTS``; other bounds are priced where they are passed.
        ``chosen``: settings of ``Price`` that differ, and ``cost``: what is priced, bound or not.
        """
        forms = self.forms(pricing, chosen)
        if not forms:
            return {}
        for name, form in forms.items():
            table = self.tables[name]
            if form["form"] != "reward" and not isinstance(table, dict) and table.opaque:
                raise InputError(table.opaque)
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


def bound_by(limits: Limits | None, objective: Objective) -> Objective:
    """``objective`` within ``limits``, where there are any."""
    return limits.on(objective) if limits else objective
