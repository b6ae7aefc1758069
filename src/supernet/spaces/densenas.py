"""DenseNAS: Fang et al. 2020, https://arxiv.org/abs/1906.09607; https://github.com/JaminFong/DenseNAS

Blocks of growing width in a row, each with a route to one of the next blocks, so that width, depth and the places where the size
halves are searched. A block is a first layer ("head", one for each block that it may follow) and a stack of layers that may be
skipped. Layers are inverted residual blocks with kernel k and expansion e (k5e6), or ResNet's basic blocks (basic).

The notation names the blocks on the route by their widths: ``densenas: 24 k3e3 skip skip skip | 48 k7e6 k7e3 skip skip | ...``;
skips may be left out where the network alone is meant. That of the CIFAR stem, the default of a search, has 8 of the paper's 17 blocks,
one or two layers on them and maps of 32, 16, 8 and 4 pixels; what it finds is also a network of the paper's blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from supernet.errors import InputError, unknown
from supernet.layers.base import Supernet
from supernet.ops import conv_norm_act
from supernet.settings.quantities import Channels, CountOrNone, Layers, Widths
from supernet.space import Architecture, Option
from supernet.spaces import chain_network
from supernet.spaces.chain_network import ChainSizes, chain_space, scaled
from supernet.spaces.densenas_network import DenseNet, first, layer, routed
from supernet.spaces.densenas_plan import BASIC, END, MBCONVS, SKIP, START, Plan, plan
from supernet.spaces.record import Published

NAME = "densenas"
CITATION = "Fang et al. 2020: Densely Connected Search Space for More Flexible Neural Architecture Search, https://arxiv.org/abs/1906.09607"
SAID = ("base", *chain_network.SAID)
STEMS: dict[str, dict[str, Any]] = {
    "imagenet": chain_network.STEMS["imagenet"],
    "cifar": {
        **chain_network.STEMS["cifar"],
        "widths": (16, 24, 32, 48, 64, 96, 160, 192),
        "stages": (0, 1, 2, 2, 3, 3, 4, 4),
        "depths": (0, 1, 1, 1, 2, 2, 1, 1),
        "last": 640,
    },
}

NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {  # name -> notation, settings
    "densenas-a": (
        "densenas: 24 k3e3 skip skip skip | 48 k7e6 k7e3 skip skip | 72 k5e6 k3e3 k5e3 skip | 128 k3e3 k3e3 skip skip | "
        "176 k3e3 k3e6 k3e3 k3e6 | 384 k5e6",
        {},
    ),
    "densenas-b": (
        "densenas: 24 k3e6 skip skip skip | 48 k5e3 k3e3 k3e3 skip | 72 k3e6 k3e3 k5e3 skip | 128 k3e6 k3e3 skip skip | "
        "160 k3e6 k3e3 k5e6 k5e3 | 176 k3e3 k3e6 k3e6 skip | 384 k7e6",
        {},
    ),
    "densenas-c": (
        "densenas: 24 k3e6 skip skip skip | 48 k7e6 k3e3 skip skip | 72 k5e6 k3e6 k3e3 skip | 128 k3e6 k3e3 k3e3 skip | "
        "160 k3e6 k7e3 k5e6 k7e3 | 176 k3e3 k3e6 k3e6 k3e6 | 384 k7e6",
        {},
    ),
}


@dataclass(frozen=True, kw_only=True)
class NetworkSizes(ChainSizes):
    """Settings of the network.

    ``base``: "mobilenetv2" or "resnet".
    ``widths``: of the blocks, all different, the first that of the stem. ``sizes``: sides of their maps; a route from a block of twice
    the size strides. ``stages``: a route leads at most one stage on. ``depths``: of their stacks. Each of these three follows the
    paper's for those widths where not given. ``ahead``: how many later blocks a route may lead to. ``last``: features after the
    last block.
    """

    base: str = "mobilenetv2"
    stem: str = "imagenet"
    widths: Widths | None = None
    sizes: Widths | None = None
    stages: Sequence[CountOrNone] | None = None
    depths: Sequence[CountOrNone] | None = None
    ahead: Layers | None = None
    last: Channels | None = None

    @property
    def plan(self) -> Plan:
        """The blocks, and which may follow which; raises ``InputError`` for settings that make no network."""
        return plan(self.base, self.stem, self.widths, self.sizes, self.stages, self.depths, self.ahead, self.last)


@dataclass(frozen=True, kw_only=True)
class Sizes(NetworkSizes):
    """Settings of the supernet; ``affine``: whether batch norms have weights, which the paper's search leaves out."""

    stem: str = "cifar"
    affine: bool = False


def supernet(**settings: Any) -> Supernet:
    """The network that is searched: images ``(batch, *shape)`` -> logits (batch, classes); ``settings``: of ``Sizes``."""
    given = Sizes(**settings)
    made = replace(given.plan, norm={**given.plan.norm, "affine": given.affine})
    channels = [*(scaled(b.width, given.width) for b in made.blocks), scaled(made.last, given.width)]
    return Supernet(DenseNet(routed(made, channels), channels=channels[0], features=channels[-1], norm=made.norm, **given.ends))


def network(architecture: Mapping[str, Any] | str, **settings: Any) -> DenseNet:
    """The stand-alone network of an architecture or its notation, with only the blocks on its route; ``settings``: of ``NetworkSizes``.

    Any route is built that halves the size at most once at a time. With basic blocks the classifier follows the last of them at once.
    """
    given = NetworkSizes(**settings)
    made, base, stem, width = given.plan, given.base, given.stem, given.width
    route = _route(parse(architecture) if isinstance(architecture, str) else architecture)
    here, inputs = made.blocks[0], scaled(made.blocks[0].width, width)
    channels, layers = inputs, [first(made, inputs)]
    for there, head, stack in route:
        later = {block.width: block for block in made.blocks[made.blocks.index(here) + 1 :] if here.size in (block.size, 2 * block.size)}
        if there not in later:
            known = any(block.width == there for block in made.blocks)
            reason = f"no route leads from block {here.width} to {there}; later blocks: {', '.join(map(str, later)) or 'none'}"
            paper = "the paper's networks are of --stem imagenet, other blocks are settings (widths, sizes, stages, depths)"
            raise InputError(reason if known else f"{reason}; with the {stem} stem there is no block of that width here: {paper}")
        for option, able in [(head, made.heads), *((option, (*made.heads, SKIP)) for option in stack)]:
            if option not in able:
                raise unknown(f"option of {base}", str(option), able)
        outputs, stride = scaled(there, width), here.size // later[there].size
        layers.append(layer(head, inputs, outputs, stride, made.norm))
        layers += [layer(option, outputs, outputs, 1, made.norm) for option in stack if option != SKIP]
        here, inputs = later[there], outputs
    if base == "mobilenetv2":
        layers.append(conv_norm_act(inputs, scaled(made.last, width), 1, activation=nn.ReLU6, norm=made.norm))
        inputs = scaled(made.last, width)
    return DenseNet(nn.Sequential(*layers), channels=channels, features=inputs, norm=made.norm, **given.ends)


def _route(architecture: Mapping[str, Any]) -> list[tuple[int, str, list[str]]]:
    """The blocks on the route: width, option of the head, options of the stack."""
    found: list[tuple[int, str, list[str]]] = []
    here: Option = START
    while (there := architecture.get(f"route.{here}")) != END:
        if not isinstance(there, int) or any(there == width for width, _, _ in found):
            raise InputError(f"the architecture has no route on from block {here}: route.{here} must be a later block's width or {END!r}")
        stack: list[str] = []
        while (option := architecture.get(f"stack.{there}.{len(stack)}")) is not None:
            stack.append(option)
        found.append((there, architecture.get(f"head.{here}.{there}", BASIC), stack))
        here = there
    if not found:
        raise InputError(f"the architecture's route leads through no block: route.{START} must be the width of one")
    return found


def parse(text: str) -> Architecture:
    """Read ``densenas: 24 k3e3 k5e3 | 48 k7e6 | ...``; raises ``InputError``."""
    name, _, rest = text.partition(":")
    blocks = [block.split() for block in rest.split("|")]
    if name.strip() != NAME or not all(len(block) > 1 and block[0].isdecimal() for block in blocks):
        what = f"expected '{NAME}:' and for each block its width, its head and its stack, with | between blocks"
        raise InputError(f"not a network of {NAME}: {' '.join(text.split())[:80]!r}; {what}")
    architecture: Architecture = {}
    here: Option = START
    for width, head, *stack in blocks:
        for option in (head, *stack):
            if option not in (*MBCONVS, BASIC, SKIP):
                raise unknown(f"option of {NAME}", option, (*MBCONVS, BASIC, SKIP))
        architecture[f"route.{here}"] = int(width)
        if head != BASIC:
            architecture[f"head.{here}.{width}"] = head
        if f"route.{width}" in architecture:
            raise InputError(f"the route of a network of {NAME} comes to a block once; {width} is there twice")
        architecture |= {f"stack.{width}.{n}": option for n, option in enumerate(stack)}
        here = int(width)
    return {**architecture, f"route.{here}": END}


def notation(architecture: Mapping[str, Any]) -> str:
    """The blocks on the route, each with its width, its head and its stack, with ``|`` between them."""
    return f"{NAME}: " + " | ".join(" ".join([str(width), head, *stack]) for width, head, stack in _route(architecture))


DENSENAS = chain_space(
    NAME,
    CITATION,
    supernet=(supernet, Sizes),
    network=(network, NetworkSizes),
    said=SAID,
    stems=STEMS,
    text=(parse, notation),
    published={name: Published(text, CITATION, settings) for name, (text, settings) in NETWORKS.items()},
    recipes={"short": {"supernet": {"width": 0.5}}},
)
