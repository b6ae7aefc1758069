"""ProxylessNAS: Cai, Zhu, Han 2019, https://arxiv.org/abs/1812.00332; https://github.com/mit-han-lab/proxylessnas

A fixed block and a chain of 21 layers, each an inverted residual block with kernel k and expansion e (k5e6) or, where sizes
stay, nothing (zero; its shortcut stays, so the layer is the identity).

With ``growth`` the chain is one for CIFAR in the manner of section 4.1: three stages at 32, 16 and 8 pixels whose blocks widen
step by step, as PyramidNet's do (Han, Kim, Kim 2017, https://arxiv.org/abs/1610.02915). The released CIFAR-10 network, whose
blocks are trees of operations, is not of this form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from supernet import ops
from supernet.errors import InputError
from supernet.layers.base import Supernet
from supernet.modules.memo import once
from supernet.settings.quantities import Channels, Depths, Pixels, Share, Widths
from supernet.spaces.chain_layers import Able, Layers, Option, chain_notation, open_layers, parse_chain, taken_layers
from supernet.spaces.chain_network import Chain, ChainSizes, Place, chain_space
from supernet.spaces.record import Published

NAME = "proxyless"
CITATION = (
    "Cai, Zhu, Han 2019: ProxylessNAS: Direct Neural Architecture Search on Target Task and Hardware, https://arxiv.org/abs/1812.00332"
)
WIDTHS, DEPTHS, STRIDES = (24, 40, 80, 96, 192, 320), (4, 4, 4, 4, 4, 1), (2, 2, 2, 1, 2, 1)
PYRAMID_DEPTHS = (18, 18, 18)
BLOCKS = {"k3e3": (3, 3), "k3e6": (3, 6), "k5e3": (5, 3), "k5e6": (5, 6), "k7e3": (7, 3), "k7e6": (7, 6)}  # kernel, expansion
OPTIONS = (*BLOCKS, "zero")
HOW: dict[str, Any] = {"activation": nn.ReLU6, "norm": {"eps": 1e-3}}

MOBILE = "proxyless: k5e3 k3e3 zero zero | k7e3 k3e3 k5e3 k5e3 | k7e6 k5e3 k5e3 k5e3 | k5e6 k5e3 k5e3 k5e3 | k7e6 k7e6 k7e3 k7e3 | k7e6"
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {  # name -> notation, settings
    "proxyless-cpu": (
        "proxyless: k3e6 k3e3 k3e3 k3e3 | k3e6 k3e3 k3e3 k5e3 | k3e6 zero zero k3e3 | k5e6 k3e3 k3e3 k3e3 | k5e6 k5e3 k5e3 k3e3 | k5e6",
        {"stem_channels": 40, "first": 24, "widths": (32, 48, 88, 104, 216, 360), "head": 1432},
    ),
    "proxyless-gpu": (
        "proxyless: k5e3 zero zero zero | k7e3 zero zero k3e3 | k7e6 zero zero k5e3 | k5e6 zero k3e3 k5e3 | k7e6 k7e6 k7e6 k5e6 | k7e6",
        {"stem_channels": 40, "first": 24, "widths": (32, 56, 112, 128, 256, 432), "head": 1728},
    ),
    "proxyless-mobile": (MOBILE, {"widths": (32, 40, 80, 96, 192, 320)}),
    "proxyless-mobile-14": (MOBILE, {"stem_channels": 48, "first": 24, "widths": (40, 56, 112, 136, 256, 448), "head": 1792}),
}


@dataclass(frozen=True, kw_only=True)
class Sizes(ChainSizes):
    """Settings of the supernet; ``width`` multiplies the ``head`` only where it is above 1.

    ``widths``, ``depths``: channels and layers of each stage; None: the paper's. ``first``: channels of the fixed block.
    ``dropout``: before the classifier.
    ``growth``: channels that each of three stages adds over its blocks, in the place of ``widths``; with the CIFAR stem.
    """

    widths: Widths | None = None
    depths: Depths | None = None
    stem_channels: Channels = 32
    first: Channels = 16
    head: Channels = 1280
    dropout: Share = 0.0
    growth: Pixels | None = None


NetworkSizes = partial(Sizes, stem="imagenet")


class PaddedShortcut(nn.Module):
    """The input with zero channels appended, its 2x2 pixels averaged where the block strides, as PyramidNet's shortcuts."""

    def __init__(self, place: Place):
        super().__init__()
        self.more, self.stride = place.outputs - place.inputs, place.stride

    def forward(self, x: Tensor) -> Tensor:
        return once(("padded_shortcut", self.more, self.stride), x, self._compute)

    def _compute(self, x: Tensor) -> Tensor:
        half = x if self.stride == 1 else F.avg_pool2d(x, 2, 2, ceil_mode=True)
        return F.pad(half, (0, 0, 0, 0, 0, self.more))


class PaddedResidual(nn.Module):
    """A block and a shortcut across it, although the block is wider than its input."""

    def __init__(self, body: nn.Module, place: Place):
        super().__init__()
        self.body, self.shortcut = body, PaddedShortcut(place)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x) + self.shortcut(x)
        return out


def options(place: Place, pyramid: bool = False) -> tuple[str, ...]:
    """The options of a layer: ``zero`` where a shortcut of the same size can stand alone."""
    alone = place.stride == 1 and (pyramid or place.inputs == place.outputs)
    return OPTIONS if alone else tuple(BLOCKS)


def build(option: str, place: Place, pyramid: bool = False) -> nn.Module:
    """One option of one layer; in a ``pyramid`` with a shortcut everywhere."""
    same = place.stride == 1 and place.inputs == place.outputs
    if option == "zero":
        return nn.Identity() if same else PaddedShortcut(place)
    kernel, expansion = BLOCKS[option]
    block = ops.InvertedResidual(place.inputs, place.outputs, kernel, expansion, place.stride, **HOW)
    return PaddedResidual(block, place) if pyramid and not same else block


def pyramid_places(inputs: int, growth: int, depths: Sequence[int]) -> list[Place]:
    """The blocks of three stages, each stage ``growth`` channels wider at its end than at its start; the later two halve the size.

    Every block adds an equal share, rounded down. Raises ``InputError`` unless ``depths`` has three positive numbers.
    """
    if len(depths) != 3 or min(depths) < 1 or growth < 0:
        raise InputError(f"with growth (at least 0) there are three depths of at least 1; got growth {growth} and depths {tuple(depths)}")
    start, found = inputs, []
    for stage, depth in enumerate(depths):
        for i in range(depth):
            outputs = start + growth * (i + 1) // depth
            found.append(Place(inputs, outputs, 2 if stage and not i else 1))
            inputs = outputs
        start = inputs
    return found


def supernet(**settings: Any) -> Supernet:
    """The network that is searched: images ``(batch, *shape)`` -> logits (batch, classes); ``settings``: of ``Sizes``.

    Raises ``InputError`` for sizes that make no network.
    """
    sizes = Sizes(**settings)
    return Supernet(_chain(sizes, open_layers(*_layer(sizes))))


def network(architecture: Mapping[str, Any] | str, **settings: Any) -> Chain:
    """The stand-alone network of an architecture or its notation; ``settings``: of ``NetworkSizes``."""
    chosen = parse(architecture) if isinstance(architecture, str) else architecture
    sizes = NetworkSizes(**settings)
    return _chain(sizes, taken_layers(chosen, *_layer(sizes)))


def _layer(sizes: Sizes) -> tuple[Able, Option]:
    """The options of a layer, and what builds one."""
    pyramid = sizes.growth is not None
    return partial(options, pyramid=pyramid), partial(build, pyramid=pyramid)


def _chain(sizes: Sizes, layers: Layers) -> Chain:
    outer, inner = sizes.scaled(sizes.stem_channels), sizes.scaled(sizes.first)
    if sizes.growth is None:
        at = sizes.places(inner, sizes.widths or WIDTHS, sizes.depths or DEPTHS, STRIDES)
    elif sizes.widths is not None or sizes.stem != "cifar":
        raise InputError("growth makes the widths of a network with the CIFAR stem: leave out widths, and set stem to cifar")
    else:
        at = pyramid_places(inner, round(sizes.growth * sizes.width), sizes.depths or PYRAMID_DEPTHS)
    fixed = ops.InvertedResidual(outer, inner, 3, 1, **HOW)
    ends = {"last": at[-1].outputs, "head": sizes.widened(sizes.head), "dropout": sizes.dropout, **sizes.ends}
    return Chain([fixed, *layers(at)], stem_channels=outer, **ends, **HOW)


parse = partial(parse_chain, NAME, OPTIONS)


def notation(architecture: Mapping[str, Any]) -> str:
    """The options in order, with ``|`` between stages."""
    return chain_notation(NAME, architecture, PYRAMID_DEPTHS if len(architecture) == sum(PYRAMID_DEPTHS) else DEPTHS)


PROXYLESS = chain_space(
    NAME,
    CITATION,
    supernet=(supernet, Sizes),
    network=(network, NetworkSizes),
    text=(parse, notation),
    published={name: Published(text, CITATION, settings) for name, (text, settings) in NETWORKS.items()},
    recipes={"short": {"supernet": {"width": 0.5, "depths": (2, 2, 2, 2, 2, 1)}}},
)
