"""FairNAS: Chu, Zhang, Xu 2021, https://arxiv.org/abs/1907.01845; networks of https://github.com/xiaomi-automl/FairNAS

A fixed block and a chain of 19 layers in six stages, each an inverted residual block with kernel k and expansion e (k5e6). The released
networks with squeeze-and-excitation have as many features in it as the block has inputs, or half as many.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from supernet import ops
from supernet.layers.base import Supernet
from supernet.settings.quantities import Channels, Depths, Part, Share, Widths
from supernet.spaces.chain_layers import Layers, chain_notation, everywhere, open_layers, parse_chain, taken_layers
from supernet.spaces.chain_network import Chain, ChainSizes, Place, chain_space
from supernet.spaces.record import Published

NAME = "fairnas"
CITATION = (
    "Chu, Zhang, Xu 2021: FairNAS: Rethinking Evaluation Fairness of Weight Sharing Neural Architecture Search, "
    "https://arxiv.org/abs/1907.01845"
)
REPOSITORY = "https://github.com/xiaomi-automl/FairNAS"
WIDTHS, DEPTHS, STRIDES = (32, 40, 80, 96, 192, 320), (2, 4, 4, 4, 4, 1), (2, 2, 2, 1, 2, 1)
BLOCKS = {"k3e3": (3, 3), "k5e3": (5, 3), "k7e3": (7, 3), "k3e6": (3, 6), "k5e6": (5, 6), "k7e6": (7, 6)}  # kernel, expansion
OPTIONS = tuple(BLOCKS)

A = "fairnas: k7e3 k3e3 | k7e3 k3e6 k7e6 k3e3 | k3e3 k7e6 k7e6 k5e3 | k3e6 k5e3 k5e3 k3e6 | k3e6 k7e6 k3e6 k7e6 | k5e6"
B = "fairnas: k5e3 k3e3 | k5e3 k3e3 k3e6 k5e3 | k7e3 k3e3 k3e6 k5e3 | k3e3 k3e6 k7e3 k3e3 | k7e6 k5e6 k7e6 k3e6 | k5e6"
C = "fairnas: k5e3 k3e3 | k7e3 k3e3 k3e3 k3e3 | k3e3 k3e3 k3e3 k3e6 | k3e3 k3e3 k3e3 k3e3 | k7e6 k7e6 k3e6 k3e6 | k5e6"
NETWORKS = {f"fairnas-{name}": (text, 0.0) for name, text in zip("abc", (A, B, C), strict=True)}  # name -> notation, squeeze
NETWORKS |= {f"{name}-se": (text, 1.0) for name, (text, _) in list(NETWORKS.items())}
NETWORKS |= {f"{name}-0.5": (text, 0.5) for name, (text, squeeze) in list(NETWORKS.items()) if squeeze}


@dataclass(frozen=True, kw_only=True)
class Sizes(ChainSizes):
    """Settings of the supernet; ``width`` multiplies the ``head`` only where it is above 1.

    ``widths``, ``depths``: channels and layers of each stage; ``first``: channels of the fixed block. ``dropout``: before the classifier.
    ``squeeze``: features of a squeeze-and-excitation in each searched block, as a share of the block's inputs; 0: there is none.
    """

    widths: Widths = WIDTHS
    depths: Depths = DEPTHS
    stem_channels: Channels = 32
    first: Channels = 16
    head: Channels = 1280
    dropout: Part = 0.0
    squeeze: Share = 0.0


NetworkSizes = partial(Sizes, stem="imagenet")


def build(option: str, place: Place, squeeze: float = 0.0) -> nn.Module:
    """One option of one layer."""
    kernel, expansion = BLOCKS[option]
    features = max(1, int(place.inputs * squeeze)) if squeeze else 0
    return ops.InvertedResidual(place.inputs, place.outputs, kernel, expansion, place.stride, activation=nn.ReLU6, squeeze=features)


def supernet(**settings: Any) -> Supernet:
    """The network that is searched: images ``(batch, *shape)`` -> logits (batch, classes); ``settings``: of ``Sizes``."""
    sizes = Sizes(**settings)
    return Supernet(_chain(sizes, open_layers(everywhere(OPTIONS), partial(build, squeeze=sizes.squeeze))))


def network(architecture: Mapping[str, Any] | str, **settings: Any) -> Chain:
    """The stand-alone network of an architecture or its notation; ``settings``: of ``NetworkSizes``."""
    chosen, sizes = parse(architecture) if isinstance(architecture, str) else architecture, NetworkSizes(**settings)
    return _chain(sizes, taken_layers(chosen, everywhere(OPTIONS), partial(build, squeeze=sizes.squeeze)))


def _chain(sizes: Sizes, layers: Layers) -> Chain:
    outer, inner = sizes.scaled(sizes.stem_channels), sizes.scaled(sizes.first)
    at = sizes.places(inner, sizes.widths, sizes.depths, STRIDES)
    first = ops.InvertedResidual(outer, inner, 3, 1, activation=nn.ReLU6)
    ends = {"last": at[-1].outputs, "head": sizes.widened(sizes.head), "dropout": sizes.dropout, **sizes.ends}
    return Chain([first, *layers(at)], stem_channels=outer, activation=nn.ReLU6, **ends)


parse = partial(parse_chain, NAME, OPTIONS)
notation = partial(chain_notation, NAME, depths=DEPTHS)


FAIRNAS = chain_space(
    NAME,
    CITATION,
    supernet=(supernet, Sizes),
    network=(network, NetworkSizes),
    text=(parse, notation),
    published={
        name: Published(text, CITATION, {"squeeze": squeeze} if squeeze else {}, REPOSITORY) for name, (text, squeeze) in NETWORKS.items()
    },
    recipes={"short": {"supernet": {"width": 0.5, "depths": (1, 1, 1, 1, 1, 1)}}},
)
