"""Augmentation of a whole batch at once, on its device: random crop, horizontal flip, cutout.

Crop and flip come before normalisation, with zeros around the raw image, and cutout after it, so that its square holds the
mean: the order of H. Liu et al., DARTS, 2019, https://arxiv.org/abs/1806.09055. Cutout: T. DeVries and G. W. Taylor, Improved
Regularization of Convolutional Neural Networks with Cutout, 2017, https://arxiv.org/abs/1708.04552, section 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from supernet.errors import InputError


def crop(x: Tensor, top: Tensor, left: Tensor, pad: int) -> Tensor:
    """Cut (B, C, H, W) out of itself with ``pad`` zeros on each side, image i from row ``top[i]`` and column ``left[i]`` (0 to 2 pad)."""
    height, width = x.shape[2:]
    windows = F.pad(x, (pad, pad, pad, pad)).unfold(2, height, 1).unfold(3, width, 1)  # (B, C, 2 pad + 1, 2 pad + 1, H, W), a view
    return windows[torch.arange(len(x), device=x.device), :, top, left]


def flip(x: Tensor, which: Tensor) -> Tensor:
    """Mirror left and right those images of (B, C, H, W) where ``which`` (B,) is not 0."""
    return torch.where((which != 0)[:, None, None, None], x.flip(3), x)


def cutout(x: Tensor, row: Tensor, column: Tensor, length: int) -> Tensor:
    """Zero a square of (B, C, H, W), its side ``length``, around (``row[i]``, ``column[i]``); what lies outside the image is lost."""
    inside = [_near(at, length, size) for at, size in ((row, x.shape[2]), (column, x.shape[3]))]
    return x.masked_fill(inside[0][:, None, :, None] & inside[1][:, None, None, :], 0)


def _near(centre: Tensor, length: int, size: int) -> Tensor:
    away = torch.arange(size, device=centre.device) - (centre - length // 2)[:, None]  # (B, size)
    return (away >= 0) & (away < length)


@dataclass(frozen=True)
class Augment:
    """Random crop from ``crop`` zeros on each side, flip of every other image, cutout of a square of side ``cutout``; 0 or False: none."""

    crop: int = 4
    flip: bool = True
    cutout: int = 0

    def __post_init__(self) -> None:
        if self.crop < 0 or self.cutout < 0:
            raise InputError(f"crop {self.crop} and cutout {self.cutout} must be 0 (none) or a number of pixels")

    def draw(self, n: int, height: int, width: int, generator: Generator) -> Tensor:
        """What happens to each of n images, (5, n) int64 on the CPU: top, left, flip, row and column of the square.

        All five are drawn whatever is in use, so that switching one off leaves the others as they were.
        """
        ends = (2 * self.crop + 1, 2 * self.crop + 1, 2, height, width)
        return torch.stack([torch.randint(end, (n,), generator=generator) for end in ends])

    def move(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Crop and flip raw images (B, C, H, W)."""
        x = crop(x, drawn[0], drawn[1], self.crop) if self.crop else x
        return flip(x, drawn[2]) if self.flip else x

    def erase(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Cut the square out of normalised images (B, C, H, W)."""
        return cutout(x, drawn[3], drawn[4], self.cutout) if self.cutout else x


def default_augment(name: str, side: int = 32) -> Augment:
    """The usual augmentation of a set: crops from an eighth of the ``side`` of its images, and flips where a mirror image keeps its class.

    That is 4 and a flip for CIFAR's 32 pixels, 1 and no flip for the digits' 8. Whether a mirror image keeps its class is not
    known of a user's own set: no flip.
    """
    return Augment(crop=side // 8, flip=name in ("cifar10", "cifar100", "fashion-mnist"))
