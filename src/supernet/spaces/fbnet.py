"""FBNet: Wu et al. 2019, https://arxiv.org/abs/1812.03443; networks of https://github.com/facebookresearch/mobile-vision

A chain of 22 layers in seven stages. Each is an inverted residual block with kernel k and expansion e (k5e6; g2: in two
groups, with a channel shuffle) or is skipped, which is a 1x1 convolution where sizes change. Blocks are those of the released
networks: with expansion 1 they have no first 1x1 convolution, and g2 shuffles the channels that come in, where the paper's
figure 3 has that convolution before the shuffle.
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
from supernet.settings.quantities import Channels, Depths, Share, Widths
from supernet.spaces.chain_layers import Layers, chain_notation, everywhere, open_layers, parse_chain, taken_layers
from supernet.spaces.chain_network import Chain, ChainSizes, Place, chain_space
from supernet.spaces.record import Published

NAME = "fbnet"
CITATION = (
    "Wu et al. 2019: FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable Neural Architecture Search, "
    "https://arxiv.org/abs/1812.03443"
)
WIDTHS, DEPTHS, STRIDES = (16, 24, 32, 64, 112, 184, 352), (1, 4, 4, 4, 4, 4, 1), (1, 2, 2, 2, 1, 2, 1)
BLOCKS = {  # kernel, expansion, groups
    "k3e1": (3, 1, 1),
    "k3e1g2": (3, 1, 2),
    "k3e3": (3, 3, 1),
    "k3e6": (3, 6, 1),
    "k5e1": (5, 1, 1),
    "k5e1g2": (5, 1, 2),
    "k5e3": (5, 3, 1),
    "k5e6": (5, 6, 1),
}
OPTIONS = (*BLOCKS, "skip")

NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {  # name -> notation, settings
    "fbnet-a": (
        "fbnet: skip | k3e3 k3e1 skip skip | k5e6 k3e3 k5e1 k3e3 | k5e6 k5e3 k5e1g2 k5e6 | "
        "k3e6 k5e1g2 k5e3 k3e1g2 | k5e6 k5e6 k5e3 k5e6 | k5e6",
        {"head": 1504},
    ),
    "fbnet-b": (
        "fbnet: k3e1 | k3e6 k5e1 k3e1 k3e1 | k5e6 k5e3 k3e6 k5e6 | k5e6 k5e6 skip k5e3 | k5e6 k3e1 k5e1 k5e3 | k5e6 k5e1 k5e6 k5e6 | k3e6",
        {},
    ),
    "fbnet-c": (
        "fbnet: k3e1 | k3e6 skip k3e1 k3e1 | k5e6 k5e3 k5e6 k3e6 | k5e6 k5e3 k5e6 k5e6 | k5e6 k5e6 k5e6 k5e3 | k5e6 k5e6 k5e6 k5e6 | k3e6",
        {},
    ),
}


@dataclass(frozen=True, kw_only=True)
class Sizes(ChainSizes):
    """Settings of the supernet; ``width`` multiplies the ``head`` only where it is above 1.

    ``widths``, ``depths``: channels and layers of each stage. ``dropout``: before the classifier.
    """

    widths: Widths = WIDTHS
    depths: Depths = DEPTHS
    stem_channels: Channels = 16
    head: Channels = 1984
    dropout: Share = 0.0


NetworkSizes = partial(Sizes, stem="imagenet")


def build(option: str, place: Place) -> nn.Module:
    """One option of one layer."""
    if option == "skip":
        same = place.stride == 1 and place.inputs == place.outputs
        return nn.Identity() if same else ops.conv_norm_act(place.inputs, place.outputs, 1, place.stride)
    kernel, expansion, groups = BLOCKS[option]
    if place.inputs % groups or place.outputs % groups:
        raise InputError(f"{option} has {groups} groups, which {place.inputs} -> {place.outputs} channels do not divide into")
    return ops.InvertedResidual(place.inputs, place.outputs, kernel, expansion, place.stride, groups=groups)


def supernet(**settings: Any) -> Supernet:
    """The network that is searched: images ``(batch, *shape)`` -> logits (batch, classes); ``settings``: of ``Sizes``."""
    return Supernet(_chain(Sizes(**settings), open_layers(everywhere(OPTIONS), build)))


def network(architecture: Mapping[str, Any] | str, **settings: Any) -> Chain:
    """The stand-alone network of an architecture or its notation; ``settings``: of ``NetworkSizes``."""
    chosen = parse(architecture) if isinstance(architecture, str) else architecture
    return _chain(NetworkSizes(**settings), taken_layers(chosen, everywhere(OPTIONS), build))


def _chain(sizes: Sizes, layers: Layers) -> Chain:
    first = sizes.scaled(sizes.stem_channels)
    at = sizes.places(first, sizes.widths, sizes.depths, STRIDES)
    ends = {"last": at[-1].outputs, "head": sizes.widened(sizes.head), "dropout": sizes.dropout, **sizes.ends}
    chain = Chain(layers(at), stem_channels=first, **ends)
    for conv in chain.modules():
        if isinstance(conv, nn.Conv2d):  # the released networks have biases, although batch norm follows, and count them
            conv.bias = nn.Parameter(conv.weight.new_zeros(conv.out_channels))
    return chain


parse = partial(parse_chain, NAME, OPTIONS)
notation = partial(chain_notation, NAME, depths=DEPTHS)


FBNET = chain_space(
    NAME,
    CITATION,
    supernet=(supernet, Sizes),
    network=(network, NetworkSizes),
    text=(parse, notation),
    published={name: Published(text, CITATION, settings) for name, (text, settings) in NETWORKS.items()},
    recipes={"short": {"supernet": {"width": 0.5, "depths": (1, 2, 2, 2, 2, 2, 1)}}},
)
