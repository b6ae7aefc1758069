"""Single Path One-Shot with a search of bits: Guo et al. 2020, section 4.4, https://arxiv.org/abs/1904.00420

A residual network of basic blocks (He et al. 2016, https://arxiv.org/abs/1512.03385; ResNet-18 by default), each of which chooses how many
bits its weights and its inputs have, 1 to 4 each. The first convolution and the classifier are not quantised. The authors released no code
of this search.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from supernet import ops
from supernet.layers.base import Supernet
from supernet.layers.bits import BitsConv2d
from supernet.modules.quantised import QuantisedConv2d
from supernet.settings.quantities import Depths, Part, Positive, Widths
from supernet.space import Architecture, Choice
from supernet.spaces import spos
from supernet.spaces.cell_network import check_sizes
from supernet.spaces.chain_layers import chain_notation, decided, parse_chain
from supernet.spaces.chain_network import ChainSizes, Place, chain_space, places

NAME = "spos-bits"
WIDTHS, DEPTHS, STRIDES = (64, 128, 256, 512), (2, 2, 2, 2), (1, 2, 2, 2)
BITS = (1, 2, 3, 4)
PAIRS = {f"w{weights}a{activations}": (weights, activations) for weights in BITS for activations in BITS}

Convolution = Callable[[int, int, int, int], nn.Module]  # inputs, outputs, kernel, stride


@dataclass(frozen=True, kw_only=True)
class Sizes(ChainSizes):
    """Settings of both networks.

    ``widths``, ``depths``: channels and blocks of each stage. ``dropout``: before the classifier. ``clip``: where activations are clipped
    at the start (learnt; 10 in PACT, whose trainings are long).
    """

    widths: Widths = WIDTHS
    depths: Depths = DEPTHS
    dropout: Part = 0.0
    clip: Positive = 2.0


NetworkSizes = partial(Sizes, stem="imagenet")


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, a 1x1 convolution where sizes change; x: (B, inputs, H, W)."""

    def __init__(self, place: Place, convolution: Convolution):
        super().__init__()
        inputs, outputs, stride = place
        same = stride == 1 and inputs == outputs
        self.first = nn.Sequential(convolution(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs), nn.ReLU())
        self.second = nn.Sequential(convolution(outputs, outputs, 3, 1), nn.BatchNorm2d(outputs))
        across = nn.Sequential(convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
        self.shortcut = nn.Identity() if same else across
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.activation(self.second(self.first(x)) + self.shortcut(x))
        return out


class ResNet(nn.Module):
    """Images ``(batch, *shape)`` -> logits (batch, classes). ``block(i, place)``: the blocks, searchable or not."""

    def __init__(self, sizes: Sizes, block: Callable[[int, Place], nn.Module]):
        super().__init__()
        shape, first = sizes.ends["shape"], sizes.scaled(sizes.widths[0])
        check_sizes(shape, classes=(sizes.ends["classes"], 1))
        at = places(first, [sizes.scaled(w) for w in sizes.widths], sizes.depths, STRIDES)
        large = sizes.stem == "imagenet"
        stem = ops.conv_norm_act(shape[0], first, 7 if large else 3, 2 if large else 1)
        self.stem = nn.Sequential(stem, nn.MaxPool2d(3, 2, 1)) if large else stem
        self.layers = nn.Sequential(*(block(i, place) for i, place in enumerate(at)))
        self.dropout, self.classifier = nn.Dropout(sizes.dropout), nn.Linear(at[-1].outputs, sizes.ends["classes"])

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.dropout(self.layers(self.stem(x)).mean((2, 3))))
        return logits


def supernet(**settings: Any) -> Supernet:
    """The network that is searched: images ``(batch, *shape)`` -> logits (batch, classes); ``settings``: of ``Sizes``.

    Raises ``InputError`` for sizes that make no network.
    """
    sizes = Sizes(**settings)

    def block(i: int, place: Place) -> nn.Module:
        return BasicBlock(place, partial(BitsConv2d, bits=BITS, weights=f"weights.{i}", activations=f"activations.{i}", clip=sizes.clip))

    net = ResNet(sizes, block)
    return Supernet(net, *(Choice(f"activations.{i}", BITS) for i in range(len(net.layers))))


def network(architecture: Mapping[str, Any] | str, **settings: Any) -> ResNet:
    """The stand-alone network of an architecture or its notation; ``settings``: of ``NetworkSizes``."""
    chosen, sizes = _pairs(parse(architecture) if isinstance(architecture, str) else architecture), NetworkSizes(**settings)
    taken = decided(chosen, [tuple(PAIRS)] * sum(sizes.depths))

    def block(i: int, place: Place) -> nn.Module:
        weights, activations = PAIRS[taken[i]]
        return BasicBlock(place, partial(QuantisedConv2d, weight_bits=weights, activation_bits=activations, clip=sizes.clip))

    return ResNet(sizes, block)


def parse(text: str) -> Architecture:
    """Read ``spos-bits: w2a4 w1a2 | ...``, bits of weights and activations of each block; raises ``InputError``."""
    read = [PAIRS[str(pair)] for pair in parse_chain(NAME, tuple(PAIRS), text).values()]
    return {f"{what}.{i}": bits for i, pair in enumerate(read) for what, bits in zip(("weights", "activations"), pair, strict=True)}


def notation(architecture: Mapping[str, Any]) -> str:
    """The bits of each block in order, with ``|`` between stages."""
    return chain_notation(NAME, _pairs(architecture), DEPTHS)


def _pairs(architecture: Mapping[str, Any]) -> dict[str, str]:
    """layer.i -> bits of the block's weights and activations."""
    blocks: Sequence[int] = range(sum(name.startswith("weights.") for name in architecture))
    return {f"layer.{i}": f"w{architecture.get(f'weights.{i}')}a{architecture.get(f'activations.{i}')}" for i in blocks}


SPOS_BITS = chain_space(
    NAME,
    spos.CITATION,
    supernet=(supernet, Sizes),
    network=(network, NetworkSizes),
    text=(parse, notation),
    recipes={"short": {"supernet": {"width": 0.25, "depths": (1, 1, 1, 1)}}},
)
