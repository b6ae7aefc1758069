"""What the blocks of a chain are: its network is run without storage on one image, and each block is looked at where it is called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from supernet.modules.quantised import FULL, QuantisedConv2d
from supernet.modules.sketch import sketched
from supernet.modules.squeeze_excite import SqueezeExcite
from supernet.ops import InvertedResidual
from supernet.spaces.ofa_resnet_blocks import Residual
from supernet.spaces.record import Space
from supernet.spaces.shuffle_blocks import ShuffleBlock

POOLING = (nn.MaxPool2d, nn.AvgPool2d)


@dataclass(frozen=True)
class Block:
    """One block of a chain.

    ``kind``: "block" of several layers, "layer", "pooling" or "skip". ``inputs``, ``outputs``: channels, or features; ``inside``: the most
    between them, 0 where there is nothing between. ``fed``, ``gives``: height and width of images, () of vectors. ``words``: its kernels
    and what else tells it from others, in short.
    """

    kind: str
    inputs: int
    outputs: int
    inside: int
    fed: tuple[int, ...]
    gives: tuple[int, ...]
    words: tuple[str, ...] = ()

    @property
    def stride(self) -> int:
        """By how much the height shrinks."""
        return round(self.fed[0] / self.gives[0]) if self.gives else 1


def blocks_of(space: Space, choices: Mapping[str, Any], settings: Mapping[str, Any]) -> list[Block]:
    """The blocks of the network of an architecture, in the order in which they run; raises ``InputError`` where it has none."""
    sized = space.network.sized(settings)
    network: nn.Module = sketched(space.network.what, lambda: space.network(choices, **sized)).eval()
    found: list[Block] = []

    def called(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        found.append(_block(module, inputs[0], output))

    for module in _blocks(network):
        module.register_forward_hook(called)
    with torch.no_grad():
        network(torch.empty(1, *sized["shape"], device="meta"))
    return found


def _blocks(network: nn.Module) -> Iterator[nn.Module]:
    """The blocks in a chain: what stands in its sequences, down to single layers with their norm and activation."""
    for child in network.children():
        parts = list(child.children())
        nested = isinstance(child, nn.Sequential) and any(isinstance(part, POOLING) or list(part.children()) for part in parts)
        if nested or any(isinstance(part, nn.Linear) for part in parts):  # the classifier stands in the chain, behind what resizes images
            yield from _blocks(child)
        elif list(child.parameters()) or isinstance(child, (*POOLING, nn.Identity)):
            yield child


def _block(module: nn.Module, fed: Tensor, given: Tensor) -> Block:
    """What a module is that was called on ``fed`` and gave ``given``, (1, channels, height, width) or (1, features)."""
    inputs, outputs, sides = fed.shape[1], given.shape[1], (tuple(fed.shape[2:]), tuple(given.shape[2:]))
    if isinstance(module, nn.Identity):
        return Block("skip", inputs, outputs, 0, *sides, ("skip",))
    if isinstance(module, POOLING):
        return Block("pooling", inputs, outputs, 0, *sides, ("pool",))
    body = module.main if isinstance(module, ShuffleBlock) else module.body if isinstance(module, Residual) else module
    squeezes = [part for part in body.modules() if isinstance(part, SqueezeExcite)]
    beside = {id(part) for squeeze in squeezes for part in squeeze.modules()}
    convs = [part for part in body.modules() if isinstance(part, nn.Conv2d) and id(part) not in beside]
    words = [" ".join(f"k{side}" for conv in convs if (side := conv.kernel_size[0]) > 1) or ("k1" if convs else "linear")]
    if isinstance(module, nn.Sequential | nn.Linear):
        return Block("layer", inputs, outputs, 0, *sides, (*words, str(outputs)))
    inside = max(conv.out_channels for conv in convs[:-1] or convs)
    words += [f"e{inside / inputs:.3g}" if isinstance(module, InvertedResidual) else f"{inside} inside"]
    words += [f"g{groups}" for groups in {c.groups for c in convs if 1 < c.groups < c.in_channels}]
    words += ["se"] if squeezes else []
    words += [f"w{c.weight_bits}a{c.activation_bits}" for c in convs[:1] if isinstance(c, QuantisedConv2d) and c.weight_bits < FULL]
    return Block("block", inputs, outputs, inside, *sides, tuple(words))
