"""SMASH's space: which memory banks operations read and add to: Brock et al. 2018, section 3.1, https://arxiv.org/abs/1708.05344

Choices, of block b: ``depth.b``, how many operations it has; of operation i: ``read.b.i`` and ``write.b.i``, sets of banks, and ``op.b.i``,
the kernel, dilation and groups of its convolution. Sizes are those of https://github.com/ajbrock/SMASH, where the size of banks is drawn
too, and an operation may be narrower: here banks have 2 N channels and an operation gives 8 N. A bank to which nothing
was written yet reads as zeros. The code draws architectures until a budget is spent; here the depth says how much is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from supernet.derive import settle
from supernet.errors import InputError, unknown
from supernet.layers.base import Supernet
from supernet.settings.quantities import Channels, Classes, Layers, Shape
from supernet.space import Architecture
from supernet.spaces.cell_network import check_sizes
from supernet.spaces.record import Build, Space, headed, setting
from supernet.spaces.smash_network import BLOCKS, OPERATIONS, SQUARE, MemoryNetwork

NAME = "smash"
CITATION = "Brock et al. 2018: SMASH: One-Shot Model Architecture Search through HyperNetworks, https://arxiv.org/abs/1708.05344"
LEAST = 0.3  # of the operations that a block may have: the smallest budget of the official code
BANKS = re.compile(r"\d+(\.\d+)*")
RECIPES: dict[str, Any] = {"short": {"supernet": {"channels": 2, "layers": 4}, "network": {"channels": 4}}}


@dataclass(frozen=True, kw_only=True)
class NetworkSizes:
    """Settings of the network, which has as many operations as its architecture. ``channels``: N, half of what a bank has.

    ``widening``: how many banks the first block is given, by which all widths go; a supernet and its networks have the same.
    """

    classes: Classes = 10
    channels: Channels = 8
    shape: Shape = (3, 32, 32)
    widening: Layers = 4


@dataclass(frozen=True, kw_only=True)
class Sizes(NetworkSizes):
    """Settings of the supernet. ``layers``: operations that a block has at most.

    ``oblong``: whether kernels may have other sizes and dilations across than down, as in the official code.
    ``generated``: a hypernetwork makes the convolutions that read; else they have weights of their own, and norms.
    """

    layers: Layers = 12
    oblong: bool = False
    generated: bool = False


def supernet(**settings: Any) -> Supernet:
    """The network that is searched: images ``(batch, *shape)`` -> logits (batch, classes); ``settings``: of ``Sizes``."""
    sizes = Sizes(**settings)
    check_sizes(sizes.shape, layers=(sizes.layers, 1))
    depths = range(max(math.ceil(LEAST * sizes.layers), 1), sizes.layers + 1)
    return opened(sizes, [depths] * BLOCKS, [*(OPERATIONS if sizes.oblong else SQUARE)], sizes.generated)


def network(architecture: Mapping[str, Any] | str, **settings: Any) -> nn.Module:
    """The evaluation network of an architecture or its notation, with norms and weights of its own; ``settings``: of ``NetworkSizes``.

    Raises ``InputError`` for banks that networks of this width do not have.
    """
    taken = parse(architecture) if isinstance(architecture, str) else dict(architecture)
    blocks = operations_of(taken)
    depths, able = [range(1, len(block) + 1) for block in blocks], sorted({name for block in blocks for _, name, _ in block})
    whole = opened(NetworkSizes(**settings), depths, able, generated=False)
    given = {name: taken[name] for name in whole.space if name in taken}  # not the operations beyond the depth
    try:
        checked = whole.space.check(given)
    except InputError as error:
        raise InputError(f"{error}; of a supernet with another widening, set network.widening to it as well") from error
    return settle(whole.model, whole.space.matters(checked)).train()


def opened(sizes: NetworkSizes, depths: Sequence[Sequence[int]], able: Sequence[str], generated: bool) -> Supernet:
    """A network with all choices open; ``able``: the names of the convolutions."""
    check_sizes(sizes.shape, classes=(sizes.classes, 1), channels=(sizes.channels, 1), widening=(sizes.widening, 1))
    if min(sizes.shape[1:]) < 2 ** (BLOCKS - 1):
        raise InputError(f"networks of {NAME} halve images twice: give at least 4x4 pixels, not {'x'.join(map(str, sizes.shape))}")
    return Supernet(MemoryNetwork(sizes.shape[0], sizes.classes, sizes.channels, sizes.widening, depths, able, generated))


def operations_of(architecture: Mapping[str, Any]) -> list[list[tuple[tuple[int, ...], str, tuple[int, ...]]]]:
    """Of each block, its operations: banks that are read, the convolution, banks that are written. Raises ``InputError``."""
    found: list[list[tuple[tuple[int, ...], str, tuple[int, ...]]]] = []
    for b in range(BLOCKS):
        depth = architecture.get(f"depth.{b}")
        if not isinstance(depth, int) or depth < 1:
            raise InputError(f"the architecture does not decide depth.{b}, how many operations its block {b} has: one at least")
        found.append([])
        for i in range(depth):
            names = [f"{what}.{b}.{i}" for what in ("read", "op", "write")]
            if missing := [name for name in names if name not in architecture]:
                raise InputError(f"the architecture does not decide {missing[0]}")
            read, operation, written = (architecture[name] for name in names)
            if operation not in OPERATIONS:
                raise unknown("operation", str(operation), OPERATIONS)
            found[-1].append((tuple(read), str(operation), tuple(written)))
    return found


def parse(text: str) -> Architecture:
    """Read ``smash: 0.1-k3d1g1-2.3 | 0-k3d1g1-1``: of each operation what it reads, does and writes, a bar between blocks.

    Raises ``InputError``.
    """
    blocks = [block.split() for block in text.partition(":")[2].split("|")]
    if len(blocks) != BLOCKS or not all(blocks):
        raise InputError(f"a network of {NAME} has {BLOCKS} blocks parted by |, each of one operation at least; got {text!r}")
    architecture: Architecture = {}
    for b, block in enumerate(blocks):
        architecture[f"depth.{b}"] = len(block)
        for i, word in enumerate(block):
            parts = word.split("-")
            if len(parts) != 3 or not (BANKS.fullmatch(parts[0]) and BANKS.fullmatch(parts[2])):
                raise InputError(f"an operation of {NAME} is what it reads, does and writes, for example 0.1-k3d1g1-2.3; got {word!r}")
            if parts[1] not in OPERATIONS:
                raise unknown("operation", parts[1], OPERATIONS)
            read, written = (tuple(int(bank) for bank in part.split(".")) for part in (parts[0], parts[2]))
            architecture |= {f"read.{b}.{i}": read, f"op.{b}.{i}": parts[1], f"write.{b}.{i}": written}
    return architecture


def notation(architecture: Mapping[str, Any]) -> str:
    """The operations of each block, blocks parted by bars."""

    def word(read: Sequence[int], operation: str, written: Sequence[int]) -> str:
        return f"{'.'.join(map(str, read))}-{operation}-{'.'.join(map(str, written))}"

    return f"{NAME}: {' | '.join(' '.join(word(*one) for one in block) for block in operations_of(architecture))}"


SMASH = Space(
    NAME,
    CITATION,
    supernet=Build(f"the supernet of {NAME}", supernet, Sizes, ("classes", "channels", "layers", "shape")),
    network=Build(f"a network of {NAME}", network, NetworkSizes, ("classes", "channels", "shape")),
    parse=parse,
    notation=notation,
    recognises=lambda text: headed(text) == NAME,
    recipes=RECIPES,
    serves={"generated": setting("generated")},
    opens=("layers", "oblong"),
)
