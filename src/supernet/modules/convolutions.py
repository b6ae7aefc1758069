"""Convolutions and batch norms that another kernel computes than PyTorch would take: exact, on the CPU, and only while a network runs.

Some, because one kernel of the CPU library is wrong. The weight gradient of a dense 1x1 convolution with a stride writes past its buffer
in oneDNN where the weights lie in channels_last and there are fewer than 16 input channels (of a transposed convolution, output channels):
https://github.com/uxlfoundation/oneDNN/issues/6035. Such a convolution is one without a stride on the pixels that it looks at.
Others, because native kernels (``supernet.native``) are faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeGuard

from torch import Tensor, nn
from torch.nn import functional as F

from supernet.native.depthwise import depthwise, known, pair_of
from supernet.native.kernels import fits, used
from supernet.native.mixing import mixable, mixed
from supernet.native.separable import separable

CHANNELS = 16  # from which on the kernel is right: as many as a vector of AVX-512 holds


def conv2d(x: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, dilation: Any, groups: int) -> Tensor:
    """``torch.conv2d``: (..., C, H, W) -> (..., outputs, H', W')."""
    if x.device.type == "cpu" and _wrong(weight, weight.shape[1], stride, padding, groups):
        down, across = pair_of(stride)
        return F.conv2d(x[..., ::down, ::across], weight, bias)
    if groups > 1 and fits(x, weight) and known(x, weight, pair_of(stride), padding, pair_of(dilation), groups):
        out = depthwise(x, weight, pair_of(stride)[0], pair_of(dilation)[0])
        return out if bias is None else out + bias[:, None, None]
    return F.conv2d(x, weight, bias, stride, padding, dilation, groups)


def strided(model: nn.Module) -> list[nn.Conv2d | nn.ConvTranspose2d]:
    """The convolutions of ``model`` that the kernel could get wrong, each once."""
    return [m for m in model.modules() if _plain(m) and _wrong(m.weight, m.weight.shape[1], m.stride, m.padding, m.groups)]


def fast(model: nn.Module) -> list[nn.Module]:
    """The depthwise convolutions of ``model``, sequences that have some, and batch norms, all of which native kernels may be faster for."""
    convolutions = [m for m in model.modules() if _depthwise(m)]
    sequences = [m for m in model.modules() if type(m) is nn.Sequential and any(map(_depthwise, m._modules.values()))]
    return [*convolutions, *sequences, *(m for m in model.modules() if type(m) is nn.BatchNorm2d)]


class Routes:
    """The parts of a model that are computed otherwise while it runs."""

    def __init__(self, model: nn.Module):
        self.always = [_route(m) for m in strided(model)]
        self.native = [_route(m) for m in fast(model)]

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Compute them so while the context lasts: those that a kernel gets wrong, and where native kernels are used the others."""
        held = self.always + (self.native if used() == "native" else [])
        for module, name, call in held:  # in the instance alone, so that a copy made later, derived or exported, has nothing of it
            module.__dict__[name] = call
        try:
            yield
        finally:
            for module, name, _ in held:
                module.__dict__.pop(name, None)


def _route(module: nn.Module) -> tuple[nn.Module, str, Callable[..., Tensor]]:
    """A module, the name of its function that is replaced, and what is called in its place."""
    if isinstance(module, nn.Conv2d):
        return module, "_conv_forward", partial(_conv_forward, module)
    if isinstance(module, nn.ConvTranspose2d):
        return module, "forward", partial(_transposed, module)
    if isinstance(module, nn.Sequential):
        return module, "forward", partial(_in_sequence, module)
    assert isinstance(module, nn.BatchNorm2d)
    return module, "forward", partial(_normalised, module)


def _conv_forward(module: nn.Conv2d, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return conv2d(x, weight, bias, module.stride, module.padding, module.dilation, module.groups)


def _transposed(module: nn.ConvTranspose2d, x: Tensor, output_size: list[int] | None = None) -> Tensor:
    """(..., C, H, W) -> (..., outputs, H', W'): the pixels with zeros between them, and the bias."""
    if x.device.type != "cpu":
        return nn.ConvTranspose2d.forward(module, x, output_size)
    pixels = F.conv_transpose2d(x, module.weight)
    if output_size is None:
        more = pair_of(module.output_padding)
        output_size = [(n - 1) * s + 1 + m for n, s, m in zip(pixels.shape[-2:], pair_of(module.stride), more, strict=True)]
    spread = pixels.new_zeros((*pixels.shape[:-2], *output_size[-2:]))
    down, across = pair_of(module.stride)
    spread[..., ::down, ::across] = pixels
    return spread if module.bias is None else spread + module.bias[:, None, None]


def _normalised(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    return mixed([x], [norm]) if norm.training and mixable([x]) else nn.BatchNorm2d.forward(norm, x)


def _in_sequence(sequence: nn.Sequential, x: Any) -> Any:
    """One part after the other, but separable convolutions as one operation.

    With the ReLU before them where that is not the first part, whose value may be shared with what else reads the input.
    """
    parts = list(sequence._modules.values())
    at = 0
    while at < len(parts):
        rectified = at > 0 and _rectifies(parts[at])
        pair = parts[at + rectified : at + rectified + 2]
        out = separable(x, pair, rectified) if len(pair) == 2 and not any(map(_watched, parts[at : at + rectified + 2])) else None
        x = parts[at](x) if out is None else out
        at += 1 if out is None else rectified + 2
    return x


def _rectifies(m: nn.Module | None) -> bool:
    """Whether it is a ReLU and nothing else, which leaves its input as it is; a class of another's may do more."""
    return isinstance(m, nn.ReLU) and not m.inplace and (type(m) is nn.ReLU or "rectifies" in vars(type(m)))


def _watched(m: nn.Module | None) -> bool:
    """Whether somebody looks at what goes in and out, or has replaced what it does."""
    if m is None or "forward" in vars(m):
        return True
    return bool(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks or m._backward_pre_hooks)


def _depthwise(m: nn.Module | None) -> bool:
    return isinstance(m, nn.Conv2d) and _plain(m) and m.groups == m.in_channels > 1


def _plain(m: nn.Module) -> TypeGuard[nn.Conv2d | nn.ConvTranspose2d]:
    """Whether it is a convolution that computes as PyTorch's own."""
    if isinstance(m, nn.Conv2d):
        return type(m)._conv_forward is nn.Conv2d._conv_forward
    return isinstance(m, nn.ConvTranspose2d) and type(m).forward is nn.ConvTranspose2d.forward


def _wrong(weight: Tensor, channels: int, stride: Any, padding: Any, groups: int) -> bool:
    """Whether the kernel that is wrong may be taken; ``channels``: on the side that has all the pixels."""
    if weight.dim() != 4 or weight.shape[2:] != (1, 1) or channels >= CHANNELS or groups != 1 or max(pair_of(stride)) == 1:
        return False
    return padding == "valid" or (not isinstance(padding, str) and not any(pair_of(padding)))
