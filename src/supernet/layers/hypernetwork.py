"""Weights of 1x1 convolutions that a network makes from what an architecture says: Brock et al. 2018 (SMASH), https://arxiv.org/abs/1708.05344

The network is a dense net over a picture of the architecture, section 3.2; its sizes are those of https://github.com/ajbrock/SMASH
(SMASH.py). One column of the picture stands for one part that runs, and becomes the weights of that part.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.layers.base import Searchable
from supernet.mixture import Mix
from supernet.space import Taken

GROWTH, DEPTHS, FIRST, LEAK = 10, (8, 10, 4), 7, 0.02


def normalised(weight: Tensor) -> Tensor:
    """A tensor of any shape over its norm as a whole: without a scale, and not filter by filter."""
    norm: Tensor = torch.linalg.vector_norm(weight)
    return weight / norm


class NormalisedConv2d(nn.Conv2d):
    """A convolution without a bias that keeps the size and whose weight is ``normalised``."""

    def __init__(self, inputs: int, outputs: int, size: int):
        super().__init__(inputs, outputs, size, padding=size // 2, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(input, normalised(self.weight), padding=self.padding)


class DenseNet(nn.Module):
    """x: (1, inputs, H, W) -> (1, outputs, H, W); three blocks whose layers add channels to those before, no norms."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.first, self.blocks, self.ends = NormalisedConv2d(inputs, FIRST, 3), nn.ModuleList(), nn.ModuleList()
        width = inputs + FIRST
        for i, depth in enumerate(DEPTHS):
            self.blocks.append(nn.ModuleList(NormalisedConv2d(width + GROWTH * j, GROWTH, 3) for j in range(depth)))
            width += GROWTH * depth
            last = i == len(DEPTHS) - 1
            self.ends.append(NormalisedConv2d(width, outputs if last else width // 2, 1 if last else 3))
            width //= 2

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat((x, self.first(x)), 1)
        for block, end in zip(self.blocks, self.ends, strict=True):
            for layer in block:  # type: ignore[attr-defined]
                x = torch.cat((x, layer(F.leaky_relu(x, LEAK))), 1)
            x = end(F.leaky_relu(x, LEAK))
        return x


class GeneratedConv2d(nn.Module):
    """A 1x1 convolution without weights of its own: a ``HyperNetwork`` gives it some, (outputs, inputs, 1, 1), before each time it runs."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.weight = torch.zeros(outputs, inputs, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        weight, self.weight = self.weight, self.weight.detach()  # a module that holds a graph cannot be copied
        return F.conv2d(x, weight)

    def settle(self) -> nn.Module:
        """A plain convolution with the weights that were last given."""
        outputs, inputs, *_ = self.weight.shape
        plain = nn.Conv2d(inputs, outputs, 1, bias=False)
        plain.weight = nn.Parameter(self.weight.detach().clone())
        return plain


@dataclass(frozen=True)
class Generated:
    """An operation whose parts are generated: ``parts[i]`` runs where option i of the choice ``reads`` is taken.

    ``depth``, ``deep``: it runs where one of the options ``deep`` (their indices) of the choice ``depth`` is.
    ``places``: choice -> of each of its options, the rows of the picture that are 1 where it runs. ``always``: rows that are 1 anyway.
    """

    depth: str
    deep: frozenset[int]
    reads: str
    parts: Sequence[GeneratedConv2d]
    places: dict[str, Sequence[tuple[int, ...]]]
    always: tuple[int, ...]


class HyperNetwork(Searchable):
    """Gives weights to the parts of ``operations`` that run, then passes on its input; nothing of it stays in a derived network.

    The picture of an architecture: (1, ``rows``, ``multiple``, parts that run), 1 where something is so and -1 elsewhere. Below it
    lies noise of the normal distribution, drawn anew in training and always the same in evaluation. A column gives ``multiple`` times
    ``channels`` filters of ``compression * channels`` channels; those of an operation are normalised together.
    """

    generates: ClassVar[bool] = True

    def __init__(self, operations: Iterable[Generated], rows: int, channels: int, multiple: int, compression: int):
        held = tuple(operations)
        names = dict.fromkeys(name for o in held for name in (o.depth, o.reads, *o.places))
        super().__init__((), follows=tuple(names))
        self.operations, self.rows, self.channels, self.compression = held, rows, channels, compression
        self.network = DenseNet(1 + rows, channels * channels * compression)
        self.register_buffer("noise", torch.randn(1, 1, multiple, sum(len(o.parts) for o in held)))

    def forward(self, x: Tensor) -> Tensor:
        mixes = dict(zip(self.follows, self.others, strict=True))
        running = [(o, mixes[o.reads].runs) for o in self.operations if o.deep & set(mixes[o.depth].runs)]
        columns = [self.column(o, i, mixes) for o, runs in running for i in runs]
        made = torch.split(self.weights(columns), [len(runs) for _, runs in running])
        for (operation, runs), weights in zip(running, made, strict=True):
            for i, weight in zip(runs, normalised(weights), strict=True):
                operation.parts[i].weight = weight[..., None, None]
        return x

    def column(self, operation: Generated, read: int, mixes: dict[str, Mix]) -> list[int]:
        """The rows that are 1 in the column of one part."""
        others = [row for name, rows in operation.places.items() for i in mixes[name].runs for row in rows[i]]
        return [read, *others, *operation.always]

    def weights(self, columns: Sequence[Sequence[int]]) -> Tensor:
        """The weights of each column: (columns, filters, channels that they read), not yet normalised."""
        assert isinstance(self.noise, Tensor)
        known = self.noise[..., : len(columns)]
        picture = torch.full((self.rows, len(columns)), -1.0, dtype=known.dtype)
        for i, rows in enumerate(columns):
            picture[list(rows), i] = 1.0
        seen = picture.to(known.device, non_blocking=True)[None, :, None].expand(-1, -1, known.shape[2], -1)
        made: Tensor = self.network(torch.cat((torch.randn_like(known) if self.training else known, seen), 1))
        split = made.view(self.channels, self.compression * self.channels, known.shape[2], len(columns))
        return split.permute(3, 2, 0, 1).flatten(1, 2)

    def derive(self, taken: Taken | None, *others: Taken | None) -> nn.Module:
        return nn.Identity()
