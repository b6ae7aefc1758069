"""NAS-Bench-Macro: Su et al. 2021, https://arxiv.org/abs/2103.11922; https://github.com/xiusu/NAS-Bench-Macro

Eight layers in stages of 2, 3 and 3, each an identity or one of two inverted residual blocks; the first layer of a stage
halves the size and doubles the width. The papers write an architecture as eight digits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from supernet import ops
from supernet.errors import InputError, unknown
from supernet.genotype import whole_numbers
from supernet.layers.base import Supernet
from supernet.layers.one_of import OneOf
from supernet.settings.quantities import Channels, Classes, Shape
from supernet.space import Architecture
from supernet.spaces.cell_network import check_sizes
from supernet.spaces.record import Build, Space, headed

NAME = "nasbench-macro"
CITATION = "Su et al. 2021: Prioritized Architecture Sampling with Monto-Carlo Tree Search, https://arxiv.org/abs/2103.11922"
SAID = ("classes", "channels", "shape")

STAGES = (2, 3, 3)
FIRST = (0, 2, 5)  # the layers that stride
HEAD = 1280  # features of the classifier
OPERATIONS = ("id", "mb3_k3", "mb6_k5")  # expansion and kernel; 0, 1 and 2 in the papers


def build(operation: str, inputs: int, outputs: int, stride: int) -> nn.Module:
    """One option of one layer; an identity that strides is a 1x1 convolution and batch norm."""
    if operation == "mb3_k3":
        return ops.InvertedResidual(inputs, outputs, 3, 3, stride)
    if operation == "mb6_k5":
        return ops.InvertedResidual(inputs, outputs, 5, 6, stride)
    if stride == 1:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Settings of both networks; ``channels``: of the stem."""

    classes: Classes = 10
    channels: Channels = 32
    shape: Shape = (3, 32, 32)


class Net(nn.Module):
    """Stem, eight layers, a 1x1 convolution to 1280 features, global average pool, linear classifier."""

    def __init__(self, layer: Callable[[int, int, int, int], nn.Module], sizes: Sizes):
        super().__init__()
        channels = sizes.channels
        check_sizes(sizes.shape, classes=(sizes.classes, 1), channels=(channels, 1))
        self.stem = nn.Sequential(nn.Conv2d(sizes.shape[0], channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU())
        self.layers = nn.Sequential()
        for i in range(sum(STAGES)):
            outputs = channels * (2 if i in FIRST else 1)
            self.layers.append(layer(i, channels, outputs, outputs // channels))
            channels = outputs
        self.head = nn.Sequential(nn.Conv2d(channels, HEAD, 1, bias=False), nn.BatchNorm2d(HEAD), nn.ReLU())
        self.classifier = nn.Linear(HEAD, sizes.classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.head(self.layers(self.stem(x))).mean((2, 3)))
        return logits


def supernet(**settings: Any) -> Supernet:
    """The network that is searched: images ``(batch, *shape)`` -> logits (batch, classes); ``settings``: of ``Sizes``."""

    def layer(i: int, inputs: int, outputs: int, stride: int) -> nn.Module:
        return OneOf({o: build(o, inputs, outputs, stride) for o in OPERATIONS}, name=str(i))

    return Supernet(Net(layer, Sizes(**settings)))


def network(architecture: Mapping[str, Any] | str, **settings: Any) -> Net:
    """The stand-alone network of the benchmark, for an architecture or its digits; ``settings``: of ``Sizes``."""
    taken = _operations(parse(architecture) if isinstance(architecture, str) else architecture)
    return Net(lambda i, inputs, outputs, stride: build(taken[i], inputs, outputs, stride), Sizes(**settings))


def parse(text: str) -> Architecture:
    """Read eight digits, together or listed; raises ``InputError``."""
    digits = whole_numbers(re.sub(rf"^\s*{NAME}\s*:", "", text)) or []
    if len(digits) != sum(STAGES) or max(digits) >= len(OPERATIONS):
        raise InputError(f"not a NAS-Bench-Macro network: {text.strip()[:80]!r}; expected 8 digits of 0, 1, 2, for example 22212220")
    return {str(i): OPERATIONS[digit] for i, digit in enumerate(digits)}


def notation(architecture: Mapping[str, Any]) -> str:
    """The benchmark's eight digits."""
    return "".join(str(OPERATIONS.index(operation)) for operation in _operations(architecture))


def canonical(architecture: Mapping[str, Any]) -> str:
    """The digits of the network that computes the same function and has its identities last in each stage: 3,969 of the 6,561."""
    digits, out = notation(architecture), ""
    for first, length in zip(FIRST, STAGES, strict=True):
        rest = digits[first + 1 : first + length]
        out += digits[first] + rest.replace("0", "").ljust(len(rest), "0")
    return out


def _operations(architecture: Mapping[str, Any]) -> list[str]:
    """The operation of each layer, in order."""
    taken = [architecture.get(str(i)) for i in range(sum(STAGES))]
    for operation in taken:
        if operation not in OPERATIONS:
            raise unknown("operation", str(operation), OPERATIONS)
    return [str(operation) for operation in taken]


def recognises(text: str) -> bool:
    """Whether it begins with the space's name, or is nothing but digits."""
    return headed(text) == NAME or whole_numbers(text) is not None


NASBENCH_MACRO = Space(
    NAME,
    CITATION,
    supernet=Build(f"the supernet of {NAME}", supernet, Sizes, SAID),
    network=Build(f"a network of {NAME}", network, Sizes, SAID),
    parse=parse,
    notation=notation,
    recognises=recognises,
    chain=True,
)
