"""Convolutions that one kernel of the CPU library gets wrong, computed by another: exact, and only while a network runs.

The weight gradient of a dense 1x1 convolution with a stride writes past its buffer in oneDNN where the weights lie in channels_last and
there are fewer than 16 input channels (of a transposed convolution, output channels): https://github.com/uxlfoundation/oneDNN/issues/6035.
Such a convolution is one without a stride on the pixels that it looks at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

CHANNELS = 16  # from which on the kernel is right: as many as a vector of AVX-512 holds


def conv2d(x: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, dilation: Any, groups: int) -> Tensor:
    """``torch.conv2d``: (..., C, H, W) -> (..., outputs, H', W')."""
    if x.device.type == "cpu" and _wrong(weight, weight.shape[1], stride, padding, groups):
        down, across = _pair(stride)
        return F.conv2d(x[..., ::down, ::across], weight, bias)
    return F.conv2d(x, weight, bias, stride, padding, dilation, groups)


def strided(model: nn.Module) -> list[nn.Conv2d | nn.ConvTranspose2d]:
    """The convolutions of ``model`` that the kernel could get wrong, each once."""
    found: list[nn.Conv2d | nn.ConvTranspose2d] = []
    for m in model.modules():
        plain = isinstance(m, nn.Conv2d) and type(m)._conv_forward is nn.Conv2d._conv_forward
        if plain or (isinstance(m, nn.ConvTranspose2d) and type(m).forward is nn.ConvTranspose2d.forward):
            assert isinstance(m, nn.Conv2d | nn.ConvTranspose2d)
            if _wrong(m.weight, m.weight.shape[1], m.stride, m.padding, m.groups):
                found.append(m)
    return found


@contextmanager
def routed(convolutions: Sequence[nn.Conv2d | nn.ConvTranspose2d]) -> Iterator[None]:
    """While it lasts, those of ``convolutions`` (see ``strided``) that are on the CPU are computed by a kernel that is right."""
    held = [m for m in convolutions if m.weight.device.type == "cpu"]
    for m in held:  # in the instance alone, so that a copy made later, derived or exported, has nothing of it
        if isinstance(m, nn.Conv2d):
            m.__dict__["_conv_forward"] = partial(_conv_forward, m)
        else:
            m.__dict__["forward"] = partial(_transposed, m)
    try:
        yield
    finally:
        for m in held:
            m.__dict__.pop("_conv_forward" if isinstance(m, nn.Conv2d) else "forward", None)


def _conv_forward(module: nn.Conv2d, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return conv2d(x, weight, bias, module.stride, module.padding, module.dilation, module.groups)


def _transposed(module: nn.ConvTranspose2d, x: Tensor, output_size: list[int] | None = None) -> Tensor:
    """(..., C, H, W) -> (..., outputs, H', W'): the pixels with zeros between them, and the bias."""
    pixels = F.conv_transpose2d(x, module.weight)
    if output_size is None:
        more = _pair(module.output_padding)
        output_size = [(n - 1) * s + 1 + m for n, s, m in zip(pixels.shape[-2:], _pair(module.stride), more, strict=True)]
    spread = pixels.new_zeros((*pixels.shape[:-2], *output_size[-2:]))
    down, across = _pair(module.stride)
    spread[..., ::down, ::across] = pixels
    return spread if module.bias is None else spread + module.bias[:, None, None]


def _wrong(weight: Tensor, channels: int, stride: Any, padding: Any, groups: int) -> bool:
    """Whether the kernel that is wrong may be taken; ``channels``: on the side that has all the pixels."""
    if weight.dim() != 4 or weight.shape[2:] != (1, 1) or channels >= CHANNELS or groups != 1 or max(_pair(stride)) == 1:
        return False
    return padding == "valid" or (not isinstance(padding, str) and not any(_pair(padding)))


def _pair(size: Any) -> tuple[int, int]:
    """One number for both axes, or one each."""
    return (size, size) if isinstance(size, int) else (size[0], size[-1])
