"""What a command learns and by which settings: the recipe of the task and of the space under what the user sets."""

from __future__ import annotations

from dataclasses import dataclass

from supernet.errors import InputError
from supernet.settings.commands import Retrain, Search
from supernet.settings.given import Settings
from supernet.spaces.record import Space
from supernet.tasks import kind_for
from supernet.tasks.kind import Kind


@dataclass(frozen=True)
class Recipe:
    """The kind of task of a command; of ``data``, what that task reads; settings of the training of ``weights``.

    ``strategy``: what is usual of a method that decides; the user's own settings go over it.
    """

    kind: type[Kind]
    data: Settings
    weights: Settings
    strategy: Settings


def recipe_of(settings: Search | Retrain, space: Space, task: str | None = None) -> Recipe:
    """The recipe of the space for this command, and of the ``task`` where the settings name none, under what is set.

    A learning rate that the recipe holds constant stays so where the user gives another. Raises ``InputError`` for a task that the space
    is not for, and for settings of data that the task does not read.
    """
    kind, command = kind_for(space.name, settings.task or task), settings.command
    recipes = kind.recipe[command], space.recipes.get(command, {})
    own = {section: {k: v for r in recipes for k, v in r.get(section, {}).items()} for section in ("data", "weights", "strategy")}
    data, usual = settings.data.model_dump(), type(settings.data)().model_dump()
    for name, value in data.items():
        if name not in kind.reads and value != usual[name]:
            raise InputError(f"data.{name} would have no effect: of data, the task {kind.name} reads {', '.join(kind.reads)}")
    given, weights = settings.weights, {**own["weights"], **settings.weights}
    if "lr" in given and "lr_min" not in given and own["weights"].get("lr_min", 0) == own["weights"].get("lr"):
        weights["lr_min"] = given["lr"]
    read = {name: own["data"].get(name) if value is None else value for name, value in data.items() if name in kind.reads}
    return Recipe(kind, read, weights, own["strategy"])
