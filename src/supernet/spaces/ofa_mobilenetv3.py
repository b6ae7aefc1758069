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
from supernet.layers.base import Supernet
from supernet.settings.quantities import Channels, Depths, Widths
from supernet.spaces import ofa_units
from supernet.spaces.cell_network import check_sizes
from supernet.spaces.chain_network import chain_space
from supernet.spaces.ofa_units import Unit, UnitKind, UnitSizes, open_network, taken_network, units
from supernet.spaces.published.once_for_all import CITATION, mobilenetv3

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
class Sizes(UnitSizes):
    """Settings of both networks, as ``UnitSizes`` says. ``last``: channels of the last convolution; the ``head`` is behind the pooling."""

    widths: Widths = WIDTHS
    depths: Depths = DEPTHS
    stem_channels: Channels = 16
    last: Channels = 960


NetworkSizes = partial(Sizes, stem="imagenet")


class MobileNetV3(nn.Module):
    """Images ``(batch, *shape)`` -> logits (batch, classes). ``layers``: the blocks, searchable or not."""

    def __init__(self, layers: Sequence[nn.Module], inputs: int, sizes: Sizes):
        super().__init__()
        ends, how = sizes.ends, {"activation": nn.Hardswish}
        stem, last, head = map(sizes.scaled, (sizes.stem_channels, sizes.last, sizes.head))
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
    return open_network(_built, Sizes(**settings))


def network(architecture: Mapping[str, Any] | str, **settings: Any) -> nn.Module:
    """The stand-alone network of an architecture or its notation; ``settings``: of ``NetworkSizes``."""
    chosen = parse(architecture) if isinstance(architecture, str) else architecture
    return taken_network(_built, NetworkSizes(**settings), chosen)


def _built(sizes: Sizes, unit: Unit) -> MobileNetV3:
    stem = sizes.scaled(sizes.stem_channels)
    layers, last = units(unit, stem, sizes, STRIDES, KINDS)
    return MobileNetV3([ops.InvertedResidual(stem, stem, 3, 1), *layers], last, sizes)


parse = partial(ofa_units.parse, NAME)
notation = partial(ofa_units.notation, NAME)

OFA_MOBILENETV3 = chain_space(
    NAME,
    CITATION,
    supernet=(supernet, Sizes),
    network=(network, NetworkSizes),
    text=(parse, notation),
    published=mobilenetv3(NAME),
    recipes={"short": {"supernet": {"width": 0.5, "widths": (16, 24, 40), "depths": (3, 3, 3), "last": 320, "head": 320}}},
)
