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
    scale, shift = _affine(norms, weights, channels)
    eps = [-1.0 if norm is None else norm.eps for norm in norms]
    out, means, variances, _ = kernels().mix(list(images), scale, shift, eps)
    rows = images[0].numel() // channels
    for norm, mean, variance in zip(norms, means, variances, strict=True):
        if norm is not None:
            _count(norm, mean, variance, rows)
    return out  # type: ignore[no-any-return]


def _affine(norms: Sequence[nn.BatchNorm2d | None], weights: Sequence[Tensor] | None, channels: int) -> tuple[Tensor, Tensor]:
    """What each image is scaled by, its weight times that of its norm, (n, C), and what all are shifted by: (C,); double precision."""
    n, affine = len(norms), any(norm is not None and norm.weight is not None for norm in norms)
    by = None if weights is None else torch.stack(list(weights)).double()[:, None]
    if not affine:
        scale = torch.ones(n, channels, dtype=torch.float64) if by is None else by.expand(n, channels).contiguous()
        return scale, torch.zeros(channels, dtype=torch.float64)
    ones, zeros = torch.ones(channels, dtype=torch.float64), torch.zeros(channels, dtype=torch.float64)
    columns = [ones if norm is None or norm.weight is None else norm.weight.double() for norm in norms]
    biases = [zeros if norm is None or norm.bias is None else norm.bias.double() for norm in norms]
    scale, shifts = torch.stack(columns), torch.stack(biases)
    return (scale, shifts.sum(0)) if by is None else (scale * by, (shifts * by).sum(0))


def _count(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor, rows: int) -> None:
    """Move the running statistics, if there are any."""
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    momentum = -1.0 if norm.momentum is None else norm.momentum
    kernels().count(norm.running_mean, norm.running_var, norm.num_batches_tracked, mean, variance, momentum, rows)
