"""Genotypes of DARTS' cells and choices of the supernet, each from the other; the notation of both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from supernet.errors import InputError
from supernet.genotype import OPERATIONS, Genotype
from supernet.genotype import Cell as Edges
from supernet.space import Architecture


def parse(text: str) -> Genotype:
    """Read the notation of DARTS."""
    return Genotype.parse(text)


def notation(architecture: Genotype | Mapping[str, Any]) -> str:
    """The notation of DARTS."""
    return str(to_genotype(architecture))


def to_genotype(architecture: Genotype | Mapping[str, Any], nodes: int | None = None) -> Genotype:
    """What an architecture of the supernet is in the papers' terms; ``nodes`` a cell, by default as many as it names.

    A genotype is one already.
    """
    if isinstance(architecture, Genotype):
        return architecture
    if nodes is None:
        nodes = sum(name.startswith("normal.") and "<" not in name for name in architecture)
    cells: dict[str, Edges | None] = {"reduce": None}
    for kind in ("normal", "reduce") if any(name.startswith("reduce.") for name in architecture) else ("normal",):
        if missing := [f"{kind}.{i}" for i in range(2, 2 + nodes) if f"{kind}.{i}" not in architecture]:
            raise InputError(f"the architecture does not decide {missing[0]}")
        edges = [[(f"{kind}.{i}<{j}", int(j)) for j in architecture[f"{kind}.{i}"]] for i in range(2, 2 + nodes)]
        if missing := [name for node in edges for name, _ in node if name not in architecture]:
            raise InputError(f"the architecture does not decide {missing[0]}")
        cells[kind] = tuple(tuple((str(architecture[name]), j) for name, j in node) for node in edges)
    concat = tuple(range(2, 2 + nodes))
    normal = cells["normal"]
    assert normal is not None
    return Genotype(normal, concat, cells["reduce"], concat)


def to_architecture(genotype: Genotype) -> Architecture:
    """The choices of the supernet that give ``genotype``; raises ``InputError`` where there are none."""
    architecture: Architecture = {}
    for kind, edges, concat in (("normal", genotype.normal, genotype.normal_concat), ("reduce", genotype.reduce, genotype.reduce_concat)):
        if edges is None:
            continue
        if sorted(concat) != list(range(2, 2 + len(edges))):
            raise InputError(f"{kind} does not concatenate all of its nodes, which the search space always does")
        for i, node in enumerate(edges, start=2):
            found = {j: operation for operation, j in node}
            if len(node) != 2 or len(found) != 2:
                raise InputError(f"node {i} of {kind} has not two different inputs, which the search space always keeps")
            architecture[f"{kind}.{i}"] = tuple(sorted(found))
            for j, operation in sorted(found.items()):
                if operation not in OPERATIONS or operation == "none":
                    raise InputError(f"the search space cannot choose {operation} (node {i} of {kind})")
                architecture[f"{kind}.{i}<{j}"] = operation
    return architecture
