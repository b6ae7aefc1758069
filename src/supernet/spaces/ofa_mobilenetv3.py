"""Once-for-All over MobileNetV3: Cai et al. 2020, https://arxiv.org/abs/1908.09791; https://github.com/mit-han-lab/once-for-all

Five units of elastic blocks (``ofa_units``); those of the third on have h-swish, the second, fourth and fifth squeeze-and-excitation, as
MobileNetV3's (Howard et al. 2019, https://arxiv.org/abs/1905.02244). The paper's ``width`` is 1.0 or 1.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from supernet import ops
from supernet.errors import InputError
from supernet.layers.base import Supernet
from supernet.settings.quantities import Channels, Depths, Part, Sides, Widths
from supernet.space import Architecture
from supernet.spaces import ofa_units
from supernet.spaces.cell_network import check_sizes
from supernet.spaces.chain_network import SAID, STEMS, ChainSizes, places, scaled
from supernet.spaces.image_sizes import at_size, open_size
from supernet.spaces.ofa_units import Unit, UnitKind, open_unit, units, units_of
from supernet.spaces.published.once_for_all import CITATION, mobilenetv3
from supernet.spaces.record import Build, Space, headed

NAME = "ofa-mobilenetv3"
WIDTHS, DEPTHS, STRIDES = (24, 40, 80, 112, 160), (4, 4, 4, 4, 4), (2, 2, 2, 1, 2)
KINDS = (
    UnitKind(nn.ReLU),
    UnitKind(nn.ReLU, squeeze=True),
    UnitKind(nn.Hardswish),
    UnitKind(nn.Hardswish, squeeze=True),
    UnitKind(nn.Hardswish, squeeze=True),
)


@dataclass(frozen=True, kw_only=True)
class Sizes(ChainSizes):
    """Settings of both networks; ``width`` multiplies all channels.

    ``widths``, ``depths``: channels of each unit, and its blocks at most; where there are fewer than five, the first of the five.
    ``last``: channels of the last convolution; ``head``: features behind the pooling; ``dropout``: of them (0.1 in the paper's code).
    ``resolutions``: heights of images to choose from, which come in that of ``shape``, best the largest; None: no choice.
    """

    widths: Widths = WIDTHS
    depths: Depths = DEPTHS
    stem_channels: Channels = 16
    last: Channels = 960
    head: Channels = 1280
    dropout: Part = 0.0
    resolutions: Sides | None = None


NetworkSizes = partial(Sizes, stem="imagenet")


class MobileNetV3(nn.Module):
    """Images ``(batch, *shape)`` -> logits (batch, classes). ``layers``: the blocks, searchable or not."""

    def __init__(self, layers: Sequence[nn.Module], inputs: int, sizes: Sizes):
        super().__init__()
        ends, how = sizes.ends, {"activation": nn.Hardswish}
        stem, last, head = (scaled(channels, sizes.width) for channels in (sizes.stem_channels, sizes.last, sizes.head))
        check_sizes(ends["shape"], classes=(ends["classes"], 1))
        self.stem = ops.conv_norm_act(ends["shape"][0], stem, 3, 2 if ends["stem"] == "imagenet" else 1, **how)  # type: ignore[arg-type]
        self.layers = nn.Sequential(*layers)
        self.last = ops.conv_norm_act(inputs, last, 1, **how)  # type: ignore[arg-type]
        self.head = nn.Sequential(nn.Conv2d(last, head, 1, bias=False), nn.Hardswish())
        self.dropout = nn.Dropout(sizes.dropout)
        self.classifier = nn.Linear(head, ends["classes"])

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.last(self.layers(self.stem(x))).mean((2, 3), keepdim=True)
        logits: Tensor = self.classifier(self.dropout(self.head(pooled).flatten(1)))
        return logits


def supernet(**settings: Any) -> Supernet:
    """The network that is searched: images ``(batch, *shape)`` -> logits (batch, classes); ``settings``: of ``Sizes``.

    Raises ``InputError`` for sizes that make no network.
    """
    sizes = Sizes(**settings)
    return open_size(_built(sizes, open_unit), sizes.resolutions)


def network(architecture: Mapping[str, Any] | str, **settings: Any) -> nn.Module:
    """The stand-alone network of an architecture or its notation; ``settings``: of ``NetworkSizes``."""
    chosen = parse(architecture) if isinstance(architecture, str) else architecture
    sizes = NetworkSizes(**settings)
    network = _built(sizes, units_of(chosen, len(sizes.widths)))
    return at_size(network, chosen, sizes.resolutions, sizes.ends["shape"])


def _built(sizes: Sizes, unit: Unit) -> MobileNetV3:
    count = len(sizes.widths)
    if count > len(KINDS):
        raise InputError(f"widths name the channels of at most {len(KINDS)} units; got {count}")
    stem, widths = scaled(sizes.stem_channels, sizes.width), [scaled(w, sizes.width) for w in sizes.widths]
    first = ops.InvertedResidual(stem, stem, 3, 1)
    at = places(stem, widths, sizes.depths, STRIDES[:count], sizes.stem)
    return MobileNetV3([first, *units(unit, at, sizes.depths, KINDS[:count])], widths[-1], sizes)


def parse(text: str) -> Architecture:
    """Read ``ofa-mobilenetv3: k3e3 k5e4 | ...``, the blocks of each unit; raises ``InputError``."""
    return ofa_units.parse(NAME, text)


def notation(architecture: Mapping[str, Any]) -> str:
    """The blocks in order, with ``|`` between units."""
    return ofa_units.notation(NAME, architecture)


OFA_MOBILENETV3 = Space(
    NAME,
    CITATION,
    supernet=Build(f"the supernet of {NAME}", supernet, Sizes, SAID, STEMS),
    network=Build(f"a network of {NAME}", network, NetworkSizes, SAID, STEMS),
    one_build=True,
    parse=parse,
    notation=notation,
    recognises=lambda text: headed(text) == NAME,
    published=mobilenetv3(NAME),
    recipes={"short": {"supernet": {"width": 0.5, "widths": (16, 24, 40), "depths": (3, 3, 3), "last": 320, "head": 320}}},
)
