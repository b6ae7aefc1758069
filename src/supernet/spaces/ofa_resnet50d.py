"""Once-for-All over ResNet50-D: Cai et al. 2020, https://arxiv.org/abs/1908.09791; https://github.com/mit-han-lab/once-for-all

Four stages of bottlenecks behind a stem of two or three convolutions. Chosen are the widths of the stem and of every stage, which all its
blocks share, how many blocks run, and how much narrower each is inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from supernet.errors import InputError
from supernet.layers.base import Supernet
from supernet.settings.quantities import Channels, Depths, Part, Sides, Widths
from supernet.spaces.cell_network import check_sizes
from supernet.spaces.chain_network import ChainSizes, chain_space, divisible
from supernet.spaces.image_sizes import at_size, open_size
from supernet.spaces.ofa_resnet_blocks import Open, Residual, Sizing, Taken, bottleneck
from supernet.spaces.ofa_resnet_notation import NAME, notation, parse
from supernet.spaces.published.once_for_all import CITATION

WIDTHS, DEPTHS, STRIDES = (256, 512, 1024, 2048), (4, 4, 6, 4), (1, 2, 2, 2)
FEWER = 2  # blocks that a stage may leave out


@dataclass(frozen=True, kw_only=True)
class Sizes(ChainSizes):
    """Settings of both networks; ``width`` multiplies all channels.

    ``widths``, ``depths``: channels and blocks of each stage at most; where there are fewer than four, the first of the four.
    ``stem_channels``: what the stem gives at most; ``dropout``: of the features before the classifier.
    ``resolutions``: heights of images to choose from, which come in that of ``shape``, best the largest; None: no choice.
    """

    widths: Widths = WIDTHS
    depths: Depths = DEPTHS
    stem_channels: Channels = 64
    dropout: Part = 0.0
    resolutions: Sides | None = None


NetworkSizes = partial(Sizes, stem="imagenet")


class ResNet(nn.Module):
    """Images ``(batch, *shape)`` -> logits (batch, classes); sizes open or taken, as ``sizing`` says."""

    def __init__(self, sizes: Sizes, sizing: Sizing):
        super().__init__()
        ends, count = sizes.ends, len(sizes.widths)
        check_sizes(ends["shape"], classes=(ends["classes"], 1))
        if count > len(STRIDES) or len(sizes.depths) != count:
            raise InputError(f"widths and depths name a number for each of at most {len(STRIDES)} stages; got {count}, {len(sizes.depths)}")
        large, stem = ends["stem"] == "imagenet", sizes.scaled(sizes.stem_channels)
        middle = sizing.width("width.middle", lambda share: divisible(divisible(stem * share) // 2))
        width = sizing.width("width.stem", lambda share: divisible(stem * share))
        self.stem = nn.Sequential(
            sizing.layer(ends["shape"][0], middle, 3, 2 if large else 1).append(nn.ReLU()),
            sizing.first("depth.stem", lambda _: _residual(sizing, middle), (0, 1)),
            sizing.layer(middle, width, 3).append(nn.ReLU()),
            nn.MaxPool2d(3, 2, 1) if large else nn.Identity(),
        )
        self.stages = nn.Sequential()
        for i, (channels, depth) in enumerate(zip(sizes.widths, sizes.depths, strict=True)):
            inputs, width = width, sizing.width(f"width.{i}", partial(_shared, sizes.scaled(channels)))
            block = partial(_block, sizing, i, inputs, width)
            self.stages.append(sizing.first(f"depth.{i}", block, range(max(depth - FEWER, 1), depth + 1)))
        self.dropout = nn.Dropout(sizes.dropout)
        self.classifier = sizing.linear(width, ends["classes"])

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.dropout(self.stages(self.stem(x)).mean((2, 3))))
        return logits


def _shared(channels: int, share: float) -> int:
    return divisible(channels * share)


def _residual(sizing: Sizing, width: Any) -> Residual:
    """The convolution of the stem that may be left out."""
    return Residual(sizing.layer(width, width, 3).append(nn.ReLU()), nn.Identity(), nn.Identity())


def _block(sizing: Sizing, stage: int, inputs: Any, outputs: Any, j: int) -> Residual:
    """Block ``j`` of a stage; the first is fed ``inputs``, and has the stage's stride."""
    name = f"block.{stage}.{j}.expansion"
    return bottleneck(sizing, name, outputs, outputs, 1, True) if j else bottleneck(sizing, name, inputs, outputs, STRIDES[stage], False)


def supernet(**settings: Any) -> Supernet:
    """The network that is searched: images ``(batch, *shape)`` -> logits (batch, classes); ``settings``: of ``Sizes``.

    Raises ``InputError`` for sizes that make no network.
    """
    sizes = Sizes(**settings)
    return open_size(ResNet(sizes, Open()), sizes.resolutions)


def network(architecture: Mapping[str, Any] | str, **settings: Any) -> nn.Module:
    """The stand-alone network of an architecture or its notation; ``settings``: of ``NetworkSizes``."""
    chosen, sizes = parse(architecture) if isinstance(architecture, str) else architecture, NetworkSizes(**settings)
    return at_size(ResNet(sizes, Taken(chosen)), chosen, sizes.resolutions, sizes.ends["shape"])


OFA_RESNET50D = chain_space(
    NAME,
    CITATION,
    supernet=(supernet, Sizes),
    network=(network, NetworkSizes),
    text=(parse, notation),
    recipes={"short": {"supernet": {"width": 0.125, "widths": (256, 512, 1024), "depths": (3, 3, 3)}}},
)
