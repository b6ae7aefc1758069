"""``auto``: which method is taken where the user names none, and why. The figures that it follows stand in docs/results.md."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from supernet.auto import EXAMPLES, FINALISTS, SCORED, SCORES, SCORES_WITHIN, USED
from supernet.errors import InputError
from supernet.finals import trainings
from supernet.plan.bounds import bounds_of
from supernet.plan.budget import UNITS
from supernet.settings.commands import Search
from supernet.settings.given import Settings, merged

Made = TypeVar("Made")

BUDGET = "600s"


@dataclass(frozen=True)
class Advice:
    """A ``method``, with the ``settings`` that lie under what the user sets, and ``why`` it is taken.

    ``length``: by an amount and its unit, the settings, in dotted names, that a budget is. ``within``: further settings of a search within
    bounds.
    """

    method: str
    settings: Settings
    why: str
    length: Callable[[int, str], Settings]
    within: Settings = field(default_factory=dict)

    def settled(self, settle: Callable[[Settings], Search]) -> Search:
        """The settings of a search, by what ``settle`` lays over those of the advice."""
        search = settle(self.settings)
        return settle(merged(self.settings, self.within)) if self.within and bounds_of(search.limits) else search

    @property
    def said(self) -> str:
        """The method and the reason, in a line."""
        return f"auto takes {self.method}: {self.why}"


def shared_out(amount: int, unit: str) -> Settings:
    """The finals' parts of a budget: epochs of each training, or steps or seconds of all."""
    return {"estimator.epochs": max(amount // trainings(FINALISTS), 1)} if unit == "epochs" else {UNITS[unit]: amount}


ADVICE = (  # the first that the networks and the data allow
    Advice(
        "evolution",
        {"trials": SCORED, "estimator": {"name": SCORES, "finals": FINALISTS}},
        "it climbs by scores of untrained networks, which rank well and cost little, and the best few are trained",
        shared_out,
        within={"estimator": {"name": SCORES_WITHIN}, "limits": {"least": USED}},
    ),
    Advice(
        "one-shot",
        {"estimator": {"finals": FINALISTS, "examples": EXAMPLES}},
        "a supernet shares its weights among all networks, and the best few by these are trained further",
        lambda amount, unit: {UNITS[unit]: amount},
        within={"limits": {"least": USED}},
    ),
)


def first(plan: Callable[[Advice], Made], able: Sequence[Advice] = ADVICE) -> Made:
    """What ``plan`` makes of the first advice that it does not refuse; those before it, and why not, are said.

    Raises what it refused the first with, where it refuses all.
    """
    refused: dict[str, InputError] = {}
    for advice in able:
        try:
            made = plan(advice)
        except InputError as error:
            refused[advice.method] = error
            continue
        for method, why in refused.items():
            print(f"note: auto cannot take {method}: {why}", file=sys.stderr)
        return made
    raise next(iter(refused.values()))
