"""Depthwise and pointwise convolutions behind one another by the native kernels, as one operation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

from torch import Tensor, nn

from supernet.native.depthwise import known, pair_of
from supernet.native.kernels import fits, kernels

MOST = 1 << 15  # weights of the pointwise convolution: more do not stay near the processor, and PyTorch's own product is faster


def separable(x: Any, pair: Sequence[nn.Module | None], rectified: bool) -> Tensor | None:
    """(N, C, H, W) -> (N, outputs, H', W'), through a ReLU where ``rectified``, and two modules; None where the kernels have none such."""
    deep, across = pair
    if not _convolution(deep) or not _convolution(across) or deep.groups == 1 or deep.groups != deep.in_channels:
        return None
    pointwise = across.kernel_size == across.stride == (1, 1) and across.groups == 1 and across.padding in ((0, 0), "valid")
    if not pointwise or across.weight.numel() > MOST or type(x) is not Tensor or not fits(x, deep.weight, across.weight):
        return None
    stride, dilation = pair_of(deep.stride), pair_of(deep.dilation)
    if not known(x, deep.weight, stride, deep.padding, dilation, deep.groups):
        return None
    padding = dilation[0] * (deep.kernel_size[0] // 2)
    out: Tensor = kernels().separable(x, deep.weight, across.weight, stride[0], padding, dilation[0], rectified)
    return out


def _convolution(m: nn.Module | None) -> TypeGuard[nn.Conv2d]:
    """Whether it is a convolution of PyTorch's, without a bias, and with zeros beyond the border."""
    return type(m) is nn.Conv2d and m.bias is None and m.padding_mode == "zeros"
