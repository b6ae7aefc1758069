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
from supernet.errors import InputError
from supernet.layers.base import Supernet
from supernet.settings.quantities import Channels, Depths, Multiplier, Part, Sides, Widths
from supernet.space import Architecture
from supernet.spaces import ofa_units
from supernet.spaces.chain_network import SAID, STEMS, Chain, ChainSizes, places, scaled
from supernet.spaces.image_sizes import at_size, open_size
from supernet.spaces.ofa_units import Unit, UnitKind, open_unit, units, units_of
from supernet.spaces.published.once_for_all import CITATION, proxyless
from supernet.spaces.record import Build, Space, headed

NAME = "ofa-proxyless"
WIDTHS, DEPTHS, STRIDES = (24, 40, 80, 96, 192, 320), (4, 4, 4, 4, 4, 1), (2, 2, 2, 1, 2, 1)
HOW: dict[str, Any] = {"activation": nn.ReLU6, "norm": {"eps": 1e-3}}


@dataclass(frozen=True, kw_only=True)
class Sizes(ChainSizes):
    """Settings of both networks; ``width`` multiplies all channels.

    ``widths``, ``depths``: channels of each unit, and its blocks at most; where there are fewer than six, the first of the six.
    ``first``: channels of the fixed block; ``head``: features of the last convolution; ``dropout``: of them (0.1 in the paper's code).
    ``resolutions``: heights of images to choose from, which come in that of ``shape``, best the largest; None: no choice.
    """

    width: Multiplier = 1.3
    widths: Widths = WIDTHS
    depths: Depths = DEPTHS
    stem_channels: Channels = 32
    first: Channels = 16
    head: Channels = 1280
    dropout: Part = 0.0
    resolutions: Sides | None = None


NetworkSizes = partial(Sizes, stem="imagenet")


def supernet(**settings: Any) -> Supernet:
    """The network that is searched: images ``(batch, *shape)`` -> logits (batch, classes); ``settings``: of ``Sizes``.

    Raises ``InputError`` for sizes that make no network.
    """
    sizes = Sizes(**settings)
    return open_size(_chain(sizes, open_unit), sizes.resolutions)


def network(architecture: Mapping[str, Any] | str, **settings: Any) -> nn.Module:
    """The stand-alone network of an architecture or its notation; ``settings``: of ``NetworkSizes``."""
    chosen = parse(architecture) if isinstance(architecture, str) else architecture
    sizes = NetworkSizes(**settings)
    network = _chain(sizes, units_of(chosen, len(sizes.widths)))
    return at_size(network, chosen, sizes.resolutions, sizes.ends["shape"])


def _chain(sizes: Sizes, unit: Unit) -> Chain:
    count = len(sizes.widths)
    if count > len(STRIDES):
        raise InputError(f"widths name the channels of at most {len(STRIDES)} units; got {count}")
    outer, inner, head = (scaled(channels, sizes.width) for channels in (sizes.stem_channels, sizes.first, sizes.head))
    widths = [scaled(w, sizes.width) for w in sizes.widths]
    at = places(inner, widths, sizes.depths, STRIDES[:count], sizes.stem)
    layers = [ops.InvertedResidual(outer, inner, 3, 1, **HOW), *units(unit, at, sizes.depths, [UnitKind(**HOW)] * count)]
    return Chain(layers, stem_channels=outer, last=widths[-1], head=head, dropout=sizes.dropout, **sizes.ends, **HOW)


def parse(text: str) -> Architecture:
    """Read ``ofa-proxyless: k3e3 k5e4 | ...``, the blocks of each unit; raises ``InputError``."""
    return ofa_units.parse(NAME, text)


def notation(architecture: Mapping[str, Any]) -> str:
    """The blocks in order, with ``|`` between units."""
    return ofa_units.notation(NAME, architecture)


OFA_PROXYLESS = Space(
    NAME,
    CITATION,
    supernet=Build(f"the supernet of {NAME}", supernet, Sizes, SAID, STEMS),
    network=Build(f"a network of {NAME}", network, NetworkSizes, SAID, STEMS),
    one_build=True,
    parse=parse,
    notation=notation,
    recognises=lambda text: headed(text) == NAME,
    published=proxyless(NAME),
    recipes={"short": {"supernet": {"width": 0.5, "widths": (16, 24, 40), "depths": (3, 3, 3), "head": 320}}},
)
