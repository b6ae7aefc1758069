"""Choose the kernel of a depthwise convolution; smaller kernels are transformed centres of larger ones.

Cai et al. 2020 (Once-for-All), section 3.2, https://arxiv.org/abs/1908.09791; https://github.com/mit-han-lab/once-for-all
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.errors import InputError
from supernet.layers.base import Searchable
from supernet.layers.channels import Axes, ByChannel
from supernet.layers.elastic import with_weights
from supernet.modules.convolutions import conv2d
from supernet.space import Taken


class ElasticKernel2d(Searchable, ByChannel):
    """A depthwise convolution whose kernel is one of ``sizes`` (odd); x: (B, C, H, W) -> the same, divided by ``stride``.

    ``ElasticKernel2d(96, (3, 5, 7))`` stands where ``nn.Conv2d(96, 96, 7, padding=3, groups=96, bias=False)`` would; fewer channels that
    arrive take the first kernels. Each smaller kernel is the centre of the next larger one (3 of the transformed 5), times a
    matrix (k * k, k * k) that all channels share: ``matrices["5"]`` and ``matrices["3"]``, learned, identities at the start. Without
    ``transform`` it is the centre alone. A blend of sizes is the convolution with the blended kernel.
    Raises ``InputError`` for even sizes.
    """

    sizes_of = "kernel"

    def __init__(
        self, channels: int, sizes: Sequence[int], stride: int = 1, transform: bool = True, name: str | None = None, **limits: Any
    ):
        if any(k % 2 == 0 for k in sizes):
            raise InputError(f"kernel sizes must be odd; got {tuple(sizes)}")
        super().__init__(tuple(sorted(sizes)), name, **limits)
        self.stride, self.seen, largest = stride, channels, max(sizes)
        self.weight = nn.Parameter(torch.empty(channels, 1, largest, largest))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        smaller = sorted(sizes)[:-1] if transform else []
        self.matrices = nn.ParameterDict({str(k): nn.Parameter(torch.eye(k * k)) for k in smaller})

    def kernel(self, size: int) -> Tensor:
        """The kernel of one size, over the channels that last arrived: (channels, 1, size, size)."""
        assert self.choice
        weight = self.weight[: self.seen]
        for k in sorted((int(o) for o in self.choice.options[:-1]), reverse=True):
            if k < size:
                break
            cut = (weight.shape[-1] - k) // 2
            weight = weight[:, :, cut : cut + k, cut : cut + k]
            if str(k) in self.matrices:
                weight = F.linear(weight.reshape(self.seen, k * k), self.matrices[str(k)]).view(self.seen, 1, k, k)
        return weight

    def forward(self, x: Tensor) -> Tensor:
        choice, (weights, runs, _) = self.own()
        self.seen = x.shape[1]
        sizes = [int(choice.options[i]) for i in runs]
        largest = max(sizes)
        terms = [F.pad(self.kernel(k), [(largest - k) // 2] * 4) for k in sizes]
        if weights is not None:
            terms = [weights[i] * term for i, term in zip(runs, terms, strict=True)]
        return conv2d(x, sum(terms[1:], terms[0]), None, self.stride, largest // 2, 1, self.seen)

    def axes(self) -> Axes:
        """Of the weight."""
        return Axes(keeps=[(self.weight, 0)])

    def derive(self, taken: Taken | None, *others: Taken | None) -> nn.Module:
        assert isinstance(taken, int)
        plain = nn.Conv2d(self.seen, self.seen, taken, self.stride, taken // 2, groups=self.seen, bias=False)
        return with_weights(plain, self.kernel(taken), None)
