"""NAS-Bench-201: Dong, Yang 2020, https://arxiv.org/abs/2001.00326; https://github.com/D-X-Y/NAS-Bench-201

A cell has four nodes and one operation on each of its six edges; the last node is its output. Three stages of cells are
parted by residual blocks. The supernet's batch norms are affine-free and its convolutions have a bias, as in the code above.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet import ops
from supernet.layers.auxiliary_skip import AuxiliarySkip
from supernet.layers.base import Supernet
from supernet.layers.one_of import OneOf
from supernet.settings.quantities import Channels, Classes, Layers, Shape
from supernet.spaces.cell_network import check_sizes, conv_norm
from supernet.spaces.nasbench201_notation import EDGES, NAME, OPERATIONS, notation, operations_of, parse, recognises
from supernet.spaces.pictured import edge_by_edge
from supernet.spaces.record import Build, Space, setting

CITATION = "Dong, Yang 2020: NAS-Bench-201: Extending the Scope of Reproducible NAS, https://arxiv.org/abs/2001.00326"
SAID = ("classes", "channels", "cells", "shape")

BUILD: dict[str, Callable[[int, bool], nn.Module]] = {  # name -> (channels, affine) -> module
    "none": lambda c, affine: ops.Zero(1),
    "skip_connect": lambda c, affine: nn.Identity(),
    "nor_conv_1x1": lambda c, affine: ops.relu_conv_norm(c, c, 1, affine=affine, bias=not affine),
    "nor_conv_3x3": lambda c, affine: ops.relu_conv_norm(c, c, 3, affine=affine, bias=not affine),
    "avg_pool_3x3": lambda c, affine: ops.AvgPool(1),
}


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
    """Settings of the supernet.

    ``affine``: whether batch norms have weights, and convolutions then no bias. ``auxiliary_skip``: a skip-connection beside every edge,
    whose strength the strategy sets (DARTS-).
    """

    affine: bool = False
    auxiliary_skip: bool = False


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
        each = (OneOf({o: BUILD[o](width, sizes.affine) for o in OPERATIONS}, name=f"{i}<{j}") for i, j in EDGES)
        return [AuxiliarySkip(one) if sizes.auxiliary_skip else one for one in each]

    return Supernet(Net(edges, sizes))


def network(architecture: Mapping[str, Any] | str, **settings: Any) -> Net:
    """The stand-alone network of the benchmark, for an architecture or its string; ``settings``: of ``NetworkSizes``."""
    taken = operations_of(parse(architecture) if isinstance(architecture, str) else architecture)
    return Net(lambda width: [BUILD[o](width, True) for o in taken], NetworkSizes(**settings))


NASBENCH201 = Space(
    NAME,
    CITATION,
    supernet=Build(f"the supernet of {NAME}", supernet, Sizes, SAID),
    network=Build(f"a network of {NAME}", network, NetworkSizes, SAID),
    parse=parse,
    notation=notation,
    recognises=recognises,
    serves={"auxiliary_skip": setting("auxiliary_skip")},
    pictured=lambda architecture: {f"Cell of {NAME}": edge_by_edge(architecture)},
    recipes={
        "short": {"supernet": {"channels": 8, "cells": 2}},
        "paper": {  # all methods alike but for GDAS' length
            "data": {"batch_size": 64},
            "weights": {"lr": 0.025, "lr_min": 0.001, "decay": 5e-4, "nesterov": True},
        },
    },
)
