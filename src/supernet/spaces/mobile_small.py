"""Networks of MobileNetV2's blocks for pictures of 28 to 32 pixels: small enough to be searched and trained on a CPU.

Blocks: Sandler et al. 2018, section 3, https://arxiv.org/abs/1801.04381. The space is no paper's: three stages that halve the size,
each one to three inverted residual blocks deep, each block with kernel k and expansion e (k5e6). Depth is a choice of the stage, so that
every network has one description, which numbers published for other spaces are not to be compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from supernet import ops
from supernet.errors import InputError, unknown
from supernet.layers.base import Supernet
from supernet.layers.one_of import OneOf
from supernet.layers.up_to import UpTo
from supernet.settings.quantities import Channels, Classes, Depths, Multiplier, Shape, Share, Widths
from supernet.space import Architecture
from supernet.spaces.chain_network import Chain, Place, chain_space, places, scaled
from supernet.spaces.record import headed

NAME = "mobile-small"
CITATION = "Sandler et al. 2018: MobileNetV2: Inverted Residuals and Linear Bottlenecks, https://arxiv.org/abs/1801.04381 (the blocks)"
SAID = ("shape", "classes")
BLOCKS = {"k3e3": (3, 3), "k3e6": (3, 6), "k5e3": (5, 3), "k5e6": (5, 6)}  # kernel, expansion
STRIDES = (2, 2, 2)


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Settings of both networks.

    ``width``: multiplies all channels, the ``head``'s only above 1. ``widths``: channels of each stage; ``depths``: its blocks at most.
    ``head``: features before the classifier; ``dropout``: of them.
    """

    shape: Shape = (3, 32, 32)
    classes: Classes = 10
    width: Multiplier = 1.0
    widths: Widths = (24, 40, 80)
    depths: Depths = (3, 3, 3)
    stem_channels: Channels = 16
    head: Channels = 320
    dropout: Share = 0.0


def supernet(**settings: Any) -> Supernet:
    """The network that is searched: images ``(batch, *shape)`` -> logits (batch, classes); ``settings``: of ``Sizes``.

    Raises ``InputError`` for sizes that make no network.
    """

    def stage(i: int, at: Sequence[Place]) -> nn.Module:
        blocks = [OneOf({o: block(o, place) for o in BLOCKS}, name=f"block.{i}.{j}") for j, place in enumerate(at)]
        return UpTo(blocks, range(1, len(at) + 1), name=f"depth.{i}")

    return Supernet(_chain(Sizes(**settings), stage))


def network(architecture: Mapping[str, Any] | str, **settings: Any) -> Chain:
    """The network of an architecture or its notation; ``settings``: of ``Sizes``."""
    stages = _stages(parse(architecture) if isinstance(architecture, str) else architecture)

    def stage(i: int, at: Sequence[Place]) -> nn.Module:
        if len(stages[i]) > len(at):
            raise InputError(f"stage {i} has {len(stages[i])} blocks, and at most {len(at)} with these depths: set network.depths")
        return nn.Sequential(*(block(option, place) for option, place in zip(stages[i], at, strict=False)))

    return _chain(Sizes(**settings), stage)


def block(option: str, place: Place) -> nn.Module:
    """One option of one block."""
    kernel, expansion = BLOCKS[option]
    return ops.InvertedResidual(place.inputs, place.outputs, kernel, expansion, place.stride)


def _chain(sizes: Sizes, stage: Callable[[int, Sequence[Place]], nn.Module]) -> Chain:
    """``stage(i, places)``: the blocks of stage i."""
    stem, widths = scaled(sizes.stem_channels, sizes.width), [scaled(w, sizes.width) for w in sizes.widths]
    rest, stages = iter(places(stem, widths, sizes.depths, STRIDES)), []
    for i, depth in enumerate(sizes.depths):
        stages.append(stage(i, [next(rest) for _ in range(depth)]))
    head = max(sizes.head, scaled(sizes.head, sizes.width))
    ends: dict[str, Any] = {"classes": sizes.classes, "shape": sizes.shape, "dropout": sizes.dropout}
    return Chain(stages, stem="cifar", stem_channels=stem, last=widths[-1], head=head, **ends)


def parse(text: str) -> Architecture:
    """Read ``mobile-small: k3e3 k5e6 | k3e6 | k5e3 k3e3 k3e3``, the blocks of each stage; raises ``InputError``."""
    stages = [stage.split() for stage in text.partition(":")[2].split("|")]
    if headed(text) != NAME or len(stages) != len(STRIDES) or not all(stages):
        what = f"expected '{NAME}:' and the blocks of {len(STRIDES)} stages ({', '.join(BLOCKS)}), with | between stages"
        raise InputError(f"not a network of {NAME}: {' '.join(text.split())[:80]!r}; {what}")
    architecture: Architecture = {}
    for i, options in enumerate(stages):
        architecture[f"depth.{i}"] = len(options)
        for j, option in enumerate(options):
            if option not in BLOCKS:
                raise unknown(f"option of {NAME}", option, BLOCKS)
            architecture[f"block.{i}.{j}"] = option
    return architecture


def notation(architecture: Mapping[str, Any]) -> str:
    """The blocks in order, with ``|`` between stages."""
    return f"{NAME}: " + " | ".join(" ".join(stage) for stage in _stages(architecture))


def _stages(architecture: Mapping[str, Any]) -> list[list[str]]:
    """The blocks of each stage that run."""
    names = [[f"depth.{i}", *(f"block.{i}.{j}" for j in range(int(architecture.get(f"depth.{i}", 0))))] for i in range(len(STRIDES))]
    if missing := [name for stage in names for name in stage if name not in architecture]:
        raise InputError(f"the architecture does not decide {missing[0]}")
    return [[str(architecture[name]) for name in blocks] for _, *blocks in names]


MOBILE_SMALL = chain_space(
    NAME,
    CITATION,
    supernet=(supernet, Sizes),
    network=(network, Sizes),
    said=SAID,
    stems={},
    text=(parse, notation),
    recipes={"short": {"supernet": {"width": 0.5}}},
)
