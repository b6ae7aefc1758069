"""Squeeze-and-excitation over the channels that arrive: Cai et al. 2020 (Once-for-All), section 3, https://arxiv.org/abs/1908.09791"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.layers.channels import Axes, ByChannel, held
from supernet.modules.squeeze_excite import SqueezeExcite


class ElasticSqueezeExcite(SqueezeExcite, ByChannel):
    """Of n channels that arrive it takes the first n weights, and the first ``hidden(n)`` features between; x: (B, n, H, W) -> the same."""

    def __init__(self, channels: int, hidden: Callable[[int], int]):
        super().__init__(channels, hidden(channels))
        self.hidden, self.seen = hidden, channels

    def forward(self, x: Tensor) -> Tensor:
        n = self.seen = x.shape[1]
        h = self.hidden(n)
        assert self.reduce.bias is not None and self.expand.bias is not None
        reduce = self.weighed(self.reduce.weight[:h, :n])
        features = self.activation(F.conv2d(x.mean((2, 3), keepdim=True), reduce, self.reduce.bias[:h]))
        weights: Tensor = self.gate(F.conv2d(features, self.expand.weight[:n, :h], self.expand.bias[:n]))
        return x * weights

    def axes(self) -> Axes:
        """Of the channels, and of the features between."""
        reduce, expand = self.reduce, self.expand
        hidden = Axes(held((reduce.weight, 0), (reduce.bias, 0)), [(expand.weight, 1)], sizes=[len(reduce.weight)])
        return Axes(keeps=held((reduce.weight, 1), (expand.weight, 0), (expand.bias, 0)), inside=[hidden])

    def settle(self) -> nn.Module:
        """The plain one over the channels that last arrived."""
        n, h = self.seen, self.hidden(self.seen)
        with torch.device("meta"):  # all its tensors are replaced
            plain = SqueezeExcite(n, h)
        for own, cut, (outputs, inputs) in ((self.reduce, plain.reduce, (h, n)), (self.expand, plain.expand, (n, h))):
            assert own.bias is not None
            cut.weight = nn.Parameter(own.weight[:outputs, :inputs].detach().clone())
            cut.bias = nn.Parameter(own.bias[:outputs].detach().clone())
        return plain.train(self.training)
