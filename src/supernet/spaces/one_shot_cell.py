"""The cells of One-Shot: four choice blocks, each of one or two inputs and one or two operations.

Bender et al. 2018, section 3, https://proceedings.mlr.press/v80/bender18a.html; the authors released no code. Choices: ``block.2.inputs``
says which earlier states block 2 adds up (0 and 1 are the cells before), ``block.2.operations`` which operations it adds up on that sum.
All cells are alike. Not the paper's but this package's: the output of a cell is all of its blocks side by side, and the two cells that
reduce are where DARTS has them and average their inputs, 3x3 at stride 2. So counts are not to be compared with the paper's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from supernet import ops
from supernet.errors import InputError, unknown
from supernet.genotype import whole_numbers
from supernet.layers.base import Supernet
from supernet.layers.some_of import SomeOf, SumOf
from supernet.settings.quantities import Channels, Classes, Layers, Shape
from supernet.space import Architecture
from supernet.spaces.cell_network import CellNetwork, Inputs, prepare
from supernet.spaces.pictured import Graph
from supernet.spaces.record import Build, Space, headed

NAME = "one-shot-cell"
CITATION = (
    "Bender et al. 2018: Understanding and Simplifying One-Shot Architecture Search, https://proceedings.mlr.press/v80/bender18a.html"
)
SAID = ("shape", "classes", "channels", "cells")
BLOCKS = range(2, 6)  # each is the state of its number
OPERATIONS: dict[str, Callable[[int], nn.Module]] = {  # of so many channels
    "skip_connect": lambda channels: nn.Identity(),
    "sep_conv_3x3": lambda channels: ops.sep_conv(channels, 3, 1),
    "sep_conv_5x5": lambda channels: ops.sep_conv(channels, 5, 1),
    "sep_conv_7x7": lambda channels: ops.sep_conv(channels, 7, 1),
    "conv_7x1_1x7": lambda channels: ops.conv_7x1_1x7(channels, 1),
    "max_pool_3x3": lambda channels: ops.MaxPool(1),
    "avg_pool_3x3": lambda channels: ops.AvgPool(1),
}
Block = Callable[[int, int], tuple[nn.Module, nn.Module]]  # its number, channels -> its sum of inputs, its sum of operations


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Settings of both networks; two of the ``cells`` reduce, and double the channels."""

    shape: Shape = (3, 32, 32)
    classes: Classes = 10
    channels: Channels = 16
    cells: Layers = 8


class Cell(nn.Module):
    """Bring two inputs to one size and width, run the blocks in order, concatenate what they give."""

    def __init__(self, kind: str, inputs: Inputs, channels: int, block: Block):
        super().__init__()
        self.before0, self.before1 = prepare(inputs, channels, affine=True)
        self.reduce = ops.AvgPool(2) if kind == "reduce" else nn.Identity()
        made = [block(i, channels) for i in BLOCKS]
        self.inputs, self.operations = nn.ModuleList(i for i, _ in made), nn.ModuleList(o for _, o in made)
        self.channels = channels * len(made)

    def forward(self, s0: Tensor, s1: Tensor) -> Tensor:
        states = [self.reduce(self.before0(s0)), self.reduce(self.before1(s1))]
        for inputs, operations in zip(self.inputs, self.operations, strict=True):
            states.append(operations([inputs(states)] * len(OPERATIONS)))
        return torch.cat(states[2:], 1)


def supernet(**settings: Any) -> Supernet:
    """The network that is searched: images ``(batch, *shape)`` -> logits (batch, classes); ``settings``: of ``Sizes``."""

    def block(i: int, channels: int) -> tuple[nn.Module, nn.Module]:
        inputs = SomeOf([nn.Identity() for _ in range(i)], pick=(1, 2), name=f"block.{i}.inputs")
        return inputs, SomeOf([make(channels) for make in OPERATIONS.values()], pick=(1, 2), name=f"block.{i}.operations")

    return Supernet(_network(Sizes(**settings), block))


def network(architecture: Mapping[str, Any] | str, **settings: Any) -> CellNetwork:
    """The network of an architecture or its notation; ``settings``: of ``Sizes``."""
    taken, makers = _taken(parse(architecture) if isinstance(architecture, str) else architecture), list(OPERATIONS.values())

    def block(i: int, channels: int) -> tuple[nn.Module, nn.Module]:
        inputs, operations = taken[i]
        return SumOf([nn.Identity() for _ in inputs], inputs), SumOf([makers[o](channels) for o in operations], operations)

    return _network(Sizes(**settings), block)


def _network(sizes: Sizes, block: Block) -> CellNetwork:
    def cell(kind: str, inputs: Inputs, channels: int) -> Cell:
        return Cell(kind, inputs, channels, block)

    return CellNetwork(cell, stem="cifar", stem_channels=sizes.channels, **vars(sizes))


def parse(text: str) -> Architecture:
    """Read ``one-shot-cell: 0 1 > sep_conv_3x3 | 2 > skip_connect max_pool_3x3 | ...``, inputs and operations of each block."""
    blocks = [block.split(">") for block in text.partition(":")[2].split("|")]
    if headed(text) != NAME or len(blocks) != len(BLOCKS) or any(len(block) != 2 for block in blocks):
        what = f"expected '{NAME}:' and {len(BLOCKS)} blocks, such as 0 1 > sep_conv_3x3 max_pool_3x3, with | between them"
        raise InputError(f"not a cell of {NAME}: {' '.join(text.split())[:80]!r}; {what}")
    architecture: Architecture = {}
    for i, (inputs, operations) in zip(BLOCKS, blocks, strict=True):
        if strange := [name for name in operations.split() if name not in OPERATIONS]:
            raise unknown(f"operation of {NAME}", strange[0], OPERATIONS)
        reads, does = sorted(whole_numbers(inputs) or []), sorted(list(OPERATIONS).index(name) for name in operations.split())
        if not all(len(one) in (1, 2) and len(set(one)) == len(one) for one in (reads, does)) or reads[-1] >= i:
            raise InputError(f"block {i} of {NAME} takes one or two of the states 0 to {i - 1}, and one or two different operations")
        architecture |= {f"block.{i}.inputs": tuple(reads), f"block.{i}.operations": tuple(does)}
    return architecture


def notation(architecture: Mapping[str, Any]) -> str:
    """Inputs and operations of each block, with ``|`` between blocks."""
    names = list(OPERATIONS)
    said = [f"{' '.join(map(str, reads))} > {' '.join(names[o] for o in does)}" for reads, does in _taken(architecture).values()]
    return f"{NAME}: {' | '.join(said)}"


def _taken(architecture: Mapping[str, Any]) -> dict[int, tuple[list[int], list[int]]]:
    """Inputs and operations of each block."""
    names = {i: (f"block.{i}.inputs", f"block.{i}.operations") for i in BLOCKS}
    if missing := [name for pair in names.values() for name in pair if name not in architecture]:
        raise InputError(f"the architecture does not decide {missing[0]}")
    return {i: (list(architecture[reads]), list(architecture[does])) for i, (reads, does) in names.items()}


def pictured(architecture: Mapping[str, Any]) -> dict[str, Graph]:
    """The cell: where a block has two inputs, a node "+" of its own adds them up before its operations."""
    names, edges = list(OPERATIONS), list[tuple[str, str, str]]()
    inputs = "c_{k-2}", "c_{k-1}"
    states = [*inputs, *(str(i) for i in BLOCKS)]
    for i, (reads, does) in _taken(architecture).items():
        source = states[reads[0]] if len(reads) == 1 else f"+{i}"
        edges += [(states[j], source, "") for j in reads if len(reads) > 1]
        edges += [(source, states[i], names[o]) for o in does]
    edges += [(states[i], "c_{k}", "") for i in BLOCKS]
    nodes = dict.fromkeys([*inputs, *(node for edge in edges for node in edge[:2])])
    return {f"Cell of {NAME}": Graph(list(nodes), edges, inputs, ("c_{k}",))}


ONE_SHOT_CELL = Space(
    NAME,
    CITATION,
    supernet=Build(f"the supernet of {NAME}", supernet, Sizes, SAID),
    network=Build(f"a network of {NAME}", network, Sizes, SAID),
    one_build=True,
    parse=parse,
    notation=notation,
    recognises=lambda text: headed(text) == NAME,
    recipes={"short": {"supernet": {"channels": 8, "cells": 3}}},
    pictured=pictured,
)
