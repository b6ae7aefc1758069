"""The four choice blocks of ShuffleNetV2's kind that SPOS searches.

Guo et al. 2020 (SPOS), section 4, https://arxiv.org/abs/1904.00420; https://github.com/megvii-model/SinglePathOneShot. The blocks are
ShuffleNetV2's (Ma et al. 2018, https://arxiv.org/abs/1807.11164) with a depthwise kernel of 3, 5 or 7, and a longer one with three
depthwise convolutions of 3x3, called Xception's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from supernet.errors import InputError
from supernet.layers.elastic import ElasticConv2d, ElasticNorm
from supernet.layers.width import Width
from supernet.spaces.chain_network import Place

KERNELS = {"k3": 3, "k5": 5, "k7": 7}
OPTIONS = (*KERNELS, "xception")


@dataclass(frozen=True)
class Hidden:
    """How the layers inside a block are made, at its hidden width.

    ``widen``: a 1x1 convolution from so many channels to that width. ``depthwise``: one of a kernel and a stride. ``norm``: batch norm.
    ``narrow``: a 1x1 convolution from that width to so many channels. ``widest``: the width, or the largest.
    """

    widen: Callable[[int], nn.Module]
    depthwise: Callable[[int, int], nn.Module]
    norm: Callable[[], nn.Module]
    narrow: Callable[[int], nn.Module]
    widest: int


def fixed(width: int, norm: Mapping[str, Any]) -> Hidden:
    """Plain layers of one width; ``norm``: settings of the batch norms."""
    return Hidden(
        widen=lambda inputs: nn.Conv2d(inputs, width, 1, bias=False),
        depthwise=lambda kernel, stride: _depthwise(width, kernel, stride),
        norm=lambda: nn.BatchNorm2d(width, **norm),
        narrow=lambda outputs: nn.Conv2d(width, outputs, 1, bias=False),
        widest=width,
    )


def elastic(width: Width, norm: Mapping[str, Any]) -> Hidden:
    """Layers whose smaller widths are slices of the widest."""
    widest = width.largest
    return Hidden(
        widen=lambda inputs: ElasticConv2d(inputs, width, 1, bias=False),
        depthwise=lambda kernel, stride: ElasticConv2d(widest, widest, kernel, stride, kernel // 2, bias=False, depthwise=True),
        norm=lambda: ElasticNorm(widest, **norm),
        narrow=lambda outputs: ElasticConv2d(widest, outputs, 1, bias=False),
        widest=widest,
    )


class ShuffleBlock(nn.Module):
    """Channels that pass and channels that are computed, one after the other; x: (B, inputs, H, W).

    Where sizes stay, the even channels pass and the odd ones are the inputs of ``main``, which shuffles what the block before has put
    together. Where they change, all channels are inputs of ``main`` and of ``project``, which takes the place of passing.
    """

    def __init__(self, main: nn.Module, project: nn.Module | None):
        super().__init__()
        self.main, self.project = main, project

    def forward(self, x: Tensor) -> Tensor:
        if self.project is None:
            return torch.cat([x[:, ::2], self.main(x[:, 1::2])], 1)
        return torch.cat([self.project(x), self.main(x)], 1)


def build(option: str, place: Place, hidden: Hidden, norm: Mapping[str, Any]) -> ShuffleBlock:
    """One option of one layer; raises ``InputError`` for channels that cannot be split, or that do not grow where sizes change."""
    inputs, outputs, stride = place
    same = stride == 1 and inputs == outputs
    if same and inputs % 2:
        raise InputError(f"blocks of this space split their channels into halves: {inputs} channels are odd")
    if not same and outputs <= inputs:
        raise InputError(f"the first block of a stage has more channels than the one before; got {inputs} -> {outputs}")
    passed = inputs // 2 if same else inputs
    kernel = KERNELS.get(option, 3)
    if option in KERNELS:
        main = [*_widened(hidden, passed), hidden.depthwise(kernel, stride)]
    else:
        main = [_depthwise(passed, 3, stride), nn.BatchNorm2d(passed, **norm), *_widened(hidden, passed), hidden.depthwise(3, 1)]
        main += [hidden.norm(), *_widened(hidden, hidden.widest), hidden.depthwise(3, 1)]
    main += [hidden.norm(), hidden.narrow(outputs - passed), nn.BatchNorm2d(outputs - passed, **norm), nn.ReLU()]
    return ShuffleBlock(nn.Sequential(*main), None if same else _projection(inputs, kernel, stride, norm))


def _widened(hidden: Hidden, inputs: int) -> list[nn.Module]:
    return [hidden.widen(inputs), hidden.norm(), nn.ReLU()]


def _projection(channels: int, kernel: int, stride: int, norm: Mapping[str, Any]) -> nn.Sequential:
    across = nn.Conv2d(channels, channels, 1, bias=False)
    parts = _depthwise(channels, kernel, stride), nn.BatchNorm2d(channels, **norm), across, nn.BatchNorm2d(channels, **norm), nn.ReLU()
    return nn.Sequential(*parts)


def _depthwise(channels: int, kernel: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)
