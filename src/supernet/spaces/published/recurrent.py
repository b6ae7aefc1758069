"""Published recurrent cells as data, by name, each with its paper and the repository that it was read from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from supernet.errors import unknown
from supernet.genotype import RecurrentGenotype


@dataclass(frozen=True)
class PublishedRecurrent:
    """One published cell: ``space_module(space).network(genotype)`` builds its language model."""

    name: str
    space: str
    genotype: RecurrentGenotype
    paper: str
    repository: str  # URL
    original: str  # its name there


def published_recurrent(name: str) -> PublishedRecurrent:
    """The published recurrent cell of that name; raises ``InputError`` with the nearest name where there is none."""
    data = _data()
    if name not in data:
        raise unknown("published recurrent cell", name, data)
    entry = {k: v for k, v in data[name].items() if k != "genotype"}
    return PublishedRecurrent(name, "darts-rnn", RecurrentGenotype.parse(data[name]["genotype"]), **entry)


def recurrent_names() -> tuple[str, ...]:
    """The names of all published recurrent cells."""
    return tuple(_data())


@cache
def _data() -> dict[str, dict[str, str]]:
    data: dict[str, dict[str, str]] = json.loads(files(__package__).joinpath("recurrent.json").read_text(encoding="utf-8"))
    return data
