"""Weights and activations of few bits, trained by straight-through gradients.

Weights as DoReFa-Net's: Zhou et al. 2016, section 2.3, https://arxiv.org/abs/1606.06160. Activations as PACT's, clipped where training
says: Choi et al. 2018, section 3, https://arxiv.org/abs/1805.06085. Values stay floating-point numbers, at the levels that the bits have.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

FULL = 32  # bits: as they are


def straight_through(value: Tensor, rounded: Tensor) -> Tensor:
    """``rounded``, exactly, with the gradient of ``value``. Bengio, Leonard, Courville 2013, https://arxiv.org/abs/1308.3432"""
    return (value - value.detach()) + rounded.detach()


def levels(value: Tensor, bits: int) -> Tensor:
    """``value``, in [0, 1], at the nearest of 2 to the power of ``bits`` equally spaced levels."""
    steps = 2**bits - 1
    return straight_through(value, (value * steps).round() / steps)


def quantised_weights(weight: Tensor, bits: int) -> Tensor:
    """Of one bit the signs times the mean size; of more, levels in [-1, 1] of the hyperbolic tangents, the largest at an end."""
    if bits >= FULL:
        return weight
    if bits == 1:
        return straight_through(weight, torch.where(weight >= 0, 1.0, -1.0) * weight.abs().mean())
    bent = weight.tanh()
    return 2 * levels(bent / (2 * bent.abs().max()) + 0.5, bits) - 1


def quantised_activations(x: Tensor, clip: Tensor, bits: int) -> Tensor:
    """Levels between 0 and ``clip`` (), which learns from what lies beyond it."""
    if bits >= FULL:
        return x
    clipped = torch.minimum(x.relu(), clip)
    return straight_through(clipped, levels(clipped / clip, bits) * clip)


class QuantisedConv2d(nn.Conv2d):
    """A convolution without bias, of quantised weights and quantised inputs; 32 bits: as they are. x: (B, C, H, W).

    ``clip``: where inputs are clipped at the start; it is learnt.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        *,
        weight_bits: int = FULL,
        activation_bits: int = FULL,
        clip: float = 2.0,
    ):
        super().__init__(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.weight_bits, self.activation_bits = weight_bits, activation_bits
        self.clip = nn.Parameter(torch.tensor(clip))

    def forward(self, input: Tensor) -> Tensor:
        x, weight = quantised_activations(input, self.clip, self.activation_bits), quantised_weights(self.weight, self.weight_bits)
        out: Tensor = self._conv_forward(x, weight, None)
        return out
