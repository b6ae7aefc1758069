"""What DenseNAS' networks are made of: blocks in a row, of which each may be followed by several of the later ones.

Fang et al. 2020, section 3, https://arxiv.org/abs/1906.09607; details by https://github.com/JaminFong/DenseNAS
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from supernet import ops
from supernet.layers.one_of import OneOf
from supernet.layers.routes import Fork, Join
from supernet.space import Option
from supernet.spaces.cell_network import check_sizes
from supernet.spaces.densenas_plan import BASIC, END, MBCONVS, SKIP, Plan


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, by a 1x1 convolution where sizes change. He et al. 2016, https://arxiv.org/abs/1512.03385"""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: Mapping[str, Any]):
        super().__init__()
        second = nn.Sequential(nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs, **norm))
        self.body = nn.Sequential(ops.conv_norm_act(inputs, outputs, 3, stride, norm=norm), second)
        short = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs, **norm))
        self.shortcut = nn.Identity() if stride == 1 and inputs == outputs else short

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


def layer(option: str, inputs: int, outputs: int, stride: int, norm: Mapping[str, Any]) -> nn.Module:
    """One option of one layer."""
    if option == SKIP:
        return nn.Identity()
    if option == BASIC:
        return BasicBlock(inputs, outputs, stride, norm)
    kernel, expansion = MBCONVS[option]
    return ops.InvertedResidual(inputs, outputs, kernel, expansion, stride, activation=nn.ReLU6, norm=norm)


class DenseNet(nn.Module):
    """Images ``(batch, *shape)`` -> logits (batch, classes). ``body``: from the stem's ``channels`` to ``features``, open or plain.

    The stem rectifies by ReLU6 before basic blocks too, as in the official evaluation networks.
    """

    def __init__(
        self, body: nn.Module, *, stem: str, shape: Sequence[int], classes: int, channels: int, features: int, norm: Mapping[str, Any]
    ):
        super().__init__()
        check_sizes(shape, classes=(classes, 1))
        self.stem = ops.conv_norm_act(shape[0], channels, 3, 2 if stem == "imagenet" else 1, activation=nn.ReLU6, norm=norm)
        self.body = body
        self.classifier = nn.Linear(features, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.body(self.stem(x)).mean((2, 3)))
        return logits


class Routed(nn.Module):
    """Open blocks: ``first`` ends in a fork, the body of each of ``joins`` too, and ``end`` is where all routes meet."""

    def __init__(self, first: nn.Module, joins: Sequence[nn.Module], end: nn.Module):
        super().__init__()
        self.first, self.joins, self.end = first, nn.ModuleList(joins), end

    def forward(self, x: Tensor) -> Tensor:
        sent = [self.first(x)]
        for join in self.joins:
            out = join(sent)
            if out is not None:
                sent.append(out)
        met: Tensor = self.end(sent)
        return met


def first(made: Plan, channels: int) -> nn.Module:
    """The fixed part of the first block; its last batch norm has weights in the search too, as in the official code."""
    if made.heads == (BASIC,):
        return nn.Identity()
    block = ops.InvertedResidual(channels, channels, 3, 1, activation=nn.ReLU6, norm=made.norm)
    project = block.body[-1]
    assert isinstance(project, nn.Sequential)
    project[1] = nn.BatchNorm2d(channels, **{**made.norm, "affine": True})
    return block


def routed(made: Plan, channels: Sequence[int]) -> Routed:
    """Every block with every route; ``channels``: of each block and after the last."""
    forks = [_fork(made, i, channels) for i in range(len(made.blocks))]
    joins = [Join(made.name(i), forks, nn.Sequential(_stack(made, i, channels[i]), fork)) for i, fork in enumerate(forks) if i]
    return Routed(nn.Sequential(first(made, channels[0]), forks[0]), joins, Join(END, forks, nn.Identity()))


def _fork(made: Plan, i: int, channels: Sequence[int]) -> Fork:
    """The routes from block ``i``."""
    here, heads = made.name(i), dict[Option, nn.Module]()
    for j in made.after(i):
        there = made.name(j)
        if there == END:
            heads[there] = ops.conv_norm_act(channels[i], channels[j], 1, activation=nn.ReLU6, norm=made.norm)
            continue
        stride = made.blocks[i].size // made.blocks[j].size
        options = {option: layer(option, channels[i], channels[j], stride, made.norm) for option in made.heads}
        heads[there] = OneOf(options, f"head.{here}.{there}") if len(options) > 1 else options[made.heads[0]]
    return Fork(heads, f"route.{here}")


def _stack(made: Plan, i: int, channels: int) -> nn.Module:
    """The layers that block ``i`` may stack on its head."""
    options = (*made.heads, SKIP)
    layers = [{option: layer(option, channels, channels, 1, made.norm) for option in options} for _ in range(made.blocks[i].depth)]
    return nn.Sequential(*(OneOf(branches, f"stack.{made.name(i)}.{n}") for n, branches in enumerate(layers)))
