"""How long a search may go on, as text: a number with a unit."""

from __future__ import annotations

import re
from collections.abc import Collection

from supernet.errors import InputError, unknown

UNITS = {"evals": "trials", "epochs": "epochs", "steps": "steps", "s": "seconds"}  # and the settings that they are
OF_TRAINING = tuple(unit for unit in UNITS if unit != "evals")


def budget_of(text: str, units: Collection[str] = tuple(UNITS)) -> tuple[int, str]:
    """(300, "evals") from 300evals; raises ``InputError`` for anything else, and for another unit than ``units``."""
    found = re.fullmatch(r"([0-9]{1,9})([a-z]+)", text.strip())
    if not found or int(found[1]) < 1:
        example = f"300{next(iter(units))}"
        raise InputError(f"--budget is a number with a unit ({', '.join(units)}), for example {example}, and below 10^9; got {text!r:.60}")
    if found[2] not in units:
        raise unknown("unit of --budget", found[2], units)
    return int(found[1]), found[2]
