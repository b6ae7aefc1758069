"""Kernel size and expansion of an inverted residual block as parts of one depthwise kernel.

Stamoulis et al. 2019 (Single-Path NAS), section 3, https://arxiv.org/abs/1904.02877; masks and norms by its code,
https://github.com/dstamoulis/single-path-nas
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet import ops
from supernet.layers.base import Searchable, When
from supernet.layers.channels import Axes, ByChannel
from supernet.layers.elastic import ElasticConv2d, ElasticNorm
from supernet.layers.width import width_mask
from supernet.modules.convolutions import conv2d
from supernet.space import Taken

KERNELS, EXPANSIONS = (3, 5), (3, 6)


class SuperKernel(Searchable, ByChannel):
    """A depthwise 5x5 convolution whose centre is the 3x3 one; x: (B, C, H, W) -> the same, divided by ``stride``.

    A blend of the two is the convolution with the blended kernel. ``mask`` (channels,): a weight for the kernel of each channel.
    Fewer channels than ``channels`` take the first kernels.
    """

    sizes_of = "kernel"

    def __init__(self, channels: int, stride: int = 1, name: str | None = None):
        super().__init__(KERNELS, name)
        self.stride, self.seen = stride, channels
        self.weight = nn.Parameter(torch.empty(channels, 1, KERNELS[-1], KERNELS[-1]))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        choice, mix = self.own()
        self.seen = x.shape[1]
        sizes = [int(choice.options[i]) for i in mix.runs]
        largest = max(sizes)
        terms = [F.pad(self._sliced(size), [(largest - size) // 2] * 4) for size in sizes]
        if mix.weights is not None:
            terms = [mix.weights[i] * term for i, term in zip(mix.runs, terms, strict=True)]
        kernel = sum(terms[1:], terms[0])
        if mask is not None:
            kernel = kernel * mask.view(-1, 1, 1, 1)
        return conv2d(x, kernel, None, self.stride, largest // 2, 1, self.seen)

    def axes(self) -> Axes:
        """Of the weight."""
        return Axes(keeps=[(self.weight, 0)])

    def ring_norm(self) -> Tensor:
        """The norm of what only the 5x5 kernel has: ()."""
        return norm(self._ring())

    def half_norms(self, ring: Tensor | float) -> tuple[Tensor, Tensor]:
        """The norms of the kernels of the first and of the other half of the channels, with ``ring`` times what lies around 3x3: (), ()."""
        outer = self._ring()
        kernel, half = self.weight - outer + ring * outer, round(len(outer) / 2)
        return norm(kernel[:half]), norm(kernel[half:])

    def derive(self, taken: Taken | None, *others: Taken | None) -> nn.Module:
        assert isinstance(taken, int)
        plain = nn.Conv2d(self.seen, self.seen, taken, self.stride, taken // 2, groups=self.seen, bias=False)
        plain.weight = nn.Parameter(self._sliced(taken).detach().clone())
        return plain

    def _sliced(self, size: int) -> Tensor:
        """The kernel of one size, of the channels that last arrived: (channels, 1, size, size)."""
        cut = (self.weight.shape[-1] - size) // 2
        return self.weight[: self.seen, :, cut : cut + size, cut : cut + size]

    def _ring(self) -> Tensor:
        return self.weight - F.pad(self.weight[:, :, 1:-1, 1:-1], [1] * 4)


def norm(kernel: Tensor) -> Tensor:
    """The root of the sum of squares: ()."""
    return torch.linalg.vector_norm(kernel)  # type: ignore[no-any-return]


class SuperKernelBlock(Searchable):
    """An inverted residual block whose kernel (3, 5) and expansion (3, 6; 0 where it can be skipped) are parts of one ``SuperKernel``.

    Under a blend with weights only the depthwise kernel is masked: expansion 3 weighs the first half of its channels, 6 all of
    them, and the rest of the block runs at full width, so that batch norm and projection see every channel, those whose kernel
    is zero too. Under a one-hot blend only the slices that stay are computed.

    ``name``: its choices are ``name.expansion`` and ``name.kernel``; None: the layer's path, and that with ``.kernel``. The
    kernel matters where the expansion is not 0. ``norm``: settings of the batch norms. x: (B, inputs, H, W).
    """

    whole = True

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int = 1,
        *,
        name: str | None = None,
        activation: type[nn.Module] = nn.ReLU,
        norm: Mapping[str, float] | None = None,
    ):
        self.sizes, self.residual = (inputs, outputs, stride), stride == 1 and inputs == outputs
        super().__init__((0, *EXPANSIONS) if self.residual else EXPANSIONS, f"{name}.expansion" if name else None)
        hidden, how = round(inputs * EXPANSIONS[-1]), dict[str, Any](norm or {})
        self.expand = nn.Sequential(_Expand(inputs, hidden, 1, bias=False), ElasticNorm(hidden, **how), activation())
        self.kernel = SuperKernel(hidden, stride, f"{name}.kernel" if name else None)
        self.normalise = nn.Sequential(ElasticNorm(hidden, **how), activation())
        self.project = nn.Sequential(ElasticConv2d(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs, **how))

    def forward(self, x: Tensor) -> Tensor:
        choice, mix = self.own()
        widths = [round(self.sizes[0] * float(expansion)) for expansion in choice.options]
        width, mask = width_mask([(widths[i], None if mix.weights is None else mix.weights[i]) for i in mix.runs], x)
        if not width:
            return x
        self.expand[0].width = width  # type: ignore[assignment]
        out: Tensor = self.project(self.normalise(self.kernel(self.expand(x), mask)))
        return x + out if self.residual else out

    def under(self) -> list[tuple[nn.Module, When]]:
        assert self.choice
        return [(self.kernel, tuple((self.choice.name, expansion) for expansion in EXPANSIONS))] if 0 in self.choice.options else []

    def derive(self, taken: Taken | None, *others: Taken | None) -> nn.Module:
        assert isinstance(taken, int)
        if not taken:
            return nn.Identity()
        inputs, outputs, stride = self.sizes
        with torch.device("meta"):  # all its parts are replaced
            block = ops.InvertedResidual(inputs, outputs, KERNELS[-1], taken, stride)
        block.body = nn.Sequential(self.expand, nn.Sequential(self.kernel, *self.normalise), self.project)
        return block


class _Expand(nn.Conv2d, ByChannel):
    """A 1x1 convolution that computes the first ``width`` of its outputs."""

    width: int | None = None

    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(input, self.weight[: self.width])

    def axes(self) -> Axes:
        """Of the weight."""
        widest = len(self.weight)
        return Axes([(self.weight, 0)], [(self.weight, 1)], sizes=[round(widest * e / EXPANSIONS[-1]) for e in EXPANSIONS])

    def settle(self) -> nn.Module:
        """The plain convolution of the width that it last had."""
        weight = self.weight[: self.width].detach().clone()
        plain = nn.Conv2d(weight.shape[1], weight.shape[0], 1, bias=False)
        plain.weight = nn.Parameter(weight)
        return plain
