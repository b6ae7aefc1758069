"""What networks that are one chain of blocks share: sizes, stem, blocks, last convolution, global pooling, classifier; and their record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor, nn

from supernet.errors import InputError
from supernet.ops import conv_norm_act
from supernet.settings.quantities import Classes, Multiplier, Shape
from supernet.space import Architecture
from supernet.spaces.cell_network import check_sizes
from supernet.spaces.record import Build, Space, following, headed

STEMS: dict[str, dict[str, Any]] = {
    "imagenet": {"shape": (3, 224, 224), "classes": 1000},
    "cifar": {"shape": (3, 32, 32), "classes": 10},
}
SAID = ("stem", "shape", "classes")


class Place(NamedTuple):
    """Where a block stands: its channels, and whether it halves the size."""

    inputs: int
    outputs: int
    stride: int


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

    def scaled(self, channels: int) -> int:
        """``channels`` times ``width``."""
        return scaled(channels, self.width)

    def widened(self, channels: int) -> int:
        """``channels`` times a ``width`` above 1; a smaller one leaves them as they are."""
        return max(channels, self.scaled(channels))

    def places(self, inputs: int, widths: Sequence[int], depths: Sequence[int], strides: Sequence[int]) -> list[Place]:
        """Where the blocks of all stages stand, ``widths`` times ``width``, behind ``inputs`` channels; see ``places``."""
        return places(inputs, [self.scaled(channels) for channels in widths], depths, strides, self.stem)


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


Made = tuple[Callable[..., Any], Callable[..., Any]]  # what builds a network, and the dataclass of its settings
Text = tuple[Callable[[str], Architecture], Callable[[Mapping[str, Any]], str]]  # what reads the notation, and what writes it
Stems = Mapping[str, Mapping[str, Any]]  # stem -> the settings that go with it


def chain_space(
    name: str, citation: str, supernet: Made, network: Made, text: Text, said: tuple[str, ...] = SAID, stems: Stems = STEMS, **more: Any
) -> Space:
    """The record of a chain, whose network has the settings of its supernet.

    ``said``: the settings that are said of every network; ``more``: further fields of ``Space``.
    """
    parse, notation = text
    return Space(
        name,
        citation,
        supernet=Build(f"the supernet of {name}", *supernet, said, stems),
        network=Build(f"a network of {name}", *network, said, stems),
        one_build=True,
        chain=True,
        parse=parse,
        notation=notation,
        recognises=lambda text: headed(text) == name,
        **more,
    )
