"""Single-Path NAS: Stamoulis et al. 2019, https://arxiv.org/abs/1904.02877; https://github.com/dstamoulis/single-path-nas

Two fixed blocks and between them a chain of 20 layers in five stages, each an inverted residual block with kernel k and
expansion e (k5e6) or, where sizes stay, skipped. All four blocks of a layer are slices of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from supernet import ops
from supernet.errors import InputError
from supernet.layers.base import Supernet
from supernet.layers.superkernel import SuperKernelBlock
from supernet.settings.quantities import Channels, Depths, Share, Widths
from supernet.space import Architecture
from supernet.spaces.chain_layers import Layers, chain_notation, parse_chain, taken_layers
from supernet.spaces.chain_network import Chain, ChainSizes, Place, chain_space
from supernet.spaces.record import Published

NAME = "single-path"
CITATION = (
    "Stamoulis et al. 2019: Single-Path NAS: Designing Hardware-Efficient ConvNets in less than 4 Hours, https://arxiv.org/abs/1904.02877"
)
WIDTHS, DEPTHS, STRIDES = (24, 40, 80, 96, 192), (4, 4, 4, 4, 4), (2, 2, 2, 1, 2)
BLOCKS = {"k3e3": (3, 3), "k3e6": (3, 6), "k5e3": (5, 3), "k5e6": (5, 6)}  # kernel, expansion
OPTIONS = (*BLOCKS, "skip")
MOMENTUM = 0.01  # of batch norm, as PyTorch counts it

NETWORK = "single-path: k3e3 k3e3 k3e3 skip | k5e6 k3e3 k3e3 k3e3 | k5e6 k3e3 k3e3 k3e3 | k5e6 k5e3 k5e3 k5e3 | k5e6 k5e6 k5e6 k5e6"


@dataclass(frozen=True, kw_only=True)
class Sizes(ChainSizes):
    """Settings of the supernet; ``width`` multiplies the ``head`` only where it is above 1.

    ``widths``, ``depths``: channels and layers of each stage; ``first``, ``last``: channels of the fixed blocks.
    ``dropout``: before the classifier (0.2 in the paper's code).
    ``momentum``: of batch norm; the paper's needs thousands of steps before the running statistics can be believed.
    """

    widths: Widths = WIDTHS
    depths: Depths = DEPTHS
    stem_channels: Channels = 32
    first: Channels = 16
    last: Channels = 320
    head: Channels = 1280
    dropout: Share = 0.0
    momentum: Share = MOMENTUM


NetworkSizes = partial(Sizes, stem="imagenet")


def options(place: Place) -> tuple[str, ...]:
    """The options of a layer."""
    return OPTIONS if place.stride == 1 and place.inputs == place.outputs else tuple(BLOCKS)


def build(option: str, place: Place, momentum: float = MOMENTUM) -> nn.Module:
    """One option of one layer."""
    if option == "skip":
        return nn.Identity()
    return ops.InvertedResidual(place.inputs, place.outputs, *BLOCKS[option], place.stride, norm=_norm(momentum))


def supernet(**settings: Any) -> Supernet:
    """The network that is searched: images ``(batch, *shape)`` -> logits (batch, classes); ``settings``: of ``Sizes``.

    Raises ``InputError`` for sizes that make no network.
    """
    sizes = Sizes(**settings)

    def layers(at: Sequence[Place]) -> list[nn.Module]:
        return [SuperKernelBlock(*place, name=f"layer.{i}", norm=_norm(sizes.momentum)) for i, place in enumerate(at)]

    return Supernet(_chain(sizes, layers))


def network(architecture: Mapping[str, Any] | str, **settings: Any) -> Chain:
    """The stand-alone network of an architecture or its notation; ``settings``: of ``NetworkSizes``."""
    chosen = _blocks(parse(architecture) if isinstance(architecture, str) else architecture)
    sizes = NetworkSizes(**settings)
    return _chain(sizes, taken_layers(chosen, options, partial(build, momentum=sizes.momentum)))


def _norm(momentum: float) -> dict[str, Any]:
    return {"momentum": momentum, "eps": 1e-3}


def _chain(sizes: Sizes, layers: Layers) -> Chain:
    norm, outer, inner, last = _norm(sizes.momentum), *map(sizes.scaled, (sizes.stem_channels, sizes.first, sizes.last))
    at = sizes.places(inner, sizes.widths, sizes.depths, STRIDES)
    before, after = ops.InvertedResidual(outer, inner, 3, 1, norm=norm), ops.InvertedResidual(at[-1].outputs, last, 3, 6, norm=norm)
    ends = {"last": last, "head": sizes.widened(sizes.head), "dropout": sizes.dropout, **sizes.ends}
    return Chain([before, *layers(at), after], stem_channels=outer, norm=norm, **ends)


def parse(text: str) -> Architecture:
    """Read ``single-path: k3e3 k5e6 skip | k3e6 ...``; raises ``InputError``."""
    chosen: Architecture = {}
    for name, option in parse_chain(NAME, OPTIONS, text).items():
        if option == "skip":
            chosen[f"{name}.expansion"] = 0
        else:
            chosen[f"{name}.kernel"], chosen[f"{name}.expansion"] = BLOCKS[str(option)]
    return chosen


def notation(architecture: Mapping[str, Any]) -> str:
    """The options in order, with ``|`` between stages."""
    return chain_notation(NAME, _blocks(architecture), DEPTHS)


def _blocks(architecture: Mapping[str, Any]) -> dict[str, str]:
    """layer -> its option, of choices of kernel and expansion; raises ``InputError``."""
    layers = [f"layer.{i}" for i in range(sum(name.endswith(".expansion") for name in architecture))]
    if other := set(architecture) - {f"{layer}.{what}" for layer in layers for what in ("kernel", "expansion")}:
        raise InputError(f"the {len(layers)} layers of {NAME} choose layer.i.kernel and layer.i.expansion, i from 0 on; got {min(other)}")
    chosen = {}
    for layer in layers:
        taken = architecture.get(f"{layer}.kernel"), architecture[f"{layer}.expansion"]
        option = "skip" if taken[1] == 0 else next((o for o, block in BLOCKS.items() if block == taken), None)
        if option is None:
            raise InputError(f"{layer} cannot take kernel {taken[0]} and expansion {taken[1]}; kernels are 3, 5, expansions 0, 3, 6")
        chosen[layer] = option
    return chosen


SINGLE_PATH = chain_space(
    NAME,
    CITATION,
    supernet=(supernet, Sizes),
    network=(network, NetworkSizes),
    text=(parse, notation),
    published={"single-path": Published(NETWORK, CITATION)},
    recipes={"short": {"supernet": {"width": 0.5, "depths": (2, 2, 2, 2, 2)}}},
)
