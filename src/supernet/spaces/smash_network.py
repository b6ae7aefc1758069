"""SMASH's networks: three blocks of memory banks that operations read and write: Brock et al. 2018, section 3.1, https://arxiv.org/abs/1708.05344

Sizes are those of https://github.com/ajbrock/SMASH (SMASH.py). The memory of a block is one tensor whose channels are parted into banks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.layers.hypernetwork import Generated, GeneratedConv2d, HyperNetwork
from supernet.layers.one_of import OneOf
from supernet.layers.some_of import SomeOf
from supernet.layers.up_to import UpTo

BLOCKS, MULTIPLE, COMPRESSION, LARGEST = 3, 8, 2, 7
Side = tuple[int, int]  # the size of a kernel in one direction, and its dilation there
SIDES: tuple[Side, ...] = ((3, 1), (3, 2), (3, 3), (5, 1), (5, 2), (7, 1))  # the larger, the less it may be dilated
SIZES, DILATIONS, GROUPS = (3, 5, 7), 3, (1, 2, 4, 8)


def named(tall: Side, wide: Side, groups: int) -> str:
    """k3d1g1, or k3x5d1x2g1 where the kernel has other sides, the height first."""
    (height, down), (width, across) = tall, wide
    return f"k{height}d{down}g{groups}" if tall == wide else f"k{height}x{width}d{down}x{across}g{groups}"


SQUARE = {named(side, side, g): (side, side, g) for side in SIDES for g in GROUPS}
OPERATIONS = SQUARE | {named(a, b, g): (a, b, g) for a in SIDES for b in SIDES if a != b for g in GROUPS}


@dataclass(frozen=True)
class Plan:
    """The sizes of one block, in banks: all of them, those that hold its input, and how many an operation reads at most.

    ``bank``: channels of one. ``units``: channels that an operation gives, which fill ``writes`` banks.
    """

    banks: int
    inputs: int
    reads: int
    bank: int
    units: int

    @property
    def writes(self) -> int:
        """How many banks the channels of an operation fill, at most all."""
        return min(self.units // self.bank, self.banks)


def plans(channels: int, widening: int) -> list[Plan]:
    """Of each block; a budget of the official code is what ``reads`` banks in each layer of a wide residual network come to."""
    bank, units = COMPRESSION * channels, MULTIPLE * channels
    found, inputs = [], widening
    for i in range(BLOCKS):
        banks = inputs + 2 * widening if i < BLOCKS - 1 else 4 * widening
        found.append(Plan(banks, min(inputs, banks), min(widening * 2**i, banks), bank, units))
        inputs = max(banks // 2, 1)
    return found


class SharedConv2d(nn.Conv2d):
    """The one kernel of a block, of the largest size, that its operations take a part of; a derived network holds only these parts."""

    def settle(self) -> nn.Module:
        return nn.Identity()


class Window(nn.Module):
    """A convolution by the centre of a shared kernel, and by its first input channels where there are groups."""

    def __init__(self, shared: SharedConv2d, tall: Side, wide: Side, groups: int):
        super().__init__()
        self.shared = (shared,)  # a tuple hides it from torch: it is a part of the block
        self.size, self.dilation, self.groups = (tall[0], wide[0]), (tall[1], wide[1]), groups
        self.padding = (tall[1] * (tall[0] // 2), wide[1] * (wide[0] // 2))

    def weight(self) -> Tensor:
        """(units, units / groups, height, width)"""
        whole, (rows, columns) = self.shared[0].weight, [slice((LARGEST - n) // 2, (LARGEST + n) // 2) for n in self.size]
        return whole[:, : whole.shape[1] // self.groups, rows, columns]

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight(), padding=self.padding, dilation=self.dilation, groups=self.groups)

    def settle(self) -> nn.Module:
        """A plain convolution with weights of its own."""
        weight = self.weight()
        plain = nn.Conv2d(len(weight), len(weight), self.size, 1, self.padding, self.dilation, self.groups, bias=False)
        plain.weight = nn.Parameter(weight.detach().clone())
        return plain


class Place(nn.Module):
    """Puts the channels of one bank into an empty memory: (B, units, H, W) -> (B, banks * bank, H, W)."""

    def __init__(self, bank: int, plan: Plan):
        super().__init__()
        start = bank % plan.writes * plan.bank  # the channels of an operation are taken in turn
        self.start, self.end = start, start + plan.bank
        self.before, self.after = bank * plan.bank, (plan.banks - bank - 1) * plan.bank

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, self.start : self.end], (0, 0, 0, 0, self.before, self.after))


class Operation(nn.Module):
    """Reads banks by a 1x1 convolution, runs a larger one, and adds what that gives to banks: memory -> memory.

    Where weights are ``generated`` there are no norms, since a norm cannot be; else one stands before each of the two convolutions.
    """

    def __init__(
        self, plan: Plan, block: int, layer: int, shared: SharedConv2d, depths: Sequence[int], able: Sequence[str], generated: bool
    ):
        super().__init__()
        self.able = [OPERATIONS[name] for name in able]
        self.plan, self.block, self.deep = plan, block, frozenset(i for i, depth in enumerate(depths) if depth > layer)
        self.edges = [GeneratedConv2d(plan.bank, plan.units) for _ in range(plan.banks)] if generated else []
        self.read = SomeOf(self.edges or [own_edge(plan) for _ in range(plan.banks)], pick=(1, plan.reads), name=f"read.{block}.{layer}")
        self.norm = nn.Identity() if generated else nn.BatchNorm2d(plan.units)
        self.convolution = OneOf({name: Window(shared, *OPERATIONS[name]) for name in able}, name=f"op.{block}.{layer}")
        most = max(plan.banks // 2, plan.writes)
        self.write = SomeOf([Place(j, plan) for j in range(plan.banks)], pick=(plan.writes, most), name=f"write.{block}.{layer}")

    def forward(self, memory: Tensor) -> Tensor:
        bank = self.plan.bank
        x = self.read([memory[:, i * bank : (i + 1) * bank] for i in range(self.plan.banks)])
        x = self.convolution(F.relu(self.norm(x)))
        out: Tensor = memory + self.write([x] * self.plan.banks)
        return out

    def generated(self, most: int) -> tuple[Generated, int]:
        """What a hypernetwork is told of this operation, and how many rows say it; ``most``: channels / N of the widest memory."""
        assert self.read.choice and self.write.choice and self.convolution.choice
        kinds = 2 * most + BLOCKS + MULTIPLE
        rows = [self._rows(*how, kinds) for how in self.able]
        written = [(most + j,) for j in range(self.plan.banks)]
        places: dict[str, Sequence[tuple[int, ...]]] = {self.write.choice.name: written, self.convolution.choice.name: rows}
        always = (2 * most + self.block, 2 * most + BLOCKS + self.plan.units // (self.plan.bank // COMPRESSION) - 1)
        told = Generated(f"depth.{self.block}", self.deep, self.read.choice.name, self.edges, places, always)
        return told, kinds + 2 * (DILATIONS + len(SIZES)) + len(GROUPS)

    @staticmethod
    def _rows(tall: Side, wide: Side, groups: int, start: int) -> tuple[int, ...]:
        """The rows of a kernel: its dilation in both directions, its size in both, its groups."""
        (height, down), (width, across), kernels = tall, wide, start + 2 * DILATIONS
        dilated = (start + down - 1, start + DILATIONS + across - 1)
        sized = (kernels + SIZES.index(height), kernels + len(SIZES) + SIZES.index(width))
        return (*dilated, *sized, kernels + 2 * len(SIZES) + GROUPS.index(groups))


def own_edge(plan: Plan) -> nn.Module:
    """How a bank is read by weights of its own."""
    return nn.Sequential(nn.BatchNorm2d(plan.bank), nn.ReLU(), nn.Conv2d(plan.bank, plan.units, 1, bias=False))


class Block(nn.Module):
    """A memory that begins with the block's input, and operations on it: (B, inputs * bank, H, W) -> (B, banks * bank, H, W)."""

    def __init__(self, plan: Plan, number: int, depths: Sequence[int], able: Sequence[str], generated: bool):
        super().__init__()
        self.empty = (plan.banks - plan.inputs) * plan.bank
        self.shared = SharedConv2d(plan.units, plan.units, LARGEST, bias=False)
        layers = [Operation(plan, number, i, self.shared, depths, able, generated) for i in range(depths[-1])]
        self.operations = UpTo(layers, depths, name=f"depth.{number}")

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.operations(F.pad(x, (0, 0, 0, 0, 0, self.empty)))
        return out


class MemoryNetwork(nn.Module):
    """Stem, blocks, between them transitions that halve height and width, pool, linear classifier: images -> logits (B, classes).

    ``depths``: of each block, how many operations it may have. ``able``: the names of the convolutions. ``generated``: whether a
    hypernetwork makes what reads the banks.
    """

    def __init__(
        self, images: int, classes: int, channels: int, widening: int, depths: Sequence[Sequence[int]], able: Sequence[str], generated: bool
    ):
        super().__init__()
        sizes = plans(channels, widening)
        self.stem = nn.Conv2d(images, sizes[0].inputs * sizes[0].bank, 7, padding=3, bias=False)
        self.blocks = nn.ModuleList(Block(plan, i, depths[i], able, generated) for i, plan in enumerate(sizes))
        widths = [plan.banks * plan.bank for plan in sizes]
        into = [plan.inputs * plan.bank for plan in sizes[1:]]
        between = [transition(a, b) for a, b in zip(widths[:-1], into, strict=True)]
        self.transitions = nn.ModuleList([*between, nn.Identity()])
        self.norm, self.classifier = nn.BatchNorm2d(widths[-1]), nn.Linear(widths[-1], classes)
        told = [m.generated(widths[-1] // channels) for m in self.modules() if isinstance(m, Operation)] if generated else []
        made = [HyperNetwork([o for o, _ in told], told[0][1], channels, MULTIPLE, COMPRESSION)] if told else [nn.Identity()]
        self.hypernetwork: nn.Module = made[0]

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(self.hypernetwork(x)))
        for block, transition_after in zip(self.blocks, self.transitions, strict=True):
            x = transition_after(block(x))
        logits: Tensor = self.classifier(torch.mean(F.relu(self.norm(x)), (2, 3)))
        return logits


def transition(inputs: int, outputs: int) -> nn.Module:
    """What stands between two blocks."""
    return nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, outputs, 1, bias=False), nn.AvgPool2d(2))
