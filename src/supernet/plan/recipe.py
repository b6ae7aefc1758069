"""The settings that follow from what a command learns: the kind of task, and the recipe under what the user sets."""

from __future__ import annotations

from supernet.errors import InputError
from supernet.settings.given import Settings
from supernet.settings.sections import DataSettings, RetrainDataSettings
from supernet.spaces import space as space_named
from supernet.strategies import STRATEGIES
from supernet.tasks import kind_for

USUAL: Settings = {"search": DataSettings().model_dump(), "retrain": RetrainDataSettings().model_dump()}  # the section ``data``


def with_recipe(settings: Settings, space: str) -> Settings:
    """``settings`` with the task's name, over the recipe of the task and of the space for this command; of ``data``, what the task reads.

    A learning rate that the recipe holds constant stays so where the user gives another. Raises ``InputError`` for a task that the space
    is not for, and for settings of data that the task does not read.
    """
    kind, command = kind_for(space, settings["task"]), settings["command"]
    recipes = kind.recipe[command], space_named(space).recipes.get(command, {})
    own = {section: {k: v for r in recipes for k, v in r.get(section, {}).items()} for section in ("data", "weights", "strategy")}
    given, data, weights = settings["weights"], settings["data"], {**own["weights"], **settings["weights"]}
    for name, value in data.items():
        if name not in kind.reads and value != USUAL[command][name]:
            raise InputError(f"data.{name} would have no effect: of data, the task {kind.name} reads {', '.join(kind.reads)}")
    if "lr" in given and "lr_min" not in given and own["weights"].get("lr_min", 0) == own["weights"].get("lr"):
        weights["lr_min"] = given["lr"]
    read = {k: own["data"].get(k) if data[k] is None else data[k] for k in data if k in kind.reads}
    whole = {**settings, "task": kind.name, "data": read, "weights": weights}
    method = STRATEGIES.get(settings.get("method", ""))
    if method and method.load(space).decides:
        whole["strategy"] = {**own["strategy"], **settings["strategy"]}
    return whole
