"""Run an operation on a part of the channels only: Xu et al. 2020 (PC-DARTS), section 3.1, https://arxiv.org/abs/1907.05737"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.errors import InputError
from supernet.layers.blend import keep_input
from supernet.modules.memo import once


class Partial(nn.Module):
    """``edge`` on the first of ``parts`` equal shares of the channels; the rest passes, pooled where the edge strides; then a shuffle.

    ``channels``: of the input (batch, channels, height, width) and of the output; must be a multiple of ``parts``. Further arguments go
    to the edge, whose first operation is made not to work in place.
    """

    def __init__(self, edge: nn.Module, channels: int, parts: int, stride: int = 1):
        super().__init__()
        if channels % parts:
            raise InputError(f"{channels} channels cannot be split into {parts} equal parts")
        self.edge, self.parts, self.stride, self.head = keep_input(edge), parts, stride, channels // parts

    def forward(self, x: Tensor, *others: Any, **named: Any) -> Tensor:
        first = once(("first channels", self.head), x, lambda x: x[:, : self.head])
        rest = once(("other channels", self.head, self.stride), x, self._pass)
        return shuffle(torch.cat([self.edge(first, *others, **named), rest], 1), self.parts)

    def _pass(self, x: Tensor) -> Tensor:
        rest = x[:, self.head :]
        return rest if self.stride == 1 else F.max_pool2d(rest, 2, 2, ceil_mode=True)


def shuffle(x: Tensor, groups: int) -> Tensor:
    """Interleave the channels of ``groups`` equal groups. Zhang et al. 2018 (ShuffleNet), https://arxiv.org/abs/1707.01083"""
    batch, channels, height, width = x.shape
    return x.view(batch, groups, channels // groups, height, width).transpose(1, 2).reshape(batch, channels, height, width)
