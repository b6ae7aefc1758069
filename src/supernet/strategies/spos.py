"""Single Path One-Shot: Guo et al. 2020, https://arxiv.org/abs/1904.00420; https://github.com/megvii-model/SinglePathOneShot

A path is drawn in every step, uniformly, or from those whose cost lies in a range; a searcher picks one
afterwards, by default ``genetic``, the evolution of the paper.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar, Literal

from torch import nn

from supernet.costs.least import least as cheapest
from supernet.costs.table import cost_of, count_tables
from supernet.errors import InputError, unknown
from supernet.layers.base import Supernet
from supernet.settings.quantities import Count, Counted
from supernet.strategies.lessons import Lessons, by_cost, uniform
from supernet.strategies.one_shot import Objective, OneShot, taught
from supernet.strategies.weights import Schedule, Weights
from supernet.task import Task

Costs = Literal["macs", "params", "activations", "storage", "bit_operations"]


def linear(done: float) -> float:
    """Share of the training -> factor of the learning rate, which falls to 0."""
    return 1 - done


def falling(model: nn.Module, *, nesterov: bool | None = None, schedule: Schedule = linear, **settings: Any) -> Weights:
    """``Weights`` whose rate falls linearly; ``settings``: of ``Weights``."""
    return Weights(model, nesterov=nesterov, schedule=schedule, **settings)


class SPOS(OneShot):
    """One-shot training by single paths, with a rate that falls by a line: 0.05 for batches of about 100; the code has 0.5 for 1,024.

    ``least``, ``most``, ``cost``, ``bins``: where any is given, paths are drawn whose ``cost`` ("macs" unless given) lies between ``least``
    and ``most``, at most from what the cheapest to what the dearest costs, each of ``bins`` (7) equal parts of that range equally
    often. The code has 290 to 360 million multiply-adds. The cost is counted on the supernet that is trained.
    ``objective``, ``weights``, ``seed``: as of ``OneShot``.
    Raises ``InputError`` for a range in which no path lies.
    """

    trainer: ClassVar[Callable[..., Weights]] = staticmethod(falling)
    recipe: ClassVar[Mapping[str, Any]] = {"lr": 0.05, "decay": 4e-5}
    searched_by: ClassVar[str] = "genetic"

    def __init__(
        self,
        supernet: Supernet,
        task: Task,
        *,
        least: Counted | None = None,
        most: Counted | None = None,
        cost: Costs | None = None,
        bins: Count | None = None,
        objective: Objective = taught,
        weights: Callable[[nn.Module], Weights] | Mapping[str, Any] | None = None,
        seed: int = 0,
    ):
        self.range: dict[str, Any] = {}
        lessons: Lessons = uniform
        if any(given is not None for given in (least, most, cost, bins)):
            self.range, lessons = within(supernet, task, cost or "macs", least, most, bins or 7)
        super().__init__(supernet, task, lessons=lessons, objective=objective, weights=weights, seed=seed)

    @property
    def resolved(self) -> dict[str, Any]:
        return self.range


def within(supernet: Supernet, task: Task, cost: str, least: float | None, most: float | None, bins: int) -> tuple[dict[str, Any], Lessons]:
    """The range of costs that paths are drawn in, and the lessons that draw them; raises ``InputError`` where no path lies in it."""
    space, tables = supernet.space, count_tables(supernet, *task.sample(1))
    if cost not in tables:
        raise unknown("cost", cost, tables)
    table = tables[cost]
    low, high = cheapest(space, table).bound, -cheapest(space, {names: -values for names, values in table.items()}).bound
    bottom, top = max(low, least or low), min(high, most or high)
    if bottom > top:
        asked = f"{'the least' if least is None else f'{least:g}'} to {'the most' if most is None else f'{most:g}'}"
        raise InputError(f"the {cost} of paths must lie in {asked}, and those of this supernet have {low:g} to {high:g}")
    spread: dict[str, Any] = {"least": bottom, "most": top, "bins": bins}
    return {"cost": cost, **spread}, partial(by_cost, cost=cost_of(space, table), **spread)
