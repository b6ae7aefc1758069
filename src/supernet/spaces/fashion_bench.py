"""A space of 384 small networks for pictures of 28 pixels, all of which were trained: a judge that a small machine can afford.

The space is no paper's. It has that in which searches go wrong: an operation that costs as much as another and may be worse (the dilated
convolution), one that costs nothing and hurts (pooling), skip-connections that are learnt easily and carry a supernet
(Zela et al. 2020, https://arxiv.org/abs/1909.09656), and a width and a depth that all cells share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from supernet import ops
from supernet.errors import InputError, unknown
from supernet.layers.auxiliary_skip import AuxiliarySkip
from supernet.layers.base import Supernet
from supernet.layers.elastic import ElasticConv2d, ElasticLinear, ElasticNorm
from supernet.layers.one_of import OneOf
from supernet.layers.up_to import UpTo
from supernet.layers.width import Width
from supernet.settings.quantities import Classes, Shape
from supernet.space import Architecture
from supernet.spaces.cell_network import check_sizes
from supernet.spaces.pictured import Graph, edge_by_edge
from supernet.spaces.record import Build, Space, headed, setting

NAME = "fashion-bench"
CITATION = "Supernet's own; its data: Xiao et al. 2017: Fashion-MNIST, https://arxiv.org/abs/1708.07747"
SAID = ("classes", "shape")

EDGES = ("1<0", "2<0", "2<1")  # node < input
OPERATIONS = ("skip_connect", "avg_pool_3x3", "conv_3x3", "dil_conv_3x3")
WIDTHS, DEPTHS = (8, 12, 16), (1, 2)  # channels of the first cells; cells before and behind the halving
CHOICES: dict[str, tuple[Any, ...]] = {**dict.fromkeys(EDGES, OPERATIONS), "width": WIDTHS, "depth": DEPTHS}


@dataclass(frozen=True, kw_only=True)
class NetworkSizes:
    """Settings of the network."""

    classes: Classes = 10
    shape: Shape = (1, 28, 28)


@dataclass(frozen=True, kw_only=True)
class Sizes(NetworkSizes):
    """Settings of the supernet. ``auxiliary_skip``: a skip-connection beside every edge, whose strength the strategy sets (DARTS-)."""

    auxiliary_skip: bool = False


class Open:
    """Layers with their choices open."""

    width = WIDTHS[-1]

    def __init__(self, auxiliary_skip: bool):
        self.auxiliary_skip = auxiliary_skip

    def conv(self, inputs: int, times: int, stride: int = 1, dilation: int = 1) -> nn.Module:
        """A 3x3 convolution to so many times the width, and its batch norm."""
        width = Width({width: times * width for width in WIDTHS}, name="width")
        return nn.Sequential(ElasticConv2d(inputs, width, 3, stride, dilation, dilation, bias=False), self.norm(times))

    def norm(self, times: int) -> nn.Module:
        """A batch norm of so many times the width."""
        return ElasticNorm(times * self.width)

    def linear(self, times: int, classes: int) -> nn.Module:
        """The classifier of so many times the width."""
        return ElasticLinear(times * self.width, classes)

    def edge(self, name: str, times: int) -> nn.Module:
        """One edge of a cell."""
        one = OneOf({operation: build(operation, times, self) for operation in OPERATIONS}, name=name)
        return AuxiliarySkip(one) if self.auxiliary_skip else one

    def cells(self, times: int) -> nn.Module:
        """The cells of so many times the width."""
        return UpTo([cell(times, self) for _ in range(DEPTHS[-1])], DEPTHS, name="depth")


class Taken:
    """Layers of one architecture; raises ``InputError`` where it does not take an option of every choice."""

    def __init__(self, architecture: Mapping[str, Any]):
        for name, options in CHOICES.items():
            if architecture.get(name) not in options:
                raise unknown(f"option of {name}", str(architecture.get(name)), map(str, options))
        self.architecture, self.width = dict(architecture), int(architecture["width"])

    def conv(self, inputs: int, times: int, stride: int = 1, dilation: int = 1) -> nn.Module:
        outputs = times * self.width
        return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, dilation, dilation, bias=False), self.norm(times))

    def norm(self, times: int) -> nn.Module:
        return nn.BatchNorm2d(times * self.width)

    def linear(self, times: int, classes: int) -> nn.Module:
        return nn.Linear(times * self.width, classes)

    def edge(self, name: str, times: int) -> nn.Module:
        return build(self.architecture[name], times, self)

    def cells(self, times: int) -> nn.Module:
        return nn.Sequential(*(cell(times, self) for _ in range(self.architecture["depth"])))


def build(operation: str, times: int, layers: Open | Taken) -> nn.Module:
    """One operation of an edge, between so many times the width."""
    if operation == "skip_connect":
        return nn.Identity()
    if operation == "avg_pool_3x3":
        return ops.AvgPool(1)
    return nn.Sequential(ops.ReLU(), layers.conv(times * layers.width, times, dilation=2 if operation == "dil_conv_3x3" else 1))


def cell(times: int, layers: Open | Taken) -> nn.Module:
    """A cell of so many times the width."""
    return Cell([layers.edge(name, times) for name in EDGES])


class Cell(nn.Module):
    """A node behind the input, and the output, which is the sum of the edges from both."""

    def __init__(self, edges: Sequence[nn.Module]):
        super().__init__()
        self.edges = nn.ModuleList(edges)

    def forward(self, x: Tensor) -> Tensor:
        first, direct, second = self.edges
        out: Tensor = direct(x) + second(first(x))
        return out


class Net(nn.Module):
    """Stem, cells, a convolution that halves the size and doubles the width, cells, batch norm, ReLU, global average pool, classifier."""

    def __init__(self, layers: Open | Taken, sizes: NetworkSizes):
        super().__init__()
        check_sizes(sizes.shape, classes=(sizes.classes, 1))
        self.stem, self.first = nn.Sequential(nn.AvgPool2d(2), layers.conv(sizes.shape[0], 1, stride=2)), layers.cells(1)
        self.down, self.second = nn.Sequential(ops.ReLU(), layers.conv(layers.width, 2, stride=2)), layers.cells(2)
        self.norm, self.classifier = layers.norm(2), layers.linear(2, sizes.classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.second(self.down(self.first(self.stem(x)))))
        logits: Tensor = self.classifier(torch.relu(x).mean((2, 3)))
        return logits


def supernet(**settings: Any) -> Supernet:
    """The network that is searched: images ``(batch, *shape)`` -> logits (batch, classes); ``settings``: of ``Sizes``."""
    sizes = Sizes(**settings)
    return Supernet(Net(Open(sizes.auxiliary_skip), sizes))


def network(architecture: Mapping[str, Any] | str, **settings: Any) -> Net:
    """The stand-alone network of an architecture or its notation; ``settings``: of ``NetworkSizes``."""
    return Net(Taken(parse(architecture) if isinstance(architecture, str) else architecture), NetworkSizes(**settings))


def parse(text: str) -> Architecture:
    """Read ``fashion-bench: conv_3x3 skip_connect avg_pool_3x3 12 2``, the edges, the width and the depth; raises ``InputError``."""
    words = text.partition(":")[2].split()
    if headed(text) != NAME or len(words) != len(CHOICES):
        what = f"expected '{NAME}:', the operations of {' '.join(EDGES)} ({', '.join(OPERATIONS)}), the width and the depth"
        raise InputError(f"not a network of {NAME}: {' '.join(text.split())[:80]!r}; {what}")
    named = {name: {str(option): option for option in options} for name, options in CHOICES.items()}
    return Taken({name: named[name].get(word, word) for name, word in zip(CHOICES, words, strict=True)}).architecture


def notation(architecture: Mapping[str, Any]) -> str:
    """The operations of the three edges, the width and the depth."""
    taken = Taken(architecture).architecture
    return f"{NAME}: {' '.join(str(taken[name]) for name in CHOICES)}"


def simplest(architecture: Mapping[str, Any]) -> Architecture:
    """The architecture that stands for all that are the same network.

    A skip-connection before an operation or behind it is the same, and where the path through the node is one operation, it and the
    direct edge may change places: 276 of the 384 architectures differ.
    """
    taken = Taken(architecture).architecture
    first, direct, second = (taken[name] for name in EDGES)
    if "skip_connect" in (first, second):
        path = second if first == "skip_connect" else first
        direct, second = sorted((direct, path), key=OPERATIONS.index)
        first = "skip_connect"
    return {**taken, **dict(zip(EDGES, (first, direct, second), strict=True))}


def pictured(architecture: Mapping[str, Any]) -> dict[str, Graph]:
    """The cell, with width and depth in its title."""
    taken = Taken(architecture).architecture
    wide, deep = taken["width"], taken["depth"]
    title = f"Cell of {NAME}: {deep} of {wide} channels, {deep} of {2 * wide}"
    return {title: edge_by_edge({name: taken[name] for name in EDGES})}


FASHION_BENCH = Space(
    NAME,
    CITATION,
    supernet=Build(f"the supernet of {NAME}", supernet, Sizes, SAID),
    network=Build(f"a network of {NAME}", network, NetworkSizes, SAID),
    one_build=True,
    parse=parse,
    notation=notation,
    recognises=lambda text: headed(text) == NAME,
    serves={"auxiliary_skip": setting("auxiliary_skip")},
    recipes={"short": {}},
    pictured=pictured,
)
