"""Batch norms, weights and sums of images in one pass, by the native kernels: ``sum of scale * normalised(image) + shift``."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from supernet.native.kernels import fits, kernels

MOST = 16  # images of one sum


def mixable(images: Sequence[Tensor]) -> bool:
    """Whether the kernels have these images: alike, in channels_last, more than one value a channel."""
    first = images[0]
    alike = len(images) <= MOST and first.dim() == 4 and first.numel() > first.shape[1] and fits(*images)
    return alike and all(x.shape == first.shape and x.is_contiguous(memory_format=torch.channels_last) for x in images)


def mixed(images: Sequence[Tensor], norms: Sequence[nn.BatchNorm2d | None], weights: Sequence[Tensor] | None = None) -> Tensor:
    """The sum of ``images``, each through its batch norm in training mode, if it has one, and times its weight: (N, C, H, W).

    images: ``mixable``. weights: of (); None: ones. The running statistics of the norms move as they do in PyTorch.
    """
    channels = images[0].shape[1]
    one = torch.ones((), dtype=torch.float64)
    by = [one] * len(images) if weights is None else [weight.double() for weight in weights]
    columns = [one if norm is None or norm.weight is None else norm.weight.double() for norm in norms]
    scale = torch.stack([(weight * column).expand(channels) for weight, column in zip(by, columns, strict=True)])
    shifts = [weight * norm.bias.double() for weight, norm in zip(by, norms, strict=True) if norm is not None and norm.bias is not None]
    shift = sum(shifts[1:], shifts[0]) if shifts else torch.zeros(channels, dtype=torch.float64)
    eps = [-1.0 if norm is None else norm.eps for norm in norms]
    out, means, variances, _ = kernels().mix(list(images), scale, shift, eps)
    rows = images[0].numel() // channels
    for norm, mean, variance in zip(norms, means, variances, strict=True):
        if norm is not None:
            _count(norm, mean, variance * (rows / (rows - 1)))
    return out  # type: ignore[no-any-return]


@torch.no_grad()
def _count(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    """Move the running statistics, if there are any."""
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked += 1
    factor = 1 / int(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), factor)
    norm.running_var.lerp_(variance.to(norm.running_var.dtype), factor)

