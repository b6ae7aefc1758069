"""Batches of images, or of rows of a table, that stay in memory, in an order that two whole numbers describe."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import numpy
import torch
from torch import Generator, Tensor

from supernet.data.augment import Augment
from supernet.errors import InputError

SHARE = 1 / 8
Statistics = tuple[tuple[float, ...], tuple[float, ...]]  # mean and standard deviation of each channel

KNOWN: dict[str, Statistics] = {  # of the whole training split; bytes count as 0 to 1
    "mnist": ((0.1307,), (0.3081,)),
    "fashion-mnist": ((0.2860,), (0.3530,)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
}


def mean_std(x: Tensor) -> Statistics:
    """Mean and standard deviation of each channel of images (N, C, H, W), or of each column of a table (N, C).

    Bytes count as 0 to 1, other numbers as they are.

    A channel that never changes has the deviation 1, so that it can be divided by.
    """
    total = torch.zeros(2, x.shape[1], dtype=torch.float64)
    for start in range(0, len(x), 1000):
        values = x[start : start + 1000].cpu().double()  # devices may have no float64
        over = [0, *range(2, x.ndim)]
        total += torch.stack([values.sum(over), values.square_().sum(over)])
    mean, square = total / (x.numel() // x.shape[1])
    std = (square - mean.square()).clamp(min=0).sqrt()
    std[std <= 1e-8 * mean.abs()] = 0
    scale = 255 if x.dtype == torch.uint8 else 1
    return tuple((mean / scale).tolist()), tuple(s / scale if s else 1.0 for s in std.tolist())


def seeded(*numbers: int) -> Generator:
    """A CPU generator that is a function of whole numbers and of nothing else."""
    mixed = numpy.random.SeedSequence([number % 2**64 for number in numbers]).generate_state(1, numpy.uint64)
    return torch.Generator().manual_seed(int(mixed[0]))


def capacity(device: torch.device | str) -> int:
    """The bytes that a device of CUDA has in all, so that what fits does so whenever a run goes on; 0 of others."""
    kind = torch.device(device)
    return torch.cuda.get_device_properties(kind).total_memory if kind.type == "cuda" else 0


def pinned(x: Tensor, device: torch.device) -> Tensor:
    """``x``, on its way to a device of CUDA in memory from which it is copied while the host goes on; elsewhere as it is."""
    return x.pin_memory() if device.type == "cuda" and x.device.type == "cpu" else x


class Batches:
    """Passes over images and labels that are held in memory, on the device they are on.

    Iterating gives the rest of a pass, (float32 images (B, C, H, W), labels (B,)) a batch; the next iteration the pass after
    it. Its state, ``turn`` and ``at``, names the pass and the batch that come next.

    x: images (N, C, H, W), or rows of a table (N, C), uint8 or floating point, converted and normalised a batch at a time.
    y: labels (N, ...).
    size: images a batch; where there are fewer images, the one batch is smaller.
    seed: the order and the augmentation of training batches are a function of it, the pass and the batch.
    train: False gives all images in order, as they are, the last batch maybe smaller.
    augment: crops, flips and cutout of training batches. mean, std: of each channel of the training images, see ``mean_std``.
    drop_last: whether training leaves out the images beyond the last full batch of a pass (others each pass). Batch
    normalisation needs that where a single image could remain; the papers' own code keeps them.

    Raises InputError where there are no images or the arguments do not fit together.
    """

    def __init__(self, x: Tensor, y: Tensor, size: int, *, seed: int = 0, train: bool = True, augment: Augment | None = None,
                 mean: Sequence[float], std: Sequence[float], drop_last: bool = True):
        if x.ndim not in (2, 4) or len(x) != len(y) or len(x) == 0:
            given = f"{tuple(x.shape)} and {tuple(y.shape)}"
            raise InputError(f"images must be (N, C, H, W), a table (N, C), and labels (N,), N at least 1; these are {given}")
        if size < 1:
            raise InputError(f"the batch size {size} must be at least 1")
        if not len(mean) == len(std) == x.shape[1] or min(std) <= 0:
            raise InputError(f"mean {tuple(mean)} and std {tuple(std)} must have {x.shape[1]} entries, one a channel, and std no 0")
        self.x, self.y, self.size, self.seed, self.train, self.augment, self.drop_last = x, y, size, seed, train, augment, drop_last
        unit = 255 if x.dtype == torch.uint8 else 1
        factor = [1 / (s * unit) for s in std]
        offset = [-m / s for m, s in zip(mean, std, strict=True)]
        self._normal = torch.tensor([factor, offset], device=x.device).view(2, 1, -1, *[1] * (x.ndim - 2))  # (2, 1, C, 1, 1)
        self.turn = self.at = 0

    def __len__(self) -> int:
        full, rest = divmod(len(self.x), self.size)
        return max(full, 1) if self.train and self.drop_last else full + (rest > 0)

    @property
    def smallest(self) -> int:
        """The images in the smallest batch of a pass."""
        n = len(self.x)
        return min(n, self.size) if self.train and self.drop_last else n % self.size or self.size

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        turn, order = self.turn, self._order()
        while self.turn == turn:
            at = self.at
            self.turn, self.at = (turn, at + 1) if at + 1 < len(self) else (turn + 1, 0)
            yield self._batch(order[at * self.size : (at + 1) * self.size], turn, at)

    def _order(self) -> Tensor:
        n = len(self.x)
        order = torch.randperm(n, generator=seeded(self.seed, self.turn, 0, 0)) if self.train else torch.arange(n)
        return order.to(self.x.device)

    def _batch(self, chosen: Tensor, turn: int, at: int) -> tuple[Tensor, Tensor]:
        x, y = self.x[chosen], self.y[chosen]
        factor, offset = self._normal
        if self.augment is None or not self.train:
            return x.float().mul_(factor).add_(offset), y
        drawn = self.augment.draw(len(x), x.shape[2], x.shape[3], seeded(self.seed, turn, 1, at))
        drawn = drawn.to(x.device, non_blocking=True)
        x = self.augment.move(x, drawn).float().mul_(factor).add_(offset)
        return self.augment.erase(x, drawn), y

    def in_order(self) -> Batches:
        """The same images as one would evaluate on them: all, in order, without augmentation. The tensors are shared, the state is not."""
        other = copy.copy(self)
        other.train, other.turn, other.at = False, 0, 0
        return other

    def calibrating(self) -> Batches:
        """As ``in_order``, without the images beyond the last full batch where training leaves such out."""
        other = self.in_order()
        if self.train and self.drop_last:
            kept = len(self) * self.size
            other.x, other.y = self.x[:kept], self.y[:kept]
        return other

    def near(self, device: torch.device | str) -> Batches:
        """The same batches, held on ``device`` where they take no more than ``SHARE`` of its memory, else where they are."""
        size = sum(tensor.numel() * tensor.element_size() for tensor in (self.x, self.y))
        return self.to(device) if size <= SHARE * capacity(device) else self

    def to(self, device: torch.device | str) -> Batches:
        """The same batches, at the same place, with the tensors on ``device``."""
        other = copy.copy(self)
        other.x, other.y, other._normal = (tensor.to(device) for tensor in (self.x, self.y, self._normal))
        return other

    def state_dict(self) -> dict[str, int]:
        """The pass and the batch that come next."""
        return {"turn": self.turn, "at": self.at}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on where ``state`` was taken; raises InputError where a pass is too short for it."""
        if not 0 <= state["at"] < len(self):
            raise InputError(f"cannot go on at batch {state['at']} of a pass of {len(self)}; the data or the batch size has changed")
        self.turn, self.at = state["turn"], state["at"]
