"""Networks of repeated cells, open or plain: the frame that the supernet and the evaluation network of DARTS share.

Liu et al. 2019, sections 3.1 and A.2, https://arxiv.org/abs/1806.09055; https://github.com/quark0/darts/blob/master/cnn/model.py
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from supernet import ops
from supernet.errors import InputError, unknown

STEMS = ("cifar", "imagenet")


class Inputs(NamedTuple):
    """What a cell is fed: the channels of the two outputs before it, and whether the first is twice as large."""

    first: int
    second: int
    shrink: bool


class Cell(nn.Module):
    """Bring two inputs to one size and width, run the nodes in order, concatenate the states ``concat``.

    ``nodes``: each maps the list of the states before it to the next state.
    """

    def __init__(self, inputs: Inputs, channels: int, nodes: Sequence[nn.Module], concat: Sequence[int], affine: bool):
        super().__init__()
        self.before0, self.before1 = prepare(inputs, channels, affine)
        self.nodes, self.concat = nn.ModuleList(nodes), tuple(concat)
        self.channels = channels * len(self.concat)

    def forward(self, s0: Tensor, s1: Tensor) -> Tensor:
        states = [self.before0(s0), self.before1(s1)]
        for node in self.nodes:
            states.append(node(states))
        return torch.cat([states[i] for i in self.concat], 1)


class FixedReductionCell(nn.Module):
    """The hand-designed reduction cell of GDAS; ``channels`` must be a multiple of 8.

    Dong, Yang 2019, section 3.3, https://arxiv.org/abs/1910.04465; the released code pools the two inputs, not the branches,
    and keeps the batch norms affine in the search too.
    """

    def __init__(self, inputs: Inputs, channels: int):
        super().__init__()
        if channels % 8:
            raise InputError(f"the fixed reduction cell needs a multiple of 8 channels; got {channels}")
        self.before0, self.before1 = prepare(inputs, channels, affine=True)
        parts = [self._branch(channels), self._branch(channels), self._pool(channels), self._pool(channels)]
        self.parts = nn.ModuleList(ops.droppable(part) for part in parts)
        self.channels = 4 * channels

    @staticmethod
    def _branch(c: int) -> nn.Sequential:
        return nn.Sequential(
            ops.ReLU(),
            nn.Conv2d(c, c, (1, 3), (1, 2), (0, 1), groups=8, bias=False),
            nn.Conv2d(c, c, (3, 1), (2, 1), (1, 0), groups=8, bias=False),
            nn.BatchNorm2d(c),
            ops.relu_conv_norm(c, c),
        )

    @staticmethod
    def _pool(c: int) -> nn.Sequential:
        return nn.Sequential(ops.MaxPool(2), nn.BatchNorm2d(c))

    def forward(self, s0: Tensor, s1: Tensor) -> Tensor:
        states = [self.before0(s0), self.before1(s1)]
        return torch.cat([part(states[i % 2]) for i, part in enumerate(self.parts)], 1)


class CellNetwork(nn.Module):
    """Stem, cells of which two reduce, global average pool, linear classifier: images ``(batch, *shape)`` -> logits (batch, classes).

    ``cell(kind, inputs, channels)`` builds one cell, with its output's width as ``channels``; kinds are "normal" and "reduce".
    ``stem_channels``: the width of the first states.
    ``auxiliary``: ``head(inputs, classes)`` of a second classifier after the last reduction, which runs in training only; the
    network then returns (logits, auxiliary logits).
    Raises ``InputError`` for sizes that make no network.
    """

    def __init__(
        self,
        cell: Callable[[str, Inputs, int], nn.Module],
        *,
        stem: str,
        stem_channels: int,
        classes: int,
        channels: int,
        cells: int,
        shape: Sequence[int],
        auxiliary: Callable[[int, int], nn.Module] | None = None,
    ):
        super().__init__()
        check_sizes(shape, classes=(classes, 1), channels=(channels, 2), cells=(cells, 1))
        self.stem0, self.stem1, inputs = stems(stem, shape[0], stem_channels)
        reductions = {cells // 3, 2 * cells // 3}
        self.last_reduction = max(reductions)
        self.cells, self.auxiliary = nn.ModuleList(), None
        for i in range(cells):
            kind = "reduce" if i in reductions else "normal"
            channels *= 2 if kind == "reduce" else 1
            built = cell(kind, inputs, channels)
            self.cells.append(built)
            inputs = Inputs(inputs.second, int(built.channels), kind == "reduce")  # type: ignore[arg-type]
            if i == self.last_reduction and auxiliary:
                for side in shape[1:]:
                    ops.window(-(-side // 2 ** (len(reductions) + (3 if stem == "imagenet" else 0))))
                self.auxiliary = auxiliary(inputs.second, classes)
        self.classifier = nn.Linear(inputs.second, classes)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        s0 = self.stem0(x)
        s1 = self.stem1(s0)
        auxiliary = None
        for i, cell in enumerate(self.cells):
            s0, s1 = s1, cell(s0, s1)
            if i == self.last_reduction and self.auxiliary is not None and self.training:
                auxiliary = self.auxiliary(s1)
        logits: Tensor = self.classifier(s1.mean((2, 3)))
        return logits if auxiliary is None else (logits, auxiliary)


def prepare(inputs: Inputs, channels: int, affine: bool) -> tuple[nn.Module, nn.Module]:
    """What brings the two inputs of a cell to its width and to the size of the second."""
    first = ops.FactorizedReduce if inputs.shrink else ops.relu_conv_norm
    return first(inputs.first, channels, affine=affine), ops.relu_conv_norm(inputs.second, channels, affine=affine)


def stems(stem: str, colours: int, channels: int) -> tuple[nn.Module, nn.Module, Inputs]:
    """What makes the first two states, at full size ("cifar") or at a quarter and an eighth of it ("imagenet")."""
    if stem == "cifar":
        return conv_norm(colours, channels, 1), nn.Identity(), Inputs(channels, channels, False)
    if stem == "imagenet":
        stem0 = nn.Sequential(conv_norm(colours, channels // 2, 2), nn.ReLU(), conv_norm(channels // 2, channels, 2))
        return stem0, nn.Sequential(ops.ReLU(), conv_norm(channels, channels, 2)), Inputs(channels, channels, True)
    raise unknown("stem", stem, STEMS)


def conv_norm(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """A 3x3 convolution and batch norm."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs))


def check_sizes(shape: Sequence[int], **sizes: tuple[int, int]) -> None:
    """Raise ``InputError`` unless ``shape`` is (channels, height, width) and every size is an integer of at least its minimum."""
    if len(shape) != 3 or not all(isinstance(s, int) and s > 0 for s in shape):
        raise InputError(f"an input shape is (channels, height, width), for example 3x32x32; got {'x'.join(map(str, shape)) or 'nothing'}")
    for name, (size, least) in sizes.items():
        if not isinstance(size, int) or size < least:
            raise InputError(f"{name} must be an integer of at least {least}; got {size!r}")
