"""What a run that is there was made with, as its command's model has it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from supernet.errors import InputError
from supernet.settings.commands import Retrain, Search
from supernet.settings.given import RESOLVED, checked

if TYPE_CHECKING:
    from supernet.plan.recipe import Recipe


def recipe_in(folder: Path) -> tuple[Recipe, int]:
    """What a search or a retraining learnt, and its seed; raises ``InputError``."""
    from supernet.naming.lookup import design
    from supernet.plan.recipe import recipe_of
    from supernet.run import read_config
    from supernet.spaces import space

    stored = read_config(folder)
    model: type[Search] | type[Retrain] = Search if stored.get("command") == "search" else Retrain
    try:
        settings = checked(model, {k: v for k, v in stored.items() if k != RESOLVED})
        return recipe_of(settings, space(design(str(folder)).space)), settings.seed
    except InputError as error:
        raise InputError(f"{folder / 'config.yaml'}: {error}") from error


def search_in(folder: Path, device: str | None = None) -> Search:
    """The settings of a search, without what only watched it or began it; ``device``: another one. Raises ``InputError``."""
    from supernet.run import read_config

    stored = {k: v for k, v in read_config(folder).items() if k not in (RESOLVED, "judge", "baseline", "initial")}
    if stored.get("command") != "search":
        raise InputError(f"{folder} is not a search: give the folder of a search that trained a supernet")
    try:
        return checked(Search, {**stored, **({"device": device} if device else {})})
    except InputError as error:
        raise InputError(f"{folder / 'config.yaml'}: {error}") from error
