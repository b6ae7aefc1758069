"""Single Path One-Shot: Guo et al. 2020, https://arxiv.org/abs/1904.00420; https://github.com/megvii-model/SinglePathOneShot

A chain of 20 blocks in four stages, each one of four choice blocks of ShuffleNetV2's kind: see ``shuffle_blocks``. The supernet's batch
norms have no scale and shift of their own, as its code says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from supernet.layers.base import Supernet
from supernet.settings.quantities import Channels, Depths, Part, Widths
from supernet.space import Architecture
from supernet.spaces import shuffle_blocks
from supernet.spaces.chain_layers import Layers, chain_notation, everywhere, open_layers, parse_chain, taken_layers
from supernet.spaces.chain_network import Chain, ChainSizes, Place, chain_space
from supernet.spaces.record import Published
from supernet.spaces.shuffle_blocks import OPTIONS

NAME = "spos"
CITATION = "Guo et al. 2020: Single Path One-Shot Neural Architecture Search with Uniform Sampling, https://arxiv.org/abs/1904.00420"
REPOSITORY = "https://github.com/megvii-model/SinglePathOneShot"
WIDTHS, DEPTHS, STRIDES = (64, 160, 320, 640), (4, 4, 8, 4), (2, 2, 2, 2)

NETWORKS = {  # of the repository: the one of its page, and the one of its code without the widths there, the paper's search of blocks
    "spos": "spos: k7 k5 k3 k5 | k7 k3 k7 k3 | k7 k3 k7 xception k3 k3 k3 k3 | xception k7 xception xception",
    "spos-319m": "spos: k3 k3 xception k5 | k5 k5 k3 k3 | k7 k3 k7 k5 k5 k3 k7 k3 | k7 k5 xception k7",
}


@dataclass(frozen=True, kw_only=True)
class NetworkSizes(ChainSizes):
    """Settings of a network; ``width`` multiplies the ``head`` only where it is above 1.

    ``widths``, ``depths``: channels and blocks of each stage. ``dropout``: before the classifier.
    """

    widths: Widths = WIDTHS
    depths: Depths = DEPTHS
    stem_channels: Channels = 16
    head: Channels = 1024
    dropout: Part = 0.1


@dataclass(frozen=True, kw_only=True)
class Sizes(NetworkSizes):
    """Settings of the supernet. ``affine``: whether its batch norms have a scale and a shift, as those of a network do."""

    affine: bool = False

    @property
    def norm(self) -> dict[str, Any]:
        """Settings of its batch norms."""
        return {"affine": self.affine}


ImageNet = partial(NetworkSizes, stem="imagenet")


def supernet(**settings: Any) -> Supernet:
    """The network that is searched: images ``(batch, *shape)`` -> logits (batch, classes); ``settings``: of ``Sizes``.

    Raises ``InputError`` for sizes that make no network.
    """
    sizes = Sizes(**settings)
    return Supernet(chain(sizes, open_layers(everywhere(OPTIONS), partial(_block, norm=sizes.norm)), sizes.norm))


def network(architecture: Mapping[str, Any] | str, **settings: Any) -> Chain:
    """The stand-alone network of an architecture or its notation; ``settings``: of ``NetworkSizes``."""
    chosen = parse(architecture) if isinstance(architecture, str) else architecture
    return chain(ImageNet(**settings), taken_layers(chosen, everywhere(OPTIONS), partial(_block, norm={})), {})


def _block(option: str, place: Place, norm: Mapping[str, Any]) -> nn.Module:
    return shuffle_blocks.build(option, place, shuffle_blocks.fixed(place.outputs // 2, norm), norm)


def chain(sizes: NetworkSizes, layers: Layers, norm: Mapping[str, Any]) -> Chain:
    """``layers(places)``: the blocks; ``norm``: settings of all batch norms."""
    first = sizes.scaled(sizes.stem_channels)
    at = sizes.places(first, sizes.widths, sizes.depths, STRIDES)
    ends = {"last": at[-1].outputs, "head": sizes.widened(sizes.head), "dropout": sizes.dropout, **sizes.ends}
    return Chain(layers(at), stem_channels=first, norm=norm, bias=False, **ends)


def parse(text: str) -> Architecture:
    """Read ``spos: k3 k7 xception k5 | k3 ...``, also with the numbers 0 to 3 of the paper's code; raises ``InputError``."""
    read = parse_chain(NAME, (*OPTIONS, *map(str, range(len(OPTIONS)))), text)
    return {layer: OPTIONS[int(str(option))] if str(option).isdigit() else option for layer, option in read.items()}


notation = partial(chain_notation, NAME, depths=DEPTHS)


SPOS = chain_space(
    NAME,
    CITATION,
    supernet=(supernet, Sizes),
    network=(network, ImageNet),
    text=(parse, notation),
    published={name: Published(text, CITATION, {}, REPOSITORY) for name, text in NETWORKS.items()},
    recipes={"short": {"supernet": {"width": 0.5, "depths": (1, 1, 2, 1)}}},
)
