"""What networks that are one chain of blocks share: stem, blocks, last convolution, global pooling, classifier; and their notation.

The notation of a chain is the name of its space, a colon and the options of its layers in order, with ``|`` between stages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor, nn

from supernet.errors import InputError, unknown
from supernet.ops import conv_norm_act
from supernet.settings.quantities import Classes, Multiplier, Shape
from supernet.space import Architecture
from supernet.spaces.cell_network import check_sizes
from supernet.spaces.record import following

STEMS: dict[str, dict[str, Any]] = {
    "imagenet": {"shape": (3, 224, 224), "classes": 1000},
    "cifar": {"shape": (3, 32, 32), "classes": 10},
}
SAID = ("stem", "shape", "classes")


@dataclass(frozen=True, kw_only=True)
class ChainSizes:
    """Settings of every chain.

    ``stem``: "imagenet" strides for 224x224 pixels, "cifar" for 32x32; ``shape`` and ``classes`` follow where they are None.
    ``width``: multiplies all channels.
    """

    stem: str = "cifar"
    shape: Shape | None = None
    classes: Classes | None = None
    width: Multiplier = 1.0

    @property
    def ends(self) -> dict[str, Any]:
        """Stem, input shape and classes of the network."""
        whole = following(self, STEMS)
        return {"stem": whole.stem, "shape": whole.shape, "classes": whole.classes}


class Place(NamedTuple):
    """Where a block stands: its channels, and whether it halves the size."""

    inputs: int
    outputs: int
    stride: int


def places(inputs: int, widths: Sequence[int], depths: Sequence[int], strides: Sequence[int], stem: str = "imagenet") -> list[Place]:
    """The blocks of all stages in order; the first of a stage has its stride.

    ``stem`` "cifar": the first stage that strides does not, as the stem does not either, so that 32x32 images end at 4x4.
    Raises ``InputError`` where the stages do not agree in number, or for another stem.
    """
    if stem not in STEMS:
        raise InputError(f"stem must be one of {', '.join(STEMS)}; got {stem!r}")
    if not len(widths) == len(depths) == len(strides):
        raise InputError(f"widths and depths name a number for each of {len(strides)} stages; got {len(widths)} and {len(depths)}")
    if min(depths) < 1 or min(widths) < 1:
        raise InputError(f"widths and depths must be at least 1; got {tuple(widths)} and {tuple(depths)}")
    kept, found = list(strides), []
    if stem == "cifar":
        kept[kept.index(2)] = 1
    for width, depth, stride in zip(widths, depths, kept, strict=True):
        for i in range(depth):
            found.append(Place(inputs, width, stride if i == 0 else 1))
            inputs = width
    return found


def divisible(channels: float, by: int = 8) -> int:
    """The nearest multiple of ``by``, at least ``by``, and not below 90 % of ``channels``: as MobileNet's code rounds widths."""
    rounded = max(by, int(channels + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * channels else rounded


def scaled(channels: int, width: float) -> int:
    """``channels`` times the multiplier ``width``, rounded by ``divisible``; a multiplier of 1 leaves them as they are."""
    if channels < 1 or not width > 0:
        raise InputError(f"channels must be at least 1, and the width that multiplies them above 0; got {channels} and {width}")
    return channels if width == 1 else divisible(channels * width)


def parse_chain(space: str, options: Sequence[str], text: str) -> Architecture:
    """Read the notation of a chain, any number of layers; raises ``InputError``."""
    found = re.fullmatch(rf"\s*{re.escape(space)}\s*(\(.*?\))?\s*:(.+)", text, re.DOTALL)
    if found and found[1]:
        raise InputError(f"the settings {found[1][:80]} are not part of the choices: design(text).network() builds {space} with them")
    taken = re.split(r"[\s|]+", found[2].strip(" |\t\r\n")) if found else []
    if not any(taken):
        what = f"expected '{space}:' and an option for each layer ({', '.join(options)}), with | between stages"
        raise InputError(f"not a network of {space}: {' '.join(text.split())[:80]!r}; {what}")
    for option in taken:
        if option not in options:
            raise unknown(f"option of {space}", option, options)
    return {f"layer.{i}": option for i, option in enumerate(taken)}


def chain_notation(space: str, architecture: Mapping[str, Any], depths: Sequence[int]) -> str:
    """The notation of a chain with ``depths`` layers in its stages; without ``|`` where it has another number of layers."""
    stages = list(depths) if sum(depths) == len(architecture) else [len(architecture)]
    taken = iter([architecture.get(f"layer.{i}") for i in range(len(architecture))])
    texts = [[next(taken) for _ in range(depth)] for depth in stages]
    if any(option is None for stage in texts for option in stage):
        raise InputError(f"the layers of {space} are layer.0 to layer.{len(architecture) - 1}; got {', '.join(architecture)[:80]}")
    return f"{space}: " + " | ".join(" ".join(map(str, stage)) for stage in texts)


def decided(architecture: Mapping[str, Any], options: Sequence[Sequence[str]]) -> list[str]:
    """The option of each layer, in order, where layer i may take ``options[i]``; raises ``InputError``."""
    names = [f"layer.{i}" for i in range(len(options))]
    if set(architecture) != set(names):
        say = "say the depths that it has, in brackets behind the space's name or as --set network.depths=[...]"
        raise InputError(f"the architecture decides {len(architecture)} layers; with these depths there are {len(names)}: {say}")
    for name, able in zip(names, options, strict=True):
        if architecture[name] not in able:
            raise InputError(f"{name} cannot take {architecture[name]!r}; its options: {', '.join(able)}")
    return [architecture[name] for name in names]


class Chain(nn.Module):
    """Images ``(batch, *shape)`` -> logits (batch, classes). ``layers``: the blocks after the stem, searchable or not.

    ``bias``: of the classifier.
    """

    def __init__(
        self,
        layers: Sequence[nn.Module],
        *,
        stem: str,
        stem_channels: int,
        last: int,
        head: int,
        classes: int,
        shape: Sequence[int],
        activation: type[nn.Module] = nn.ReLU,
        norm: Mapping[str, Any] | None = None,
        dropout: float = 0.0,
        bias: bool = True,
    ):
        super().__init__()
        check_sizes(shape, classes=(classes, 1), stem_channels=(stem_channels, 1), head=(head, 1))
        if not 0 <= dropout < 1:
            raise InputError(f"dropout must be at least 0 and below 1; got {dropout}")
        how = {"activation": activation, "norm": norm}
        self.stem = conv_norm_act(shape[0], stem_channels, 3, 2 if stem == "imagenet" else 1, **how)  # type: ignore[arg-type]
        self.layers = nn.Sequential(*layers)
        self.head = conv_norm_act(last, head, 1, **how)  # type: ignore[arg-type]
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(head, classes, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.dropout(self.head(self.layers(self.stem(x))).mean((2, 3))))
        return logits
