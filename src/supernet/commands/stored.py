"""The settings of a run that is there, as its command's model has them."""

from __future__ import annotations

from pathlib import Path

from supernet.commands.retrain import Retrain
from supernet.commands.search import Search
from supernet.errors import InputError
from supernet.settings.given import RESOLVED, Settings, checked


def settings_of(folder: Path) -> Settings:
    """The settings of a search or a retraining, over the recipe of its space; raises ``InputError``."""
    from supernet.naming.lookup import design
    from supernet.plan.recipe import with_recipe
    from supernet.run import read_config

    stored = read_config(folder)
    model = Search if stored.get("command") == "search" else Retrain
    try:
        return with_recipe(checked(model, {k: v for k, v in stored.items() if k != RESOLVED}), design(str(folder)).space)
    except InputError as error:
        raise InputError(f"{folder / 'config.yaml'}: {error}") from error
