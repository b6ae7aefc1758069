"""Choose the size of the images that a network is given.

Cai et al. 2020 (Once-for-All), section 3, https://arxiv.org/abs/1908.09791. Images are resized inside of the network, as by
Wang et al. 2021 (AttentiveNAS), https://github.com/facebookresearch/AttentiveNAS
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from supernet.errors import InputError
from supernet.layers.base import Searchable
from supernet.space import Taken

HOW: dict[str, Any] = {"mode": "bilinear", "align_corners": False}


class InputSize(Searchable):
    """Resizes images to one of ``sizes``, their height in pixels; the width keeps its proportion. x: (B, C, H, W) -> (B, C, size, W').

    It stands first in a network, so that whatever comes after is trained, counted and timed at each size; loaders give images of one size,
    best the largest. Of a derived network ``nn.Upsample`` to the size stays. Sizes are taken, not blended: it is for methods that draw
    architectures. Raises ``InputError`` for sizes that are no counts, and where several are to run at once.
    """

    sizes_of = "input"
    blends = False

    def __init__(self, sizes: Sequence[int], name: str | None = None, **limits: Any):
        if any(isinstance(size, bool) or not isinstance(size, int) or size < 1 for size in sizes):
            raise InputError(f"input sizes must be whole numbers of at least 1; got {tuple(sizes)}")
        super().__init__(tuple(sorted(sizes)), name, **limits)
        self.seen = (1, 1)

    def forward(self, x: Tensor) -> Tensor:
        choice, mix = self.own()
        if len(mix.runs) > 1:
            raise InputError(f"the sizes of {choice.name!r} cannot be blended: take a method that draws architectures, such as one-shot")
        self.seen = (x.shape[-2], x.shape[-1])
        target = self._target(choice.options[mix.runs[0]])
        return x if target == self.seen else F.interpolate(x, target, **HOW)

    def _target(self, size: Taken) -> tuple[int, int]:
        """Height and width of the images of a size."""
        assert isinstance(size, int)
        return size, max(round(self.seen[1] * size / self.seen[0]), 1)

    def derive(self, taken: Taken | None, *others: Taken | None) -> nn.Module:
        assert taken is not None
        return nn.Upsample(self._target(taken), **HOW)
