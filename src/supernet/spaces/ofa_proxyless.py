"""Once-for-All over ProxylessNAS' blocks: Cai et al. 2020, https://arxiv.org/abs/1908.09791; https://github.com/mit-han-lab/once-for-all

Five units of elastic blocks (``ofa_units``) and a last one of a single block, with ReLU6 everywhere. The paper's ``width`` is 1.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from supernet import ops
from supernet.layers.base import Supernet
from supernet.settings.quantities import Channels, Depths, Multiplier, Widths
from supernet.spaces import ofa_units
from supernet.spaces.chain_network import Chain, chain_space
from supernet.spaces.ofa_units import Unit, UnitKind, UnitSizes, open_network, taken_network, units
from supernet.spaces.published.once_for_all import CITATION, proxyless

NAME = "ofa-proxyless"
WIDTHS, DEPTHS, STRIDES = (24, 40, 80, 96, 192, 320), (4, 4, 4, 4, 4, 1), (2, 2, 2, 1, 2, 1)
HOW: dict[str, Any] = {"activation": nn.ReLU6, "norm": {"eps": 1e-3}}


@dataclass(frozen=True, kw_only=True)
class Sizes(UnitSizes):
    """Settings of both networks, as ``UnitSizes`` says. ``first``: channels of the fixed block."""

    width: Multiplier = 1.3
    widths: Widths = WIDTHS
    depths: Depths = DEPTHS
    stem_channels: Channels = 32
    first: Channels = 16


NetworkSizes = partial(Sizes, stem="imagenet")


def supernet(**settings: Any) -> Supernet:
    """The network that is searched: images ``(batch, *shape)`` -> logits (batch, classes); ``settings``: of ``Sizes``.

    Raises ``InputError`` for sizes that make no network.
    """
    return open_network(_chain, Sizes(**settings))


def network(architecture: Mapping[str, Any] | str, **settings: Any) -> nn.Module:
    """The stand-alone network of an architecture or its notation; ``settings``: of ``NetworkSizes``."""
    chosen = parse(architecture) if isinstance(architecture, str) else architecture
    return taken_network(_chain, NetworkSizes(**settings), chosen)


def _chain(sizes: Sizes, unit: Unit) -> Chain:
    outer, inner, head = map(sizes.scaled, (sizes.stem_channels, sizes.first, sizes.head))
    layers, last = units(unit, inner, sizes, STRIDES, [UnitKind(**HOW)] * len(STRIDES))
    first = ops.InvertedResidual(outer, inner, 3, 1, **HOW)
    return Chain([first, *layers], stem_channels=outer, last=last, head=head, dropout=sizes.dropout, **sizes.ends, **HOW)


parse = partial(ofa_units.parse, NAME)
notation = partial(ofa_units.notation, NAME)

OFA_PROXYLESS = chain_space(
    NAME,
    CITATION,
    supernet=(supernet, Sizes),
    network=(network, NetworkSizes),
    text=(parse, notation),
    published=proxyless(NAME),
    recipes={"short": {"supernet": {"width": 0.5, "widths": (16, 24, 40), "depths": (3, 3, 3), "head": 320}}},
)
