"""Depthwise convolutions by the native kernels."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from supernet.native.kernels import kernels

SIZES = {(3, 1), (3, 2), (5, 1), (5, 2), (7, 1)}  # kernel size and dilation
STRIDES = (1, 2)


def known(x: Tensor, weight: Tensor, stride: tuple[int, int], padding: Any, dilation: tuple[int, int], groups: int) -> bool:
    """Whether the kernels have this convolution: depthwise, a weight for each channel and tap, and keeping sizes but for its stride."""
    outputs, inputs, kernel, across = weight.shape
    square = kernel == across and stride[0] == stride[1] and dilation[0] == dilation[1]
    same = padding in (dilation[0] * (kernel // 2), (dilation[0] * (kernel // 2),) * 2)
    sized = square and (kernel, dilation[0]) in SIZES and stride[0] in STRIDES and same
    return sized and x.dim() == 4 and inputs == 1 and outputs == groups == x.shape[1]


def depthwise(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    """(N, C, H, W), (C, 1, K, K) -> (N, C, H', W') by the native kernels, for what is ``known``."""
    out: Tensor = kernels().depthwise(x, weight, stride, dilation * (weight.shape[-1] // 2), dilation)
    return out


def pair_of(size: Any) -> tuple[int, int]:
    """One number for both axes, or one each."""
    return (size, size) if isinstance(size, int) else (size[0], size[-1])
