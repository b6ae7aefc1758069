"""The cells of ENAS' micro space, open and plain: Pham et al. 2018, section 2.4, https://arxiv.org/abs/1802.03268

A node adds up two operations, each on an earlier state, which may be the same; states that no node reads make the output. The
search cell (a reduction before it, one 1x1 convolution of the loose ends) and the cell of the evaluation network (strides in it, loose
ends side by side) differ as in https://github.com/melodyguan/enas/blob/master/src/cifar10/micro_child.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from supernet import ops
from supernet.layers.base import Searchable, When
from supernet.layers.one_of import OneOf
from supernet.layers.some_of import SomeOf
from supernet.space import Taken
from supernet.spaces.cell_network import Inputs

OPERATIONS = ("sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3", "skip_connect")  # in the order of the official numbers
SIDES = ("x", "y")  # of a node: the choice "normal.2.x" is what it reads, "normal.2.x.op" what it does to that


def operation(name: str, channels: int, stride: int) -> nn.Module:
    """One operation, of ``OPERATIONS`` or of NASNet's."""
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else ops.FactorizedReduce(channels, channels, relu=False)
    if name.startswith("sep_conv"):
        return ops.sep_conv(channels, int(name[-1]), stride)
    if name in ("dil_conv_3x3", "conv_7x1_1x7"):
        return ops.dil_conv(channels, 3, stride) if name == "dil_conv_3x3" else ops.conv_7x1_1x7(channels, stride)
    return ops.AvgPool(stride) if name == "avg_pool_3x3" else ops.MaxPool(stride)


def calibrated(inputs: int, channels: int) -> nn.Module:
    """What brings a state to the width of a cell; one that has it already stays as it is."""
    return nn.Identity() if inputs == channels else ops.relu_conv_norm(inputs, channels)


def before(inputs: Inputs, channels: int) -> tuple[nn.Module, nn.Module]:
    """What brings the two inputs of a cell to its width and to the size of the second."""
    first = ops.FactorizedReduce(inputs.first, channels) if inputs.shrink else calibrated(inputs.first, channels)
    return first, calibrated(inputs.second, channels)


class OpenCell(nn.Module):
    """The cell of the supernet. The weights of an operation belong to its node, its side and the state that it reads."""

    def __init__(self, kind: str, inputs: Inputs, channels: int, nodes: int, operations: Sequence[str]):
        super().__init__()
        self.before0, self.before1 = before(inputs, channels)
        reading = {f"{kind}.{i}.{side}": i for i in range(2, 2 + nodes) for side in SIDES}
        self.sides = nn.ModuleList(self._side(name, states, channels, operations) for name, states in reading.items())
        self.ends = LooseEnds(2 + nodes, channels, reading)
        self.channels = channels

    @staticmethod
    def _side(name: str, states: int, channels: int, operations: Sequence[str]) -> SomeOf:
        edges = [OneOf({o: operation(o, channels, 1) for o in operations}, name=f"{name}.op") for _ in range(states)]
        return SomeOf(edges, pick=(1, 1), name=name)

    def forward(self, s0: Tensor, s1: Tensor) -> Tensor:
        states = [self.before0(s0), self.before1(s1)]
        for x, y in zip(self.sides[::2], self.sides[1::2], strict=True):
            states.append(x(states) + y(states))
        out: Tensor = self.ends(states)
        return out


class Halved(nn.Module):
    """A step of the supernet before a reduction cell, whose operations all keep sizes: half of the second state."""

    def __init__(self, inputs: Inputs, channels: int):
        super().__init__()
        self.reduce, self.channels = ops.FactorizedReduce(inputs.second, channels, relu=False), channels

    def forward(self, s0: Tensor, s1: Tensor) -> Tensor:
        out: Tensor = self.reduce(s1)
        return out


class LooseEnds(Searchable):
    """A 1x1 convolution of the states that no node reads; in a blend each counts by how little it is read.

    ``reading``: the choices of what is read, each with the number of its states.
    """

    def __init__(self, states: int, channels: int, reading: Mapping[str, int]):
        super().__init__((), follows=tuple(reading))
        self.ends = nn.ModuleList()
        for state in range(states):
            end: nn.Module = nn.Sequential(ops.ReLU(), nn.Conv2d(channels, channels, 1, bias=False))
            for name, among in reading.items():
                end = Unread(state, name, among, end) if state < among else end
            self.ends.append(end)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        found = [end(state) for end, state in zip(self.ends, states, strict=True)]
        out: Tensor = self.norm(sum(x for x in found if x is not None))
        return out

    def derive(self, taken: Taken | None, *others: Taken | None) -> nn.Module:
        kept = unread(len(self.ends), others)
        ends = [end.plain if isinstance(end, Unread) else end for end in self.ends]
        return Ends([ends[i] for i in kept], kept, self.norm)


class Unread(Searchable):
    """Runs its body on a state as far as the choice ``name``, among states 0 to ``among`` - 1, takes another; where it takes this: None."""

    def __init__(self, state: int, name: str, among: int, body: nn.Module):
        super().__init__((), follows=(name,))
        self.state, self.body = state, body
        self.others_of: When = tuple((name, j) for j in range(among) if j != state)

    @property
    def plain(self) -> nn.Module:
        """What runs where no choice takes the state."""
        return self.body.plain if isinstance(self.body, Unread) else self.body

    def forward(self, x: Tensor) -> Tensor | None:
        weights, runs, _ = self.others[0]
        if runs == (self.state,):
            return None
        out: Tensor | None = self.body(x)
        if out is None or self.state not in runs:
            return out
        return out * (1 - (1 / len(runs) if weights is None else weights[self.state]))

    def under(self) -> list[tuple[nn.Module, When]]:
        return [(self.body, self.others_of)]


class Ends(nn.Module):
    """What stays of ``LooseEnds``."""

    def __init__(self, ends: Sequence[nn.Module], kept: Sequence[int], norm: nn.Module):
        super().__init__()
        self.ends, self.kept, self.norm = nn.ModuleList(ends), tuple(kept), norm

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        out: Tensor = self.norm(sum(end(states[i]) for end, i in zip(self.ends, self.kept, strict=True)))
        return out


class FixedCell(nn.Module):
    """The cell of the evaluation network; ``depth``: the share of the network that it ends, by which its paths are dropped."""

    def __init__(self, kind: str, inputs: Inputs, channels: int, architecture: Mapping[str, Any], depth: float):
        super().__init__()
        self.before0, first = before(inputs, channels)
        self.before1 = nn.Sequential(first, ops.relu_conv_norm(channels, channels))
        halves, nodes = 2 if kind == "reduce" else 1, sum(name.startswith(f"{kind}.") and name.endswith(".x") for name in architecture)
        self.reads, self.sides = [], nn.ModuleList()
        for name in (f"{kind}.{i}.{side}" for i in range(2, 2 + nodes) for side in SIDES):
            (source,), taken = architecture[name], str(architecture[f"{name}.op"])
            built = operation(taken, channels, halves if source < 2 else 1)
            self.reads.append(int(source))
            self.sides.append(built if taken == "skip_connect" else ops.droppable(built, depth))
        self.kept = unread(2 + nodes, [(source,) for source in self.reads])
        shrunk = [kind == "reduce" and i < 2 for i in self.kept]
        self.ends = nn.ModuleList(ops.FactorizedReduce(channels, channels, relu=False) if s else nn.Identity() for s in shrunk)
        self.channels = channels * len(self.kept)

    def forward(self, s0: Tensor, s1: Tensor) -> Tensor:
        states = [self.before0(s0), self.before1(s1)]
        for i in range(0, len(self.reads), 2):
            states.append(self.sides[i](states[self.reads[i]]) + self.sides[i + 1](states[self.reads[i + 1]]))
        return torch.cat([end(states[i]) for end, i in zip(self.ends, self.kept, strict=True)], 1)


def unread(states: int, reads: Sequence[Taken | None]) -> list[int]:
    """The states that are not among what is read."""
    there = {i for taken in reads if isinstance(taken, tuple) for i in taken}
    return [i for i in range(states) if i not in there]
