"""The parts of Once-for-All's ResNet50-D, with sizes that are open or taken.

Cai et al. 2020, https://arxiv.org/abs/1908.09791; ``OFAResNets`` of https://github.com/mit-han-lab/once-for-all. The D: He et al. 2019,
section 4, https://arxiv.org/abs/1812.01187: three 3x3 convolutions first, and shortcuts that average before they narrow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor, nn

from supernet.errors import InputError
from supernet.layers.elastic import ElasticConv2d, ElasticLinear, ElasticNorm
from supernet.layers.up_to import UpTo
from supernet.layers.width import Width
from supernet.spaces.chain_network import divisible

SHARES, EXPANSIONS = (0.65, 0.8, 1.0), (0.2, 0.25, 0.35)  # of a width; of the output, inside a block


def inside(channels: float) -> int:
    """The channels inside a block, of the product of its outputs and its expansion."""
    return divisible(round(channels))


class Sizing(Protocol):
    """Who says sizes, and makes what has them: the widths that it gives are those that it takes."""

    def width(self, name: str, channels: Callable[[float], int]) -> Any:
        """The width of a choice of ``SHARES``."""

    def inner(self, name: str, width: Any) -> Any:
        """The width of a choice of ``EXPANSIONS``, as a multiple of ``width``."""

    def layer(self, inputs: Any, outputs: Any, kernel: int, stride: int = 1) -> nn.Sequential:
        """Convolution and batch norm."""

    def linear(self, inputs: Any, outputs: int) -> nn.Module:
        """The classifier."""

    def first(self, name: str, block: Callable[[int], nn.Module], depths: Sequence[int]) -> nn.Module:
        """As many blocks, made by their numbers, as the choice says."""


class Open:
    """Every size is a choice."""

    def width(self, name: str, channels: Callable[[float], int]) -> Width:
        return Width({share: channels(share) for share in SHARES}, name=name)

    def inner(self, name: str, width: Width) -> Width:
        return width.times(EXPANSIONS, name=name, rounded=inside)

    def layer(self, inputs: Width | int, outputs: Width, kernel: int, stride: int = 1) -> nn.Sequential:
        most = inputs if isinstance(inputs, int) else inputs.largest
        conv = ElasticConv2d(most, outputs, kernel, stride, kernel // 2, bias=False)
        return nn.Sequential(conv, ElasticNorm(outputs.largest))

    def linear(self, inputs: Width, outputs: int) -> nn.Module:
        return ElasticLinear(inputs.largest, outputs)

    def first(self, name: str, block: Callable[[int], nn.Module], depths: Sequence[int]) -> nn.Module:
        return UpTo([block(j) for j in range(depths[-1])], depths, name=name)


class Taken:
    """Sizes are those of an architecture; raises ``InputError`` for one that it does not decide, and for one that there is not."""

    def __init__(self, architecture: Mapping[str, Any]):
        self.architecture = architecture

    def width(self, name: str, channels: Callable[[float], int]) -> int:
        return channels(self._taken(name, SHARES))

    def inner(self, name: str, width: int) -> int:
        return inside(width * self._taken(name, EXPANSIONS))

    def layer(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs))

    def linear(self, inputs: int, outputs: int) -> nn.Module:
        return nn.Linear(inputs, outputs)

    def first(self, name: str, block: Callable[[int], nn.Module], depths: Sequence[int]) -> nn.Module:
        return nn.Sequential(*(block(j) for j in range(self._taken(name, depths))))

    def _taken(self, name: str, able: Sequence[Any]) -> Any:
        if name not in self.architecture:
            raise InputError(f"the architecture does not decide {name}")
        if self.architecture[name] not in able:
            raise InputError(f"{name} cannot take {self.architecture[name]!r}; its options: {', '.join(map(str, able))}")
        return self.architecture[name]


class Residual(nn.Module):
    """``last(x + body(x))``, with a shortcut in the place of x where sizes change; x: (B, C, H, W)."""

    def __init__(self, body: nn.Module, shortcut: nn.Module, last: nn.Module):
        super().__init__()
        self.body, self.shortcut, self.last = body, shortcut, last

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.shortcut(x) + self.body(x))
        return out


def bottleneck(sizing: Sizing, name: str, inputs: Any, outputs: Any, stride: int, alike: bool) -> Residual:
    """Narrow, 3x3, widen; ``name``: of the choice of its inner width. ``alike``: whether inputs and outputs are of one width and size."""
    inner = sizing.inner(name, outputs)
    body = nn.Sequential(
        sizing.layer(inputs, inner, 1).append(nn.ReLU()),
        sizing.layer(inner, inner, 3, stride).append(nn.ReLU()),
        sizing.layer(inner, outputs, 1),
    )
    halve = [nn.AvgPool2d(stride, stride, ceil_mode=True)] if stride > 1 else []
    shortcut = nn.Identity() if alike else nn.Sequential(*halve, sizing.layer(inputs, outputs, 1))
    return Residual(body, shortcut, nn.ReLU())
