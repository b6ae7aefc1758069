"""The networks of NASNet and PNASNet as their authors train them, which DARTS' of the same cells are not.

Zoph et al. 2018, https://arxiv.org/abs/1707.07012; Liu et al. 2018, https://arxiv.org/abs/1712.00559. By
https://github.com/tensorflow/models/tree/master/research/slim/nets/nasnet: two reduction cells in the stem for ImageNet, states that
nothing brings to the width of the cell, and operations that do it themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from supernet import ops
from supernet.errors import InputError, unknown
from supernet.genotype import Cell as Edges
from supernet.spaces.cell_network import STEMS, check_sizes


class State(NamedTuple):
    """What a cell is fed: its channels, and how often its size was halved."""

    channels: int
    halved: int


class Cell(nn.Module):
    """Nodes that add up two operations each; states of another size or width are brought to those of the last where they are put out.

    ``first``: the state before the last; None: there is none, and the last stands for it as it is. ``stride``: of the operations on
    inputs. ``depth``: the share of the network that it ends, by which its paths are dropped.
    """

    def __init__(self, edges: Edges, concat: Sequence[int], first: State | None, second: State, channels: int, stride: int, depth: float):
        super().__init__()
        self.alone = first is None
        self.before0, width = previous(first, second, channels)
        self.before1 = ops.relu_conv_norm(second.channels, channels)
        widths = [width, channels, *[channels] * len(edges)]
        self.reads = [source for node in edges for _, source in node]
        built = [operation(o, widths[j], channels, stride if j < 2 else 1) for node in edges for o, j in node]
        self.sides = nn.ModuleList(ops.droppable(each, depth) for each in built)
        self.concat = tuple(concat)
        self.ends = nn.ModuleList(end(widths[i], channels, stride if i < 2 else 1) for i in self.concat)
        self.out = State(channels * len(self.concat), second.halved + (stride == 2))

    def forward(self, s0: Tensor, s1: Tensor) -> Tensor:
        states = [self.before0(s1 if self.alone else s0), self.before1(s1)]
        for i in range(0, len(self.reads), 2):
            states.append(self.sides[i](states[self.reads[i]]) + self.sides[i + 1](states[self.reads[i + 1]]))
        return torch.cat([end(states[i]) for end, i in zip(self.ends, self.concat, strict=True)], 1)


def previous(first: State | None, second: State, channels: int) -> tuple[nn.Module, int]:
    """What brings the state before the last to the size of the last, and its width then."""
    if first is None:
        return nn.Identity(), second.channels
    if first.halved < second.halved:
        return ops.FactorizedReduce(first.channels, channels), channels
    return nn.Identity() if first.channels == channels else ops.relu_conv_norm(first.channels, channels), channels


def operation(name: str, inputs: int, channels: int, stride: int) -> nn.Module:
    """One operation, which changes the width where ``inputs`` are not ``channels``."""
    same = inputs == channels
    if name == "skip_connect":
        return nn.Identity() if same and stride == 1 else ops.relu_conv_norm(inputs, channels, stride=stride)
    if name in ("avg_pool_3x3", "max_pool_3x3"):
        pool: nn.Module = ops.AvgPool(stride) if name == "avg_pool_3x3" else ops.MaxPool(stride)
        return pool if same else nn.Sequential(pool, nn.Conv2d(inputs, channels, 1, bias=False), nn.BatchNorm2d(channels))
    if name.startswith("sep_conv"):
        size = int(name[-1])
        return nn.Sequential(*separable(inputs, channels, size, stride), *separable(channels, channels, size, 1))
    if name == "dil_conv_3x3":
        return nn.Sequential(*separable(inputs, channels, 3, stride, 2))
    wide = nn.Conv2d(inputs, channels, (1, 7), (1, stride), (0, 3), bias=False)
    tall = nn.Conv2d(channels, channels, (7, 1), (stride, 1), (3, 0), bias=False)
    return nn.Sequential(ops.ReLU(), wide, tall, nn.BatchNorm2d(channels))


def separable(inputs: int, channels: int, size: int, stride: int, dilation: int = 1) -> list[nn.Module]:
    """ReLU, depthwise convolution, pointwise convolution, batch norm."""
    depthwise = nn.Conv2d(inputs, inputs, size, stride, dilation * (size // 2), dilation, groups=inputs, bias=False)
    return [ops.ReLU(), depthwise, nn.Conv2d(inputs, channels, 1, bias=False), nn.BatchNorm2d(channels)]


def end(inputs: int, channels: int, stride: int) -> nn.Module:
    """What brings a state that is put out to the size and width of the last."""
    if stride == 2:
        return ops.FactorizedReduce(inputs, channels, relu=False)
    return nn.Identity() if inputs == channels else nn.Sequential(nn.Conv2d(inputs, channels, 1, bias=False), nn.BatchNorm2d(channels))


class NASNet(nn.Module):
    """Stem, cells, global average pool, dropout, linear classifier: images ``(batch, *shape)`` -> logits (batch, classes).

    ``cell(kind, first, second, channels, depth)`` builds one; kinds are "normal" and "reduce". ``cells``: normal ones, two of which have a
    reduction cell before them, or, ``within``, are one themselves. ``auxiliary``: a second classifier before the second reduction, in
    training only; the network then returns (logits, auxiliary logits). Raises ``InputError`` for sizes that make no network.
    """

    def __init__(
        self,
        cell: Callable[[str, State | None, State, int, float], Cell],
        *,
        stem: str,
        stem_channels: int,
        classes: int,
        channels: int,
        cells: int,
        shape: Sequence[int],
        within: bool,
        dropout: float,
        auxiliary: bool,
    ):
        super().__init__()
        check_sizes(shape, classes=(classes, 1), channels=(channels, 8), cells=(cells, 3))
        if stem not in STEMS:
            raise unknown("stem", stem, STEMS)
        whole = stem == "imagenet"
        around = nn.Conv2d(shape[0], stem_channels, 3, 2 if whole else 1, 0 if whole else 1, bias=False)
        self.stem = nn.Sequential(around, nn.BatchNorm2d(stem_channels))
        reductions = [cells // 3, 2 * cells // 3]
        plan = [("reduce", channels // 4), ("reduce", channels // 2)] if whole else []
        before = len(plan)
        for i in range(cells):
            channels *= 2 if i in reductions else 1
            plan += [("reduce", channels)] if i in reductions else []
            plan += [("normal", channels)] if not (within and i in reductions) else []
            if i == reductions[1] - 1:
                self.read = len(plan) - 1
        first, second = None, State(stem_channels, 0)
        self.cells, self.auxiliary = nn.ModuleList(), None
        for i, (kind, width) in enumerate(plan):
            built = cell(kind, first, second, width, max(i + 1 - before, 0) / (len(plan) - before))
            self.cells.append(built)
            first, second = second, built.out
            if i == self.read and auxiliary:
                sides = [-(-((side - 1) // 2 if whole else side) // 2**second.halved) for side in shape[1:]]
                self.auxiliary = AuxiliaryHead(second.channels, classes, sides)
        self.dropout, self.classifier = nn.Dropout(dropout), nn.Linear(second.channels, classes)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        s0 = s1 = self.stem(x)
        auxiliary = None
        for i, cell in enumerate(self.cells):
            s0, s1 = s1, cell(s0, s1)
            if i == self.read and self.auxiliary is not None and self.training:
                auxiliary = self.auxiliary(s1)
        logits: Tensor = self.classifier(self.dropout(s1.relu().mean((2, 3))))
        return logits if auxiliary is None else (logits, auxiliary)


class AuxiliaryHead(nn.Module):
    """The second classifier: features of two ``sides`` -> (batch, classes); raises ``InputError`` where they are below 5."""

    def __init__(self, inputs: int, classes: int, sides: Sequence[int]):
        super().__init__()
        if min(sides) < 5:
            found = "x".join(map(str, sides))
            raise InputError(f"the auxiliary head averages windows of 5x5, and the features have {found}: use larger images")
        tall, wide = ((side - 5) // 3 + 1 for side in sides)
        narrow = [nn.ReLU(), nn.AvgPool2d(5, 3), nn.Conv2d(inputs, 128, 1, bias=False), nn.BatchNorm2d(128), nn.ReLU()]
        whole = [nn.Conv2d(128, 768, (tall, wide), bias=False), nn.BatchNorm2d(768), nn.ReLU()]
        self.features, self.classifier = nn.Sequential(*narrow, *whole), nn.Linear(768, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x).flatten(1))
        return logits
