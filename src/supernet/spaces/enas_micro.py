"""ENAS' micro space: two cells of five nodes, repeated: Pham et al. 2018, section 2.4, https://arxiv.org/abs/1802.03268

Choices: ``normal.2.x`` and ``normal.2.y`` say which earlier states node 2 reads (0 and 1 are the cells before), ``normal.2.x.op`` and
``normal.2.y.op`` what it does to them. Sizes, wiring and counts follow https://github.com/melodyguan/enas
(src/cifar10/micro_child.py), whose numbers of states and operations are the notation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from supernet.errors import InputError, unknown
from supernet.genotype import whole_numbers
from supernet.layers.base import Supernet
from supernet.settings.quantities import Channels, Classes, Layers, Nodes, Part, Shape
from supernet.space import Architecture
from supernet.spaces.cell_network import Inputs, check_sizes, conv_norm
from supernet.spaces.enas_cell import OPERATIONS, SIDES, FixedCell, Halved, OpenCell
from supernet.spaces.record import Build, Published, Space, headed

NAME = "enas-micro"
CITATION = "Pham, Guan, Zoph, Le, Dean 2018: Efficient Neural Architecture Search via Parameter Sharing, https://arxiv.org/abs/1802.03268"
SAID = ("classes", "channels", "cells", "shape")
KINDS = ("normal", "reduce")
PUBLISHED = {  # scripts/cifar10_micro_final.sh
    NAME: Published(
        f"{NAME}: 0 2 0 0 0 4 0 1 0 4 1 1 1 0 0 1 0 2 1 1 | 1 0 1 0 0 3 0 2 1 1 3 1 1 0 0 4 0 3 1 1",
        CITATION,
        repository="https://github.com/melodyguan/enas",
        original="cifar10_micro_final.sh",
    )
}
RECIPES: dict[str, Any] = {  # of the official scripts
    "paper": {"epochs": 150, "data": {"batch_size": 160, "validation": 0.1}},
    "retrain": {"data": {"batch_size": 144}, "weights": {"lr": 0.05, "lr_min": 1e-4, "nesterov": True, "decay": 4e-4}},
    # few nodes, whose operations are trained the more often: enas finds 0.44 right of the digits that validate, in 95 s of one core
    "short": {"data": {"validation": 0.1}, "supernet": {"channels": 8, "cells": 1, "nodes": 2}, "network": {"channels": 16, "cells": 4}},
}

Cells = Callable[[str, Inputs, int, float], nn.Module]  # kind, inputs, channels, share of the depth -> a cell
Steps = Iterator[tuple[bool, nn.Module]]  # whether the second classifier reads its output, and what runs


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Settings of the supernet. ``cells``: besides the two that reduce. ``dropout``: before the classifier."""

    classes: Classes = 10
    channels: Channels = 20
    cells: Layers = 6
    nodes: Nodes = 5
    shape: Shape = (3, 32, 32)
    dropout: Part = 0.1


@dataclass(frozen=True, kw_only=True)
class NetworkSizes:
    """Settings of the network. ``auxiliary``: a second classifier; in training mode the network then returns (logits, auxiliary logits)."""

    classes: Classes = 10
    channels: Channels = 36
    cells: Layers = 15
    shape: Shape = (3, 32, 32)
    dropout: Part = 0.2
    auxiliary: bool = False


class MicroNetwork(nn.Module):
    """Stem, cells, global average pool, linear classifier without a bias: images ``(batch, *shape)`` -> logits (batch, classes).

    ``steps``: each gives the next of the states, from the last two. ``sizes``: of ``Sizes`` or ``NetworkSizes``.
    Raises ``InputError`` for sizes that make no network.
    """

    def __init__(self, steps: Callable[[Inputs], Steps], sizes: Any, auxiliary: bool = False):
        super().__init__()
        check_sizes(sizes.shape, classes=(sizes.classes, 1), channels=(sizes.channels, 2), cells=(sizes.cells, 1))
        if sizes.channels % 2:
            raise InputError(f"the channels of {NAME} are halved where it reduces: give an even number, not {sizes.channels}")
        width = 3 * sizes.channels
        self.stem, self.steps, self.auxiliary, self.read = conv_norm(sizes.shape[0], width, 1), nn.ModuleList(), None, -1
        for at, (read, step) in enumerate(steps(Inputs(width, width, False))):
            self.steps.append(step)
            width = int(step.channels)  # type: ignore[arg-type]
            if read and auxiliary:
                self.read, self.auxiliary = at, AuxiliaryHead(width, sizes.classes, (sizes.shape[1] // 4, sizes.shape[2] // 4))
        self.dropout, self.classifier = nn.Dropout(sizes.dropout), nn.Linear(width, sizes.classes, bias=False)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        s0 = s1 = self.stem(x)
        auxiliary = None
        for at, step in enumerate(self.steps):
            s0, s1 = s1, step(s0, s1)
            if at == self.read and self.auxiliary is not None and self.training:
                auxiliary = self.auxiliary(s1)
        logits: Tensor = self.classifier(self.dropout(s1.relu().mean((2, 3))))
        return logits if auxiliary is None else (logits, auxiliary)


class AuxiliaryHead(nn.Module):
    """The second classifier: features at a quarter of the size -> (batch, classes); raises ``InputError`` where they are too small."""

    def __init__(self, inputs: int, classes: int, side: tuple[int, int]):
        super().__init__()
        if min(side) < 5:
            raise InputError("the auxiliary head averages windows of 5x5 at a quarter of the size: use images of at least 20x20")
        tall, wide = ((s - 5) // 3 + 1 for s in side)
        self.narrow = nn.Sequential(nn.ReLU(), nn.AvgPool2d(5, 3), nn.Conv2d(inputs, 128, 1, bias=False), nn.BatchNorm2d(128), nn.ReLU())
        around = nn.ZeroPad2d(((wide - 1) // 2, wide // 2, (tall - 1) // 2, tall // 2))  # keeps the size
        whole = nn.Conv2d(128, 768, (tall, wide), bias=False)
        self.whole = nn.Sequential(around, whole, nn.BatchNorm2d(768), nn.ReLU())
        self.classifier = nn.Linear(768, classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.whole(self.narrow(x)).mean((2, 3)))
        return logits


def kinds(cells: int) -> list[str]:
    """Which of the cells reduce: two beside ``cells`` that do not."""
    third = cells // 3
    return ["reduce" if i in (third, 2 * third + 1) else "normal" for i in range(cells + 2)]


def supernet(**settings: Any) -> Supernet:
    """The network that is searched: images ``(batch, *shape)`` -> logits (batch, classes); ``settings``: of ``Sizes``."""
    return open_network(Sizes(**settings), OPERATIONS)


def open_network(sizes: Any, operations: Sequence[str]) -> Supernet:
    """The supernet of cells with any of ``operations`` at each side of a node; ``sizes``: of ``Sizes``, or with the same names."""

    def steps(inputs: Inputs) -> Steps:
        channels = sizes.channels
        for kind in kinds(sizes.cells):
            if kind == "reduce":
                channels *= 2
                yield False, Halved(inputs, channels)
                inputs = Inputs(inputs.second, channels, True)
            yield False, OpenCell(kind, inputs, channels, sizes.nodes, operations)
            inputs = Inputs(inputs.second, channels, False)

    return Supernet(MicroNetwork(steps, sizes))


def network(architecture: Mapping[str, Any] | str, **settings: Any) -> MicroNetwork:
    """The evaluation network of an architecture or its notation; ``settings``: of ``NetworkSizes``."""
    sizes, taken = NetworkSizes(**settings), parse(architecture) if isinstance(architecture, str) else architecture

    def steps(inputs: Inputs) -> Steps:
        channels, every = sizes.channels, kinds(sizes.cells)
        last = max(i for i, kind in enumerate(every) if kind == "reduce")
        for i, kind in enumerate(every):
            channels *= 2 if kind == "reduce" else 1
            cell = FixedCell(kind, inputs, channels, taken, (i + 1) / len(every))
            yield i == last + 1, cell
            inputs = Inputs(inputs.second, cell.channels, kind == "reduce")

    return MicroNetwork(steps, sizes, sizes.auxiliary)


def parse(text: str) -> Architecture:
    """Read ``enas-micro: 0 2 0 0 | 1 0 1 0``, of each node state, operation, state and operation; raises ``InputError``."""
    cells = [whole_numbers(cell) or [] for cell in text.partition(":")[2].split("|")]
    if len(cells) != 2 or len(cells[0]) != len(cells[1]) or not cells[0] or len(cells[0]) % 4:
        example = f"{NAME}: 0 2 0 0 | 1 0 1 0"
        raise InputError(f"not cells of {NAME}: {text.strip()[:80]!r}; expected numbers of two cells, four a node: {example}")
    architecture: Architecture = {}
    for kind, numbers in zip(KINDS, cells, strict=True):
        for at in range(0, len(numbers), 2):
            node, name = 2 + at // 4, f"{kind}.{2 + at // 4}.{SIDES[at // 2 % 2]}"
            source, taken = numbers[at : at + 2]
            if source >= node or taken >= len(OPERATIONS):
                says = f"node {node} of the {kind} cell reads state {source} by operation {taken}"
                raise InputError(f"{says}; it can read 0 to {node - 1} by 0 to {len(OPERATIONS) - 1}")
            architecture |= {name: (source,), f"{name}.op": OPERATIONS[taken]}
    return architecture


def notation(architecture: Mapping[str, Any]) -> str:
    """The official numbers, the cells parted by a bar."""
    nodes = sum(name.startswith("normal.") and name.endswith(".x") for name in architecture)
    cells = []
    for kind in KINDS:
        sides = [f"{kind}.{i}.{side}" for i in range(2, 2 + nodes) for side in SIDES]
        if missing := [name for name in sides if name not in architecture or f"{name}.op" not in architecture]:
            raise InputError(f"the architecture does not decide {missing[0]}")
        if strange := [o for name in sides if (o := architecture[f"{name}.op"]) not in OPERATIONS]:
            raise unknown("operation", str(strange[0]), OPERATIONS)
        cells.append(" ".join(f"{architecture[name][0]} {OPERATIONS.index(architecture[f'{name}.op'])}" for name in sides))
    return f"{NAME}: {' | '.join(cells)}"


ENAS_MICRO = Space(
    NAME,
    CITATION,
    supernet=Build(f"the supernet of {NAME}", supernet, Sizes, ("classes", "channels", "cells", "nodes", "shape")),
    network=Build(f"a network of {NAME}", network, NetworkSizes, SAID),
    parse=parse,
    notation=notation,
    recognises=lambda text: headed(text) == NAME,
    published=PUBLISHED,
    recipes=RECIPES,
    opens=("nodes",),
    whole=True,
)
