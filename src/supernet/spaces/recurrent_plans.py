"""Genotypes of recurrent cells and choices of the supernet, each from the other; the notation of both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from supernet.errors import InputError
from supernet.genotype import RecurrentGenotype
from supernet.space import Architecture


def parse(text: str) -> RecurrentGenotype:
    """Read the notation of DARTS."""
    return RecurrentGenotype.parse(text)


def notation(architecture: RecurrentGenotype | Mapping[str, Any]) -> str:
    """The notation of DARTS."""
    return str(to_genotype(architecture))


def to_genotype(architecture: RecurrentGenotype | Mapping[str, Any]) -> RecurrentGenotype:
    """What an architecture of the supernet is in the paper's terms; a genotype is one already."""
    if isinstance(architecture, RecurrentGenotype):
        return architecture
    nodes = sum("<" not in name for name in architecture)
    edges = []
    for i in range(1, nodes + 1):
        if str(i) not in architecture:
            raise InputError(f"the architecture does not decide {i}")
        (source,) = architecture[str(i)]
        if (name := f"{i}<{source}") not in architecture:
            raise InputError(f"the architecture does not decide {name}")
        edges.append((str(architecture[name]), int(source)))
    return RecurrentGenotype(tuple(edges), tuple(range(1, nodes + 1)))


def to_architecture(genotype: RecurrentGenotype) -> Architecture:
    """The choices of the supernet that give ``genotype``; raises ``InputError`` where it leaves nodes out of the mean."""
    if sorted(genotype.concat) != list(range(1, len(genotype.recurrent) + 1)):
        raise InputError("the recurrent cell does not average all of its nodes, which the search space always does")
    architecture: Architecture = {}
    for i, (activation, source) in enumerate(genotype.recurrent, start=1):
        architecture |= {str(i): (source,), f"{i}<{source}": activation}
    return architecture
