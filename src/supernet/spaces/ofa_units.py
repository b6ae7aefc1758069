"""Units of elastic blocks, which the Once-for-All spaces for mobile devices share, and their notation.

Cai et al. 2020, section 3, https://arxiv.org/abs/1908.09791; sizes by https://github.com/mit-han-lab/once-for-all

A unit is two to four inverted residual blocks deep; each has kernel k and expansion e (k5e4). A network is a part of the largest: the
first blocks of each unit, the first channels of each block, and kernels that are the transformed centres of larger ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from supernet import ops
from supernet.errors import InputError, unknown
from supernet.layers.base import Supernet
from supernet.layers.elastic import ElasticConv2d, ElasticNorm
from supernet.layers.elastic_kernel import ElasticKernel2d
from supernet.layers.elastic_squeeze import ElasticSqueezeExcite
from supernet.layers.up_to import UpTo
from supernet.settings.quantities import Channels, Depths, Part, Sides, Widths
from supernet.space import Architecture, Option
from supernet.spaces import image_sizes
from supernet.spaces.chain_network import ChainSizes, Place, divisible
from supernet.spaces.image_sizes import at_size, open_size
from supernet.spaces.record import headed

KERNELS, EXPANSIONS, SHALLOWEST = (3, 5, 7), (3, 4, 6), 2
BLOCKS = {f"k{kernel}e{expansion}": (kernel, expansion) for kernel in KERNELS for expansion in EXPANSIONS}
Unit = Callable[[int, Sequence[Place], "UnitKind"], nn.Module]  # its number, where its blocks stand, their kind -> the unit


@dataclass(frozen=True, kw_only=True)
class UnitSizes(ChainSizes):
    """Settings of networks of units; ``width`` multiplies all channels.

    ``widths``, ``depths``: channels of each unit, and its blocks at most; where there are fewer than the paper's, the first of those.
    ``head``: features before the classifier; ``dropout``: of them (0.1 in the paper's code).
    ``resolutions``: heights of images to choose from, which come in that of ``shape``, best the largest; None: no choice.
    """

    widths: Widths
    depths: Depths
    stem_channels: Channels
    head: Channels = 1280
    dropout: Part = 0.0
    resolutions: Sides | None = None


@dataclass(frozen=True)
class UnitKind:
    """What the blocks of a unit have in common: activation, squeeze-and-excitation or not, settings of batch norms."""

    activation: type[nn.Module]
    squeeze: bool = False
    norm: Mapping[str, Any] = field(default_factory=dict)


def expanded(inputs: int, expansion: int) -> int:
    """The channels of a block's depthwise convolution."""
    return divisible(round(inputs * expansion))


def squeezed(channels: int) -> int:
    """The features of a block's squeeze-and-excitation."""
    return divisible(channels // 4)


def block(place: Place, kernel: int, expansion: int, kind: UnitKind) -> ops.InvertedResidual:
    """The block of one kernel and one expansion."""
    hidden = expanded(place.inputs, expansion)
    squeeze = squeezed(hidden) if kind.squeeze else 0
    sizes = (place.inputs, place.outputs, kernel, hidden / place.inputs, place.stride)
    return ops.InvertedResidual(*sizes, activation=kind.activation, norm=kind.norm, squeeze=squeeze)


def elastic_block(place: Place, kind: UnitKind, name: str) -> nn.Module:
    """The block whose choices are ``name.expansion`` and ``name.kernel``."""
    widths: dict[Option, int] = {expansion: expanded(place.inputs, expansion) for expansion in EXPANSIONS}
    hidden, norm, outputs = max(widths.values()), dict(kind.norm), place.outputs
    with torch.device("meta"):  # all its parts are replaced
        found = block(place, KERNELS[-1], EXPANSIONS[-1], kind)
    found.body = nn.Sequential(
        nn.Sequential(
            ElasticConv2d(place.inputs, widths, 1, bias=False, name=f"{name}.expansion"), ElasticNorm(hidden, **norm), kind.activation()
        ),
        nn.Sequential(
            ElasticKernel2d(hidden, KERNELS, place.stride, name=f"{name}.kernel"), ElasticNorm(hidden, **norm), kind.activation()
        ),
        *([ElasticSqueezeExcite(hidden, squeezed)] if kind.squeeze else []),
        nn.Sequential(ElasticConv2d(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs, **norm)),
    )
    return found


def open_unit(i: int, at: Sequence[Place], kind: UnitKind) -> nn.Module:
    """Unit ``i`` with its choices open: ``depth.i``, and of block j ``block.i.j.expansion`` and ``block.i.j.kernel``."""
    blocks = [elastic_block(place, kind, f"block.{i}.{j}") for j, place in enumerate(at)]
    return UpTo(blocks, range(min(SHALLOWEST, len(at)), len(at) + 1), name=f"depth.{i}")


def units_of(architecture: Mapping[str, Any], count: int) -> Unit:
    """The units that an architecture takes in a network of ``count`` units.

    Raises ``InputError`` where it has another number of units or does not decide a block, and, when a unit is built, for another depth.
    """
    taken = _taken(architecture)
    if len(taken) != count:
        raise InputError(f"the architecture decides {len(taken)} units, and the network has {count}: set network.widths, network.depths")

    def unit(i: int, at: Sequence[Place], kind: UnitKind) -> nn.Module:
        depth, least = len(taken[i]), min(SHALLOWEST, len(at))
        if not least <= depth <= len(at):
            raise InputError(f"unit {i} has {depth} blocks; with these depths it has {least} to {len(at)}: set network.depths")
        return nn.Sequential(*(block(place, *BLOCKS[option], kind) for option, place in zip(taken[i], at, strict=False)))

    return unit


def units(unit: Unit, inputs: int, sizes: UnitSizes, strides: Sequence[int], kinds: Sequence[UnitKind]) -> tuple[list[nn.Module], int]:
    """The units of a network behind ``inputs`` channels, and how many channels they give; ``strides``, ``kinds``: of all that it may have.

    Raises ``InputError`` for sizes that make no units.
    """
    count = len(sizes.widths)
    if count > len(kinds):
        raise InputError(f"widths name the channels of at most {len(kinds)} units; got {count}")
    at = sizes.places(inputs, sizes.widths, sizes.depths, strides[:count])
    rest = iter(at)
    stands = [[next(rest) for _ in range(depth)] for depth in sizes.depths]
    return [unit(i, *each) for i, each in enumerate(zip(stands, kinds, strict=False))], at[-1].outputs


def open_network(build: Callable[[Any, Unit], nn.Module], sizes: UnitSizes) -> Supernet:
    """The supernet of ``build(sizes, unit)``, of which the size of images is chosen too where there are several."""
    return open_size(build(sizes, open_unit), sizes.resolutions)


def taken_network(build: Callable[[Any, Unit], nn.Module], sizes: UnitSizes, architecture: Mapping[str, Any]) -> nn.Module:
    """The network of an architecture."""
    network = build(sizes, units_of(architecture, len(sizes.widths)))
    return at_size(network, architecture, sizes.resolutions, sizes.ends["shape"])


def parse(space: str, text: str) -> Architecture:
    """Read ``<space>: k3e3 k5e4 | k7e6 k3e4 k3e3``, the blocks of each unit, perhaps after a size of images; raises ``InputError``."""
    architecture, text = image_sizes.split(text)
    found = [unit.split() for unit in text.partition(":")[2].split("|")]
    if headed(text) != space or not all(found) or re.match(r"[^:]*\(", text):
        what = f"expected '{space}:' and the blocks of each unit ({', '.join(BLOCKS)}), with | between units"
        raise InputError(f"not a network of {space}: {' '.join(text.split())[:80]!r}; {what}")
    for i, options in enumerate(found):
        architecture[f"depth.{i}"] = len(options)
        for j, option in enumerate(options):
            if option not in BLOCKS:
                raise unknown(f"option of {space}", option, BLOCKS)
            architecture[f"block.{i}.{j}.expansion"] = BLOCKS[option][1]
            architecture[f"block.{i}.{j}.kernel"] = BLOCKS[option][0]
    return architecture


def notation(space: str, architecture: Mapping[str, Any]) -> str:
    """The blocks in order, with ``|`` between units."""
    return f"{space}: {image_sizes.said(architecture)}" + " | ".join(" ".join(unit) for unit in _taken(architecture))


def _taken(architecture: Mapping[str, Any]) -> list[list[str]]:
    """The blocks that run, unit by unit; raises ``InputError``."""
    count = sum(name.startswith("depth.") for name in architecture)
    found: list[list[str]] = []
    for i in range(count):
        if f"depth.{i}" not in architecture:
            raise InputError(f"the architecture does not decide depth.{i}")
        names = [f"block.{i}.{j}" for j in range(int(architecture[f"depth.{i}"]))]
        sizes = [(architecture.get(f"{name}.kernel"), architecture.get(f"{name}.expansion")) for name in names]
        for name, size in zip(names, sizes, strict=True):
            if size not in BLOCKS.values():
                raise InputError(f"{name} cannot take kernel {size[0]} and expansion {size[1]}; kernels are 3, 5, 7, expansions 3, 4, 6")
        found.append([f"k{kernel}e{expansion}" for kernel, expansion in sizes])
    if not found:
        raise InputError("the architecture has no units: it decides no depth.0")
    return found
