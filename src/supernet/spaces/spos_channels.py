"""Single Path One-Shot with a search of channels: Guo et al. 2020, section 4.3, https://arxiv.org/abs/1904.00420

The chain of ``spos``, where every block chooses its hidden width too, as a multiple of half of its outputs. Smaller widths are slices
of the largest. The authors' code builds the network that they found, and has nothing of this search.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from supernet.errors import InputError
from supernet.layers.base import Supernet
from supernet.layers.one_of import OneOf
from supernet.layers.width import Width
from supernet.space import Architecture
from supernet.spaces import shuffle_blocks, spos
from supernet.spaces.chain_layers import chain_notation, everywhere, parse_chain, taken_layers
from supernet.spaces.chain_network import Chain, Place, chain_space
from supernet.spaces.record import Published
from supernet.spaces.shuffle_blocks import OPTIONS

NAME = "spos-channels"
SCALES = {"code": tuple(i / 5 for i in range(1, 9)), "paper": tuple(i / 5 for i in range(1, 11))}  # 0.2 to 1.6, 0.2 to 2
BLOCKS = tuple(f"{option}@{scale:g}" for option in OPTIONS for scale in SCALES["paper"])  # option and width of a layer, in a notation

FOUND = (  # the network in the authors' code, of 328 million multiply-adds
    "spos-channels: k3@1.4 k3@1.2 xception@0.8 k5@1.2 | k5@0.6 k5@1.4 k3@0.8 k3@1 | "
    "k7@0.6 k3@1.2 k7@1.6 k5@1.2 k5@1 k3@1.4 k7@1.6 k3@1 | k7@1 k5@1.2 xception@1 k7@0.8"
)


@dataclass(frozen=True, kw_only=True)
class Sizes(spos.Sizes):
    """Settings of the supernet. ``scales``: of hidden widths, "code": 0.2 to 1.6 in steps of 0.2; "paper": 0.2 to 2."""

    scales: Literal["code", "paper"] = "code"


def hidden(place: Place, scale: float) -> int:
    """The hidden width of a block."""
    return max(1, int(place.outputs // 2 * scale))


def supernet(**settings: Any) -> Supernet:
    """The network that is searched: images ``(batch, *shape)`` -> logits (batch, classes); ``settings``: of ``Sizes``.

    Raises ``InputError`` for sizes that make no network.
    """
    sizes = Sizes(**settings)
    if sizes.scales not in SCALES:
        raise InputError(f"scales must be one of {', '.join(SCALES)}; got {sizes.scales!r}")

    def layer(i: int, place: Place) -> nn.Module:
        width = Width({scale: hidden(place, scale) for scale in SCALES[sizes.scales]}, name=f"width.{i}")
        layers = shuffle_blocks.elastic(width, sizes.norm)
        return OneOf({o: shuffle_blocks.build(o, place, layers, sizes.norm) for o in OPTIONS}, name=f"layer.{i}")

    return Supernet(spos.chain(sizes, lambda at: [layer(i, place) for i, place in enumerate(at)], sizes.norm))


def network(architecture: Mapping[str, Any] | str, **settings: Any) -> Chain:
    """The stand-alone network of an architecture or its notation; ``settings``: of ``spos.NetworkSizes``."""
    chosen = _blocks(parse(architecture) if isinstance(architecture, str) else architecture)

    def block(taken: str, place: Place) -> nn.Module:
        option, _, scale = taken.partition("@")
        return shuffle_blocks.build(option, place, shuffle_blocks.fixed(hidden(place, float(scale)), {}), {})

    return spos.chain(spos.ImageNet(**settings), taken_layers(chosen, everywhere(BLOCKS), block), {})


def parse(text: str) -> Architecture:
    """Read ``spos-channels: k3@1.4 xception@0.8 | ...``, the option of each layer and its width; raises ``InputError``."""
    architecture: Architecture = {}
    for layer, taken in parse_chain(NAME, BLOCKS, text).items():
        option, _, scale = str(taken).partition("@")
        architecture |= {layer: option, layer.replace("layer", "width"): float(scale)}
    return architecture


def notation(architecture: Mapping[str, Any]) -> str:
    """The options in order, each with its width, with ``|`` between stages."""
    return chain_notation(NAME, _blocks(architecture), spos.DEPTHS)


def _blocks(architecture: Mapping[str, Any]) -> dict[str, str]:
    """layer -> its option and its width; raises ``InputError`` where one of them is not decided."""
    layers = [name for name in architecture if name.startswith("layer.")]
    names = {name: name.replace("layer", "width") for name in layers}
    if other := set(architecture) ^ {*names, *names.values()}:
        raise InputError(f"the layers of {NAME} choose layer.i and width.i, i from 0 on; look at {min(other)}")
    return {layer: f"{architecture[layer]}@{architecture[width]:g}" for layer, width in names.items()}


SPOS_CHANNELS = chain_space(
    NAME,
    spos.CITATION,
    supernet=(supernet, Sizes),
    network=(network, spos.ImageNet),
    text=(parse, notation),
    published={"spos-328m": Published(FOUND, spos.CITATION, {}, spos.REPOSITORY)},
    recipes={"short": {"supernet": {"width": 0.5, "depths": (1, 1, 2, 1)}}},
)
