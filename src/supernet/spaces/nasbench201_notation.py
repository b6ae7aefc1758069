"""The notation of NAS-Bench-201's cells, as its authors and others write them: Dong, Yang 2020, https://arxiv.org/abs/2001.00326"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any

from supernet.errors import InputError, unknown
from supernet.genotype import whole_numbers
from supernet.space import Architecture
from supernet.spaces.record import headed

NAME = "nasbench201"
EDGES = ((1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2))  # (node, input)
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
NASLIB = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")  # its numbers; edges by their input first
NODE = r"\|(?:[^|~+]+~\d\|)+"


def parse(text: str) -> Architecture:
    """Read ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``, also within a line of a log; an edge that is left out is ``none``.

    Also a list of edges for each node, ``[[(op, 0)], [(op, 0), (op, 1)], [...]]``, and, behind ``nasbench201:``, the numbers of the
    six operations as the benchmark orders operations and edges. Raises ``InputError``, for bare numbers with the cells they may mean.
    """
    said, named = re.subn(rf"^\s*{NAME}\s*:", "", text)
    if (numbers := whole_numbers(said)) is not None:
        return _of_numbers(numbers, text if not named else "")
    compact = re.sub(r"\s+", "", said)
    cells = list(dict.fromkeys(re.findall(rf"{NODE}(?:\+{NODE})*", compact))) or [_nested(said)]
    nodes = cells[0].split("+")
    edges = [(i, int(j), o) for i, node in enumerate(nodes, start=1) for o, j in re.findall(r"([^|~]+)~(\d)", node)]
    found = {(i, j): o for i, j, o in edges}
    if len(cells) > 1 or len(nodes) != 3 or set(found) - set(EDGES) or len(found) < len(edges):
        many = f"; the text holds {len(cells)} cells, give one" if len(cells) > 1 else ""
        raise InputError(f"not a NAS-Bench-201 cell: {text.strip()[:80]!r}; expected |op~0|+|op~0|op~1|+|op~0|op~1|op~2|{many}")
    architecture: Architecture = {f"{i}<{j}": found.get((i, j), "none") for i, j in EDGES}
    operations_of(architecture)
    return architecture


def _of_numbers(numbers: Sequence[int], bare: str) -> Architecture:
    """The cell of six operation numbers; raises ``InputError`` where they are ``bare``, as programs number in two ways."""
    if len(numbers) != len(EDGES) or not all(n < len(OPERATIONS) for n in numbers):
        raise InputError(f"not a NAS-Bench-201 cell: {numbers}; expected {len(EDGES)} numbers from 0 to {len(OPERATIONS) - 1}")
    architecture: Architecture = {f"{i}<{j}": OPERATIONS[n] for (i, j), n in zip(EDGES, numbers, strict=True)}
    other = {f"{i}<{j}": NASLIB[n] for (j, i), n in zip(sorted((j, i) for i, j in EDGES), numbers, strict=True)}
    if bare and other != architecture:
        ways = f"{notation(architecture)} as the benchmark numbers operations and edges, {notation(other)} as NASLib does"
        raise InputError(f"{bare.strip()[:40]} may mean two cells of NAS-Bench-201: {ways}; give the one that is meant")
    return architecture


def _nested(text: str) -> str:
    """The benchmark's string of a list of (operation, input) for each node, as programs hold a cell; empty where it is none."""
    try:
        nodes = ast.literal_eval(text.strip())
        return "+".join("|" + "".join(f"{o}~{int(j)}|" for o, j, *_ in node) for node in nodes)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return ""


def notation(architecture: Mapping[str, Any]) -> str:
    """The benchmark's string."""
    taken = dict(zip(EDGES, operations_of(architecture), strict=True))
    return "+".join("|" + "".join(f"{taken[i, j]}~{j}|" for j in range(i)) for i in (1, 2, 3))


def canonical(architecture: Mapping[str, Any]) -> str:
    """A string that equal cells share, as the benchmark tells them apart: 6,466 of the 15,625.

    A node is the sorted sum of what reaches it; a skip passes on the text of what it reads; ``#`` is zero and whatever is made
    of it. Cells with equal strings compute the same, but for constants that batch norms make of zeros. Some cells that compute
    the same keep different strings, because sums inside sums stay in their order.
    """
    nodes, taken = ["0"], dict(zip(EDGES, operations_of(architecture), strict=True))

    def term(operation: str, text: str) -> str:
        if operation == "none" or text == "#":
            return "#"
        return text if operation == "skip_connect" else f"({text})@{operation}"

    for i in (1, 2, 3):
        nodes.append("+".join(sorted(term(taken[i, j], nodes[j]) for j in range(i))))
    return nodes[3]


def operations_of(architecture: Mapping[str, Any]) -> list[str]:
    """The operation of each edge, in order; raises ``InputError`` where one is missing or unknown."""
    taken = [architecture.get(f"{i}<{j}") for i, j in EDGES]
    for operation in taken:
        if operation not in OPERATIONS:
            raise unknown("operation", str(operation), OPERATIONS)
    return [str(operation) for operation in taken]


def recognises(text: str) -> bool:
    """Whether it begins with the space's name, names operations with their inputs, or is six digits."""
    named = re.search(r"~\s*\d", text) or ("nor_conv" in text and "(" in text)
    return headed(text) == NAME or bool(named) or len(whole_numbers(text) or ()) == len(EDGES)
