"""ENAS' macro space: layers with skip connections: Pham et al. 2018, section 2.3, https://arxiv.org/abs/1802.03268

Choices: ``layer.0`` to ``layer.11``, the operation of each layer on the state before; ``skip.1`` to ``skip.11``, which states are added to
that: 0 is the stem, 1 the first layer, and so on. Sizes and wiring follow https://github.com/melodyguan/enas
(src/cifar10/general_child.py), but in the supernet the operation runs that was drawn (there it is always the last one), and networks
may pool. The notation has the official numbers: the operation and a digit for each state that may be added.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from supernet import ops
from supernet.errors import InputError, unknown
from supernet.genotype import whole_numbers
from supernet.layers.base import Supernet
from supernet.layers.one_of import OneOf
from supernet.layers.some_of import SomeOf
from supernet.settings.quantities import Channels, Classes, Layers, Part, Shape
from supernet.space import Architecture
from supernet.spaces.cell_network import check_sizes, conv_norm
from supernet.spaces.record import Build, Published, Space, headed

NAME = "enas-macro"
CITATION = "Pham, Guan, Zoph, Le, Dean 2018: Efficient Neural Architecture Search via Parameter Sharing, https://arxiv.org/abs/1802.03268"
SAID = ("classes", "channels", "layers", "shape")
OPERATIONS = ("conv_3x3", "sep_conv_3x3", "conv_5x5", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3")  # in the official order
PUBLISHED = {
    NAME: Published(
        f"{NAME}: 0 | 3 0 | 0 1 0 | 2 0 0 1 | 2 0 0 0 0 | 3 1 1 0 1 0 | 2 0 0 0 0 0 1 | 2 0 1 1 0 1 1 1 | 1 0 1 1 1 0 1 0 1 | "
        "0 0 0 0 0 0 0 0 0 0 | 2 0 0 0 0 0 1 0 0 0 0 | 0 1 0 0 1 1 0 0 0 0 1 1 | 2 0 1 0 0 0 0 0 1 0 1 1 0 | 1 0 0 1 0 0 0 1 1 1 0 1 0 1 | "
        "0 1 1 0 1 0 1 0 0 0 0 0 1 0 0 | 2 0 0 1 0 0 0 0 0 0 0 1 0 1 0 1 | 2 0 1 0 0 0 1 0 0 1 1 1 1 0 0 1 0 | "
        "2 0 0 0 0 1 0 1 0 1 0 0 1 0 1 0 0 1 | 3 0 1 1 0 1 0 0 0 0 0 1 0 1 0 1 0 0 0 | 3 0 1 1 0 0 0 0 0 0 0 0 0 1 1 0 0 0 0 1 | "
        "0 1 0 0 1 0 1 1 0 0 0 1 0 0 0 0 0 1 1 0 0 | 3 0 1 0 1 1 0 0 1 0 1 1 0 1 1 0 1 0 0 1 0 0 | "
        "0 1 0 1 0 1 0 0 0 0 0 0 0 0 1 0 1 0 0 1 0 0 0 | 0 1 1 0 0 0 1 1 1 0 1 0 0 0 1 0 1 0 0 1 1 0 0 0",
        CITATION,
        {"separable": False},
        "https://github.com/melodyguan/enas",
        "cifar10_macro_final.sh",
    )
}
RECIPES: dict[str, Any] = {  # of the official scripts
    "paper": {"epochs": 310, "data": {"batch_size": 128, "validation": 0.1}},
    "retrain": {"data": {"batch_size": 100}, "weights": {"lr": 0.05, "lr_min": 1e-3, "nesterov": True, "decay": 4e-4}},
    # enas finds 0.57 right of the digits that validate, in 62 s of one core
    "short": {"data": {"validation": 0.1}, "supernet": {"channels": 8, "layers": 6}, "network": {"channels": 16}},
}


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Settings of the supernet, whose layers are all as wide. ``dropout``: before the classifier."""

    classes: Classes = 10
    channels: Channels = 36
    layers: Layers = 12
    shape: Shape = (3, 32, 32)
    dropout: Part = 0.1


@dataclass(frozen=True, kw_only=True)
class NetworkSizes:
    """Settings of the network, which has as many layers as its architecture and is twice as wide after each reduction.

    ``separable``: separable convolutions are; the official code builds them as whole ones.
    """

    classes: Classes = 10
    channels: Channels = 96
    shape: Shape = (3, 32, 32)
    dropout: Part = 0.5
    separable: bool = True


class MacroNetwork(nn.Module):
    """Stem, layers that read the one before, global average pool, linear classifier without a bias: images -> logits (batch, classes).

    ``layer(i, channels)``: from all states so far to the next, all of that width. After two of the layers all states are halved;
    ``growth``: how many times wider they become. Raises ``InputError`` for sizes that make no network.
    """

    def __init__(self, layer: Callable[[int, int], nn.Module], layers: int, sizes: Sizes | NetworkSizes, growth: int):
        super().__init__()
        width = sizes.channels
        check_sizes(sizes.shape, classes=(sizes.classes, 1), channels=(width, 2), layers=(layers, 3))
        if width % 2:
            raise InputError(f"the channels of {NAME} are halved where it reduces: give an even number, not {width}")
        self.stem, self.layers, self.halves = conv_norm(sizes.shape[0], width, 1), nn.ModuleList(), nn.ModuleDict()
        for i in range(layers):
            self.layers.append(layer(i, width))
            if i in reductions(layers):
                halves = [ops.FactorizedReduce(width, growth * width, relu=False) for _ in range(i + 2)]
                self.halves[str(i)] = nn.ModuleList(halves)
                width *= growth
        self.dropout, self.classifier = nn.Dropout(sizes.dropout), nn.Linear(width, sizes.classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        states = [self.stem(x)]
        for i, layer in enumerate(self.layers):
            states.append(layer(states))
            if str(i) in self.halves:
                halves: Any = self.halves[str(i)]
                states = [half(state) for half, state in zip(halves, states, strict=True)]
        logits: Tensor = self.classifier(self.dropout(states[-1].mean((2, 3))))
        return logits


def reductions(layers: int) -> tuple[int, int]:
    """The layers after which all states are halved."""
    return layers // 3 - 1, 2 * (layers // 3) - 1


class OpenLayer(nn.Module):
    """A layer of the supernet: an operation on the state before, the sum with some of the others, batch norm."""

    def __init__(self, i: int, channels: int):
        super().__init__()
        self.operation = OneOf({o: branch(o, channels) for o in OPERATIONS}, name=f"layer.{i}")
        self.skip = SomeOf([nn.Identity() for _ in range(i)], pick=(0, i), name=f"skip.{i}") if i else None
        self.norm = nn.BatchNorm2d(channels) if i else nn.Identity()

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        x = self.operation(states[-1])
        out: Tensor = x if self.skip is None else self.norm(x + self.skip(states))
        return out


class FixedLayer(nn.Module):
    """A layer of the evaluation network: an operation on the state before, which a 1x1 convolution brings together with others."""

    def __init__(self, operation: str, kept: Sequence[int], first: bool, channels: int, separable: bool):
        super().__init__()
        self.kept, size = tuple(kept), int(operation[-1])
        parts: list[nn.Module] = [ops.relu_conv_norm(channels, channels)]
        if "pool" in operation:
            parts.append(pooling(operation))
        elif separable and operation.startswith("sep"):
            parts.append(ops.dil_conv(channels, size, 1, dilation=1))
        else:
            parts.append(ops.relu_conv_norm(channels, channels, size))
        self.operation = nn.Sequential(*parts)
        self.together = nn.Identity() if first else ops.relu_conv_norm((1 + len(kept)) * channels, channels)

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        out: Tensor = self.together(torch.cat([*(states[i] for i in self.kept), self.operation(states[-1])], 1))
        return out


def branch(operation: str, channels: int) -> nn.Sequential:
    """One operation of the supernet: a 1x1 convolution, then it."""
    first, size = ops.conv_norm_act(channels, channels, 1), int(operation[-1])
    if "pool" in operation:
        return nn.Sequential(first, pooling(operation))
    if operation.startswith("conv"):
        return nn.Sequential(first, ops.conv_norm_act(channels, channels, size))
    depthwise = nn.Conv2d(channels, channels, size, padding=size // 2, groups=channels, bias=False)
    return nn.Sequential(first, depthwise, ops.conv_norm_act(channels, channels, 1))


def pooling(operation: str) -> nn.Module:
    """3x3, keeping the size."""
    return ops.AvgPool(1) if operation == "avg_pool_3x3" else ops.MaxPool(1)


def supernet(**settings: Any) -> Supernet:
    """The network that is searched: images ``(batch, *shape)`` -> logits (batch, classes); ``settings``: of ``Sizes``."""
    sizes = Sizes(**settings)
    return Supernet(MacroNetwork(OpenLayer, sizes.layers, sizes, growth=1))


def network(architecture: Mapping[str, Any] | str, **settings: Any) -> MacroNetwork:
    """The evaluation network of an architecture or its notation; ``settings``: of ``NetworkSizes``."""
    sizes, layers = NetworkSizes(**settings), layers_of(parse(architecture) if isinstance(architecture, str) else architecture)

    def layer(i: int, width: int) -> nn.Module:
        operation, kept = layers[i]
        return FixedLayer(operation, kept, not i, width, sizes.separable)

    return MacroNetwork(layer, len(layers), sizes, growth=2)


def layers_of(architecture: Mapping[str, Any]) -> list[tuple[str, tuple[int, ...]]]:
    """The operation of each layer, and which states it adds; raises ``InputError``."""
    found: list[tuple[str, tuple[int, ...]]] = []
    while (name := f"layer.{len(found)}") in architecture:
        if architecture[name] not in OPERATIONS:
            raise unknown("operation", str(architecture[name]), OPERATIONS)
        skip = f"skip.{len(found)}"
        if found and skip not in architecture:
            raise InputError(f"the architecture does not decide {skip}")
        found.append((str(architecture[name]), tuple(architecture.get(skip, ()))))
    return found


def parse(text: str) -> Architecture:
    """Read ``enas-macro: 0 | 3 0 | 0 1 0 | ...``, of each layer the operation and its digits; raises ``InputError``."""
    rows = [whole_numbers(row) or [] for row in text.partition(":")[2].split("|")]
    architecture: Architecture = {}
    for i, row in enumerate(rows):
        if len(row) != i + 1 or row[0] >= len(OPERATIONS) or max(row[1:], default=0) > 1:
            what = f"an operation, 0 to {len(OPERATIONS) - 1}" + (f", and {i} digits 0 or 1" if i else "")
            raise InputError(f"layer {i} of {NAME} must have {what}; got {' '.join(map(str, row)) or 'nothing that is numbers'}")
        architecture[f"layer.{i}"] = OPERATIONS[row[0]]
        architecture |= {f"skip.{i}": tuple(j for j, there in enumerate(row[1:]) if there)} if i else {}
    return architecture


def notation(architecture: Mapping[str, Any]) -> str:
    """The official numbers, layers parted by bars."""
    rows = [[OPERATIONS.index(o), *(int(j in kept) for j in range(i))] for i, (o, kept) in enumerate(layers_of(architecture))]
    return f"{NAME}: {' | '.join(' '.join(map(str, row)) for row in rows)}"


ENAS_MACRO = Space(
    NAME,
    CITATION,
    supernet=Build(f"the supernet of {NAME}", supernet, Sizes, SAID),
    network=Build(f"a network of {NAME}", network, NetworkSizes, ("classes", "channels", "shape")),
    parse=parse,
    notation=notation,
    recognises=lambda text: headed(text) == NAME,
    published=PUBLISHED,
    recipes=RECIPES,
    opens=("layers",),
    whole=True,
)
