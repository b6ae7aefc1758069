"""A comparison on a benchmark table before it is made: which searchers, on which choices, for which goals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from supernet.costs.objective import Objective
from supernet.errors import InputError, unknown, without_effect
from supernet.estimators.tabular import Table
from supernet.plan.bounds import bounds_of
from supernet.plan.goals import goals_of
from supernet.plan.resolved import searcher_of
from supernet.plan.scoring import Asking, asking_of, scored_by, table_of
from supernet.plan.supernets import sizes_of, sketch
from supernet.searchers import SEARCHERS
from supernet.settings.commands import Compare, Search
from supernet.settings.given import Settings
from supernet.spaces import space as space_named
from supernet.study.on_table import Study

ALL = "all"  # stands for every searcher that fits the table


@dataclass(frozen=True)
class Planned:
    """A ``study`` in a space of that name. ``resolved``: searcher -> all its settings; ``left_out``: searcher -> why it does not fit."""

    study: Study
    space: str
    resolved: Mapping[str, Settings]
    left_out: Mapping[str, str]


def plan_study(settings: Compare, searches: Mapping[str, Search], every: bool, amount: int) -> Planned:
    """The study of searchers by name, with the settings of their searches; ``every``: those that do not fit are left out.

    Raises ``InputError`` for what does not go together.
    """
    table, objective = table_in(settings), goals(settings)
    for what, names in {"bound": objective.limits, "goal": [*objective.maximise, *objective.minimise]}.items():
        for name in (name for name in names if name not in {"validation", *table.priced}):
            raise unknown(f"{what} on this table", name, [*table.priced])
    askings, left_out = {}, {}
    for name, search in searches.items():
        try:
            askings[name] = fitting(search, table, amount)
        except InputError as error:
            if not every:
                raise
            left_out[name] = str(error)
    searchers = {name: (asking.name, asking.settings) for name, asking in askings.items()}
    study = Study(table, looked_at(settings.at, amount), objective, searchers)
    resolved = {name: {"searcher": searcher_of(asking, table.space())} for name, asking in askings.items()}
    return Planned(study, settings.space or Path(str(settings.table.file)).stem, resolved, left_out)


def table_in(settings: Compare) -> Table:
    """The benchmark table, over the choices of the space that was named, else over its own."""
    if settings.space is None:
        if idle := next((name for name in ("supernet", "network", "task") if getattr(settings, name)), None):
            raise without_effect(idle, "without --space the choices are the table's own")
        return table_of(settings.table, None)
    space = space_named(settings.space)
    return table_of(settings.table, sketch(space, sizes_of(space, None, {}, settings.supernet)).space)


def goals(settings: Compare) -> Objective:
    """What the searchers are after, with the bounds."""
    found = goals_of(settings.objective, scored_by(settings.estimator.name, "table", "compare"), None)
    return Objective(found.maximise, found.minimise, bounds_of(settings.limits))


def fitting(search: Search, table: Table, amount: int) -> Asking:
    """A searcher with its settings; raises ``InputError`` where it does not fit the table."""
    asking = asking_of(str(search.method), search.searcher, 0, amount)
    if not table.shares:
        asking.check_parts(table.space(), "table", "name a column of shorter trainings, such as --set table.cheaper.val12=0.06")
    asking.on(table.space()).ask()
    return asking


def looked_at(asked: tuple[int, ...] | None, amount: int) -> tuple[int, ...]:
    """After how many estimates results are looked at, ascending, the budget last; raises ``InputError`` for more than it."""
    if asked and max(asked) > amount:
        raise InputError(f"at must be within the budget of {amount} estimates; got {max(asked)}")
    return tuple(sorted({*(asked or ()), amount}))


def expanded(names: list[str]) -> tuple[list[str], bool]:
    """The names, with every searcher in the place of ``all``, and whether it was there."""
    return [known for name in names for known in (SEARCHERS if name == ALL else [name])], ALL in names
