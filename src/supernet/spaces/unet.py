"""Encoders and decoders joined at every resolution, for a class of every pixel.

The shape is that of Ronneberger, Fischer, Brox 2015 (U-Net), https://arxiv.org/abs/1505.04597, with sums in the place of joined channels.
What is chosen: the block of every level on the way down and on the way up (inverted residuals of Sandler et al. 2018,
https://arxiv.org/abs/1801.04381, or none), and what passes across at each level. The space is of this package, not of a paper.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from supernet import ops
from supernet.errors import InputError, unknown
from supernet.layers.base import Supernet
from supernet.layers.one_of import OneOf
from supernet.settings.quantities import Channels, Classes, Levels, Shape
from supernet.space import Architecture
from supernet.spaces.cell_network import check_sizes
from supernet.spaces.pictured import Graph, connected
from supernet.spaces.record import Build, Space, headed

NAME = "unet"
CITATION = (
    "Ronneberger, Fischer, Brox 2015: U-Net: Convolutional Networks for Biomedical Image Segmentation, https://arxiv.org/abs/1505.04597"
)
SAID = ("shape", "classes", "channels", "levels")
BLOCKS = {"k3e2": (3, 2), "k3e4": (3, 4), "k5e2": (5, 2), "k5e4": (5, 4)}  # kernel, expansion
OPTIONS = {"down": (*BLOCKS, "skip"), "across": ("pass", "conv", "none"), "up": (*BLOCKS, "skip")}  # by the kind of a choice
Place = Callable[[str, int], nn.Module]  # (name of a choice, channels) -> what stands there


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Settings of both networks.

    ``shape``: of the images. ``channels``: of the first level, each further one has twice as many at half the side. ``levels``: the images'
    half resolution is the first.
    """

    shape: Shape = (3, 64, 64)
    classes: Classes = 11
    channels: Channels = 16
    levels: Levels = 3


class UNet(nn.Module):
    """Images ``(batch, *shape)`` -> logits (batch, classes, height, width). ``choice``: what stands at each place that is searched."""

    def __init__(self, choice: Place, sizes: Sizes):
        super().__init__()
        check_sizes(sizes.shape, classes=(sizes.classes, 2), channels=(sizes.channels, 1))
        widths = [sizes.channels * 2**level for level in range(sizes.levels)]
        sides = [(half(sizes.shape[1], level + 1), half(sizes.shape[2], level + 1)) for level in range(sizes.levels)]
        if min(sides[-1]) < 2:
            raise InputError(f"levels {sizes.levels} leave images of {sizes.shape[1]}x{sizes.shape[2]} less than 2 pixels a side")
        inputs = [sizes.shape[0], *widths]
        self.reductions = nn.ModuleList(ops.conv_norm_act(inputs[i], width, 3, 2) for i, width in enumerate(widths))
        self.down = nn.ModuleList(choice(f"down.{i}", width) for i, width in enumerate(widths))
        self.across = nn.ModuleList(choice(f"across.{i}", width) for i, width in enumerate(widths[:-1]))
        self.narrow = nn.ModuleList(ops.conv_norm_act(wide, width, 1) for width, wide in pairwise(widths))
        self.larger = nn.ModuleList(nn.Upsample(size=side, mode="nearest") for side in sides[:-1])
        self.up = nn.ModuleList(choice(f"up.{i}", width) for i, width in enumerate(widths[:-1]))
        self.classifier = nn.Conv2d(widths[0], sizes.classes, 1)
        self.whole = nn.Upsample(size=(sizes.shape[1], sizes.shape[2]), mode="bilinear")

    def forward(self, x: Tensor) -> Tensor:
        levels = []
        for reduction, block in zip(self.reductions, self.down, strict=True):
            x = block(reduction(x))
            levels.append(x)
        for i in reversed(range(len(self.up))):
            x = self.larger[i](self.narrow[i](x)) + self.across[i](levels[i])
            x = self.up[i](x)
        logits: Tensor = self.whole(self.classifier(x))
        return logits


def half(side: int, times: int) -> int:
    """A side after so many convolutions that stride by 2."""
    return (side + (1 << times) - 1) >> times


def build(option: str, channels: int) -> nn.Module:
    """One option of one choice."""
    if option in ("skip", "pass"):
        return nn.Identity()
    if option == "none":
        return ops.Zero(1)
    if option == "conv":
        return ops.conv_norm_act(channels, channels, 1)
    kernel, expansion = BLOCKS[option]
    return ops.InvertedResidual(channels, channels, kernel, expansion)


def options(name: str) -> tuple[str, ...]:
    """Those of a choice."""
    return OPTIONS[name.partition(".")[0]]


def supernet(**settings: Any) -> Supernet:
    """The network that is searched; ``settings``: of ``Sizes``."""

    def choice(name: str, channels: int) -> nn.Module:
        return OneOf({option: build(option, channels) for option in options(name)}, name=name)

    return Supernet(UNet(choice, Sizes(**settings)))


def network(architecture: Mapping[str, Any] | str, **settings: Any) -> UNet:
    """The network of an architecture or its notation; ``settings``: of ``Sizes``, ``levels`` as many as are decided."""
    chosen = parse(architecture) if isinstance(architecture, str) else architecture
    sizes = Sizes(**settings)
    if set(chosen) != set(names(sizes.levels)):
        raise InputError(f"the architecture is of other levels than the {sizes.levels} of the network: say --set network.levels=")

    def choice(name: str, channels: int) -> nn.Module:
        if chosen[name] not in options(name):
            raise unknown(f"option of {name}", str(chosen[name]), options(name))
        return build(str(chosen[name]), channels)

    return UNet(choice, sizes)


def names(levels: int) -> list[str]:
    """The choices of a network with so many levels, in order."""
    counts = {"down": levels, "across": levels - 1, "up": levels - 1}
    return [f"{kind}.{i}" for kind, count in counts.items() for i in range(count)]


def parse(text: str) -> Architecture:
    """Read ``unet: down(k3e2 k5e4 skip) across(pass conv) up(k3e2 k3e2)``, the finest level first; raises ``InputError``."""
    groups = "".join(rf"\s*{kind}\(([^()]*)\)" for kind in OPTIONS)
    found = re.fullmatch(rf"\s*{NAME}\s*:{groups}\s*", text)
    taken = [group.split() for group in found.groups()] if found else []
    if not taken or not len(taken[0]) - 1 == len(taken[1]) == len(taken[2]) > 0:
        expected = f"'{NAME}: down(...) across(...) up(...)', with one more down"
        raise InputError(f"not a network of {NAME}: {text.strip()[:80]!r}; expected {expected}")
    choices = dict(zip(names(len(taken[0])), [option for group in taken for option in group], strict=True))
    for name, option in choices.items():
        if option not in options(name):
            raise unknown(f"option of {name}", option, options(name))
    return dict(choices)


def notation(architecture: Mapping[str, Any]) -> str:
    """The options by kind, as ``parse`` reads them."""
    order = architecture_names(architecture)
    taken = {kind: " ".join(str(architecture[name]) for name in order if name.startswith(f"{kind}.")) for kind in OPTIONS}
    return f"{NAME}: " + " ".join(f"{kind}({options})" for kind, options in taken.items())


def architecture_names(architecture: Mapping[str, Any]) -> list[str]:
    """Its choices in order; raises ``InputError`` where some are missing."""
    wanted = names(sum(name.startswith("down.") for name in architecture))
    if set(wanted) != set(architecture):
        raise InputError(f"the choices of {NAME} are down.0, ..., across.0, ..., up.0, ...; got {', '.join(architecture)[:80]}")
    return wanted


def pictured(architecture: Mapping[str, Any]) -> dict[str, Graph]:
    """Nodes by their side, as a part of the images': "1/2" on the way down, "+1/2" where it meets what comes up."""
    deep = sum(name.startswith("down.") for name in architecture_names(architecture))
    sides = [f"1/{2**level}" for level in range(1, deep + 1)]
    down, up = ["x", *sides], ["y", *(f"+{side}" for side in sides[:-1])]
    ways = {"down": pairwise(down), "across": zip(sides, up[1:], strict=False), "up": ((low, high) for high, low in pairwise(up))}
    edges = [(*ends, str(architecture[f"{kind}.{i}"])) for kind, pairs in ways.items() for i, ends in enumerate(pairs)]
    return {f"Levels of {NAME}": connected([*edges, (down[-1], up[-1], "")])}


UNET = Space(
    NAME,
    CITATION,
    supernet=Build(f"the supernet of {NAME}", supernet, Sizes, SAID),
    network=Build(f"a network of {NAME}", network, Sizes, SAID),
    tasks=("segmentation",),
    parse=parse,
    notation=notation,
    recognises=lambda text: headed(text) == NAME,
    one_build=True,
    pictured=pictured,
)
