"""Squeeze-and-excitation: Hu, Shen, Sun 2018, section 3, https://arxiv.org/abs/1709.01507

The gate is MobileNetV3's: Howard et al. 2019, section 5.3, https://arxiv.org/abs/1905.02244
"""

from __future__ import annotations

from torch import Tensor, nn


class SqueezeExcite(nn.Module):
    """Weigh every channel by what the means of all say, through ``hidden`` features; x: (B, channels, H, W) -> the same."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(channels, hidden, 1), nn.Conv2d(hidden, channels, 1)
        self.activation, self.gate = nn.ReLU(), nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        weights: Tensor = self.gate(self.expand(self.activation(self.reduce(x.mean((2, 3), keepdim=True)))))
        return x * weights
