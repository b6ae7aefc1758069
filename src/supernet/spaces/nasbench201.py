"""NAS-Bench-201: Dong, Yang 2020, https://arxiv.org/abs/2001.00326; https://github.com/D-X-Y/NAS-Bench-201

A cell has four nodes and one operation on each of its six edges; the last node is its output. Three stages of cells are
parted by residual blocks. The supernet's batch norms are affine-free and its convolutions have a bias, as in the code above.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet import ops
from supernet.errors import InputError, unknown
from supernet.genotype import whole_numbers
from supernet.layers.base import Supernet
from supernet.layers.one_of import OneOf
from supernet.quantities import Channels, Classes, Layers, Shape
from supernet.space import Architecture
from supernet.spaces.cell_network import check_sizes, conv_norm
from supernet.spaces.record import Build, Space, headed

NAME = "nasbench201"
CITATION = "Dong, Yang 2020: NAS-Bench-201: Extending the Scope of Reproducible NAS, https://arxiv.org/abs/2001.00326"
SAID = ("classes", "channels", "cells", "shape")

EDGES = ((1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2))  # (node, input)
BUILD: dict[str, Callable[[int, bool], nn.Module]] = {  # name -> (channels, affine) -> module
    "none": lambda c, affine: ops.Zero(1),
    "skip_connect": lambda c, affine: nn.Identity(),
    "nor_conv_1x1": lambda c, affine: ops.relu_conv_norm(c, c, 1, affine=affine, bias=not affine),
    "nor_conv_3x3": lambda c, affine: ops.relu_conv_norm(c, c, 3, affine=affine, bias=not affine),
    "avg_pool_3x3": lambda c, affine: ops.AvgPool(1),
}
OPERATIONS = tuple(BUILD)
NASLIB = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")  # its numbers; edges by their input first
NODE = r"\|(?:[^|~+]+~\d\|)+"


class Cell(nn.Module):
    """Every node adds up its edges from all nodes before it; the last one is the output."""

    def __init__(self, edges: Sequence[nn.Module]):
        super().__init__()
        self.edges = nn.ModuleList(edges)

    def forward(self, x: Tensor) -> Tensor:
        states: list[Tensor] = [x]
        for (node, source), edge in zip(EDGES, self.edges, strict=True):
            value = edge(states[source])
            if len(states) == node:
                states.append(value)
            else:
                states[node] = states[node] + value
        return states[-1]


class ResidualBlock(nn.Module):
    """Halve the size and change the width by two 3x3 convolutions beside average pooling and a 1x1 one."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.body = nn.Sequential(ops.relu_conv_norm(inputs, outputs, 3, 2), ops.relu_conv_norm(outputs, outputs, 3))
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        half = F.avg_pool2d(x, 2, 2, ceil_mode=True, count_include_pad=False)
        out: Tensor = self.body(x) + self.shortcut(half)
        return out


@dataclass(frozen=True, kw_only=True)
class NetworkSizes:
    """Settings of the network; ``cells``: a stage."""

    classes: Classes = 10
    channels: Channels = 16
    cells: Layers = 5
    shape: Shape = (3, 32, 32)


@dataclass(frozen=True, kw_only=True)
class Sizes(NetworkSizes):
    """Settings of the supernet; ``affine``: whether batch norms have weights, and convolutions then no bias."""

    affine: bool = False


class Net(nn.Module):
    """Stem, three stages of ``cells`` cells, batch norm, ReLU, global average pool, linear classifier."""

    def __init__(self, edges: Callable[[int], Sequence[nn.Module]], sizes: NetworkSizes):
        super().__init__()
        channels = sizes.channels
        check_sizes(sizes.shape, classes=(sizes.classes, 1), channels=(channels, 1), cells=(sizes.cells, 1))
        self.stem, self.body = conv_norm(sizes.shape[0], channels, 1), nn.ModuleList()
        for stage in range(3):
            if stage:
                self.body.append(ResidualBlock(channels, 2 * channels))
                channels *= 2
            self.body.extend(Cell(edges(channels)) for _ in range(sizes.cells))
        self.norm, self.classifier = nn.BatchNorm2d(channels), nn.Linear(channels, sizes.classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for part in self.body:
            x = part(x)
        logits: Tensor = self.classifier(torch.relu(self.norm(x)).mean((2, 3)))
        return logits


def supernet(**settings: Any) -> Supernet:
    """The network that is searched: images ``(batch, *shape)`` -> logits (batch, classes); ``settings``: of ``Sizes``."""
    sizes = Sizes(**settings)

    def edges(width: int) -> list[nn.Module]:
        return [OneOf({o: build(width, sizes.affine) for o, build in BUILD.items()}, name=f"{i}<{j}") for i, j in EDGES]

    return Supernet(Net(edges, sizes))


def network(architecture: Mapping[str, Any] | str, **settings: Any) -> Net:
    """The stand-alone network of the benchmark, for an architecture or its string; ``settings``: of ``NetworkSizes``."""
    taken = _operations(parse(architecture) if isinstance(architecture, str) else architecture)
    return Net(lambda width: [BUILD[o](width, True) for o in taken], NetworkSizes(**settings))


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
    _operations(architecture)
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
    taken = dict(zip(EDGES, _operations(architecture), strict=True))
    return "+".join("|" + "".join(f"{taken[i, j]}~{j}|" for j in range(i)) for i in (1, 2, 3))


def canonical(architecture: Mapping[str, Any]) -> str:
    """A string that equal cells share, as the benchmark tells them apart: 6,466 of the 15,625.

    A node is the sorted sum of what reaches it; a skip passes on the text of what it reads; ``#`` is zero and whatever is made
    of it. Cells with equal strings compute the same, but for constants that batch norms make of zeros. Some cells that compute
    the same keep different strings, because sums inside sums stay in their order.
    """
    nodes, taken = ["0"], dict(zip(EDGES, _operations(architecture), strict=True))

    def term(operation: str, text: str) -> str:
        if operation == "none" or text == "#":
            return "#"
        return text if operation == "skip_connect" else f"({text})@{operation}"

    for i in (1, 2, 3):
        nodes.append("+".join(sorted(term(taken[i, j], nodes[j]) for j in range(i))))
    return nodes[3]


def _operations(architecture: Mapping[str, Any]) -> list[str]:
    """The operation of each edge, in order."""
    taken = [architecture.get(f"{i}<{j}") for i, j in EDGES]
    for operation in taken:
        if operation not in OPERATIONS:
            raise unknown("operation", str(operation), OPERATIONS)
    return [str(operation) for operation in taken]


def recognises(text: str) -> bool:
    """Whether it begins with the space's name, names operations with their inputs, or is six digits."""
    named = re.search(r"~\s*\d", text) or ("nor_conv" in text and "(" in text)
    return headed(text) == NAME or bool(named) or len(whole_numbers(text) or ()) == len(EDGES)


NASBENCH201 = Space(
    NAME,
    CITATION,
    supernet=Build(f"the supernet of {NAME}", supernet, Sizes, SAID),
    network=Build(f"a network of {NAME}", network, NetworkSizes, SAID),
    parse=parse,
    notation=notation,
    recognises=recognises,
    recipes={
        "short": {"supernet": {"channels": 8, "cells": 2}},
        "paper": {  # all methods alike but for GDAS' length
            "data": {"batch_size": 64},
            "weights": {"lr": 0.025, "lr_min": 0.001, "decay": 5e-4, "nesterov": True},
        },
    },
)
