"""Multi-layer perceptrons for rows of a table: residual blocks of which each has its own width or is left out.

The blocks are those of Gorishniy et al. 2021, section 3.2 (ResNet), https://arxiv.org/abs/2106.11959: batch norm, a linear layer to the
block's width, ReLU, a linear layer back, added to the input. A block that is skipped makes the network shallower, so that
the choice of every block is width and depth in one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from supernet.errors import InputError
from supernet.layers.base import Supernet
from supernet.layers.one_of import OneOf
from supernet.settings.quantities import Channels, Classes, Features, Layers, Share
from supernet.space import Architecture
from supernet.spaces.chain_layers import chain_notation, decided, parse_chain
from supernet.spaces.record import Build, Space, headed

NAME = "mlp"
CITATION = "Gorishniy et al. 2021: Revisiting Deep Learning Models for Tabular Data, https://arxiv.org/abs/2106.11959"
SAID = ("shape", "classes", "channels", "layers")
WIDTHS = {"w0.5": 0.5, "w1": 1.0, "w2": 2.0, "w4": 4.0}  # of a block, times the channels between blocks
OPTIONS = (*WIDTHS, "skip")


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Settings of both networks.

    ``shape``: columns of the table. ``classes``: numbers or logits that are given out. ``channels``: between blocks. ``layers``: blocks,
    those that are skipped too. ``dropout``: within each block.
    """

    shape: Features = (10,)
    classes: Classes = 1
    channels: Channels = 64
    layers: Layers = 4
    dropout: Share = 0.0


class Block(nn.Module):
    """(B, channels) -> (B, channels), with so many features within."""

    def __init__(self, channels: int, width: int, dropout: float):
        super().__init__()
        self.norm = nn.BatchNorm1d(channels)
        self.wide, self.back = nn.Linear(channels, width), nn.Linear(width, channels)
        self.activation, self.dropout = nn.ReLU(), nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        within: Tensor = self.activation(self.wide(self.norm(x)))
        found: Tensor = x + self.back(self.dropout(within))
        return found


class Perceptron(nn.Module):
    """Rows (B, columns) -> (B, classes): a linear layer, ``blocks``, batch norm, ReLU, a linear layer."""

    def __init__(self, blocks: Sequence[nn.Module], sizes: Sizes):
        super().__init__()
        self.stem = nn.Linear(sizes.shape[0], sizes.channels)
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(nn.BatchNorm1d(sizes.channels), nn.ReLU(), nn.Linear(sizes.channels, sizes.classes))

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.head(self.blocks(self.stem(x)))
        return outputs


def build(option: str, sizes: Sizes) -> nn.Module:
    """One option of one block."""
    if option == "skip":
        return nn.Identity()
    return Block(sizes.channels, max(round(WIDTHS[option] * sizes.channels), 1), sizes.dropout)


def supernet(**settings: Any) -> Supernet:
    """The network that is searched: rows (batch, columns) -> (batch, classes); ``settings``: of ``Sizes``."""
    sizes = Sizes(**settings)
    layers = [OneOf({option: build(option, sizes) for option in OPTIONS}, name=f"layer.{i}") for i in range(sizes.layers)]
    return Supernet(Perceptron(layers, sizes))


def network(architecture: Mapping[str, Any] | str, **settings: Any) -> Perceptron:
    """The network of an architecture or its notation; ``settings``: of ``Sizes``, ``layers`` as many as are decided."""
    chosen, sizes = parse(architecture) if isinstance(architecture, str) else architecture, Sizes(**settings)
    return Perceptron([build(option, sizes) for option in decided(chosen, [OPTIONS] * sizes.layers)], sizes)


def parse(text: str) -> Architecture:
    """Read ``mlp: w1 skip w4 w2``; raises ``InputError``."""
    return parse_chain(NAME, OPTIONS, text)


def notation(architecture: Mapping[str, Any]) -> str:
    """The options in order."""
    if not architecture:
        raise InputError(f"a network of {NAME} has at least one block")
    return chain_notation(NAME, architecture, [len(architecture)])


MLP = Space(
    NAME,
    CITATION,
    supernet=Build(f"the supernet of {NAME}", supernet, Sizes, SAID),
    network=Build(f"a network of {NAME}", network, Sizes, SAID),
    tasks=("regression", "tabular-classification"),
    parse=parse,
    notation=notation,
    recognises=lambda text: headed(text) == NAME,
    one_build=True,
)
