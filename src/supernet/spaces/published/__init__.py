"""Published networks as data, by name, each with its paper and the repository that it was read from.

Cells carry what their repository's evaluation network does otherwise than DARTS': batch norm behind pooling (GDAS, DrNAS) and
the second batch norm of the ImageNet auxiliary head (P-DARTS).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from supernet.errors import unknown
from supernet.genotype import Genotype


@dataclass(frozen=True)
class Paper:
    """Where a network was published."""

    title: str
    authors: str
    year: int
    url: str

    def __str__(self) -> str:
        return f"{self.authors} {self.year}: {self.title}, {self.url}"


@dataclass(frozen=True)
class Published:
    """One published network: ``space_module(space).network(genotype, **settings)`` builds it."""

    name: str
    space: str
    genotype: Genotype
    paper: Paper
    repository: str  # URL
    original: str  # its name there
    auxiliary_norm: bool
    pool_norm: bool

    @property
    def settings(self) -> dict[str, bool]:
        """What its repository sets otherwise in ``network``."""
        return {"auxiliary_norm": self.auxiliary_norm, "pool_norm": self.pool_norm}


def published(name: str) -> Published:
    """The published network of that name; raises ``InputError`` with the nearest name where there is none."""
    cells = _data()["cells"]
    if name not in cells:
        raise unknown("published architecture", name, cells)
    entry = cells[name]
    repository = _data()["repositories"][entry["repository"]]
    return Published(
        name=name,
        space="darts",
        genotype=Genotype.parse(entry["genotype"]),
        paper=Paper(**_data()["papers"][entry["paper"]]),
        repository=repository["url"],
        original=entry["name"],
        auxiliary_norm=repository["auxiliary_norm"],
        pool_norm=repository["pool_norm"],
    )


def names() -> tuple[str, ...]:
    """The names of all published networks."""
    return tuple(_data()["cells"])


@cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(files(__package__).joinpath("cells.json").read_text(encoding="utf-8"))
    return data
