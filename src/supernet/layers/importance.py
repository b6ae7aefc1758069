"""Put channels into the order of their importance, so that fewer channels are the most important; what the network computes stays.

Cai et al. 2020 (Once-for-All), section 3.3, https://arxiv.org/abs/1908.09791: a channel is as important as the sum of the absolute weights
that read it. Which layers share channels, over residual sums too, is seen by a mark in one channel of what a layer gives.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from supernet.errors import InputError
from supernet.layers.base import Supernet, everything
from supernet.layers.channels import Axes, Axis, ByChannel
from supernet.modules.modes import evaluating

MARK = float("nan")  # goes through all that works on each channel alone
TOLERANCE = 1e-4  # by which outputs may differ, as a share of the largest: sums are taken in another order


@dataclass
class _Shared:
    """Channels that layers share: the layers that give them, and the axes over them."""

    sizes: Sequence[int]
    givers: list[str] = field(default_factory=list)
    gives: list[Axis] = field(default_factory=list)
    reads: list[Axis] = field(default_factory=list)
    keeps: list[Axis] = field(default_factory=list)

    def order(self, apart: int) -> Tensor:
        """The places of channels by falling importance, on their side of the ``apart`` widths below the largest: (channels,)."""
        importance = sum(tensor.abs().movedim(axis, 0).reshape(self.sizes[-1], -1).sum(1) for tensor, axis in self.reads)
        assert isinstance(importance, Tensor)
        borders = list(self.sizes[:-1])[-apart:] if apart else []
        parts = importance.cpu().tensor_split(borders)
        return torch.cat(
            [start + part.argsort(descending=True, stable=True) for start, part in zip((0, *borders), parts, strict=True)]
        )

    def permute(self, order: Tensor) -> None:
        """Put the channels into an order; of flattened maps each is several features."""
        for tensor, axis in {(id(tensor), axis): (tensor, axis) for tensor, axis in (*self.gives, *self.reads, *self.keeps)}.values():
            many = tensor.shape[axis] // len(order)
            places = (order[:, None] * many + torch.arange(many)).flatten()
            tensor.copy_(tensor.index_select(axis, places.to(tensor.device)))


@torch.no_grad()
def sort_channels(supernet: Supernet, *example: Any, apart: int = 0) -> dict[str, list[int]]:
    """Sort the channels of every elastic width of ``supernet`` in place, the most important first; gives layer -> the old places in order.

    Layers that share channels get one order: norms, depthwise kernels, squeeze-and-excitations, all terms of a residual sum.
    ``example``: inputs of one forward pass. ``apart``: how many widths below the largest are in use already, as in the later
    stages of Once-for-All: channels stay on the side of these widths on which they are. Make optimisers after it: what one holds of a
    channel stays in the old place.
    Raises ``InputError`` where the network reads channels by their places, as of outputs that are joined; nothing is changed then.
    """
    orders: dict[str, list[int]] = {}
    kept = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    with evaluating(supernet):
        before, groups = _outputs(supernet, example), _all_shared(supernet, example)
        for shared in groups:
            shared.permute(order := shared.order(apart))
            orders |= dict.fromkeys(shared.givers, order.tolist())
        if not _alike(before, _outputs(supernet, example)):
            supernet.load_state_dict(kept)
            wrong = _wrong(supernet, example, groups, before)
            supernet.load_state_dict(kept)
            raise _places(wrong.givers[0])
    return orders


def _wrong(supernet: Supernet, example: Sequence[Any], groups: Sequence[_Shared], before: Sequence[Tensor]) -> _Shared:
    """The first channels whose order changes what the network computes."""
    for shared in groups:
        shared.permute(shared.order(0))
        if not _alike(before, _outputs(supernet, example)):
            return shared
    return groups[-1]


def _outputs(supernet: Supernet, example: Sequence[Any]) -> list[Tensor]:
    return [x for x in tree_leaves(supernet(everything(supernet), *example)) if isinstance(x, Tensor) and x.is_floating_point()]


def _alike(before: Sequence[Tensor], after: Sequence[Tensor]) -> bool:
    return all((x - y).abs().max() <= TOLERANCE * x.abs().max() for x, y in zip(before, after, strict=True))


def _places(layer: str) -> InputError:
    return InputError(f"the channels that {layer or 'the model'} gives cannot be sorted: something reads them by their places")


def _all_shared(supernet: Supernet, example: Sequence[Any]) -> list[_Shared]:
    """All channels that layers read, those inside of a layer last."""
    layers = {name: module for name, module in supernet.model.named_modules() if isinstance(module, ByChannel)}
    axes = {name: layer.axes() for name, layer in layers.items()}
    groups: list[tuple[set[str], set[str]]] = []  # the layers that give the same channels, and those that these arrive at
    for marks in _marks(axes):
        for giver, arrives in _arrives(supernet, example, layers, marks).items():
            same = [group for group in groups if group[1] & arrives]
            groups = [group for group in groups if group not in same]
            groups.append(({giver}.union(*(g for g, _ in same)), arrives.union(*(a for _, a in same))))
    found = [_shared(axes, sorted(givers), sorted(arrives)) for givers, arrives in groups]
    inside = [(name, inner) for name, own in axes.items() for inner in own.inside]
    found += [_Shared(inner.sizes, [name], [*inner.gives], [*inner.reads]) for name, inner in inside]
    return [shared for shared in found if shared.reads]


def _marks(axes: dict[str, Axes]) -> Iterator[dict[str, int]]:
    """The layers that give channels, those of one pass together, each with a channel of its own; one channel at least is none's."""
    wide: dict[int, list[str]] = {}
    for name, own in axes.items():
        if own.gives:
            wide.setdefault(own.sizes[-1], []).append(name)
    for channels, givers in wide.items():
        most = max(channels - 1, 1)
        for first in range(0, len(givers), most):
            yield {name: i for i, name in enumerate(givers[first : first + most])}


def _shared(axes: dict[str, Axes], givers: Sequence[str], arrives: Sequence[str]) -> _Shared:
    found = _Shared(axes[givers[0]].sizes, list(givers))
    found.gives = [axis for giver in givers for axis in axes[giver].gives]
    found.reads = [axis for layer in arrives for axis in axes[layer].reads]
    found.keeps = [axis for layer in arrives for axis in axes[layer].keeps]
    return found


def _arrives(supernet: Supernet, example: Sequence[Any], layers: dict[str, Any], marks: dict[str, int]) -> dict[str, set[str]]:
    """Where the channels arrive that each layer of ``marks`` gives, by a mark in one: all in their places, else ``InputError``."""
    found: dict[str, set[str]] = {giver: set() for giver in marks}
    channels = layers[next(iter(marks))].axes().sizes[-1]  # of all of them

    def look(name: str, layer: Any, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        arrived = inputs[0].isnan().movedim(layer.dimension, 0).flatten(1).any(1)
        if arrived.any():
            many = len(arrived) // channels  # features of each channel, where maps were flattened
            givers = [giver for giver, i in marks.items() if many and arrived[i * many : (i + 1) * many].all()]
            if many * channels != len(arrived) or int(arrived.sum()) != many * len(givers):
                raise _places(next(iter(marks)))
            for giver in givers:
                found[giver].add(name)
        given = torch.zeros_like(output)
        if layer.axes().keeps:
            given.movedim(layer.dimension, 0)[arrived] = MARK
        if name in marks:
            given.movedim(layer.dimension, 0)[marks[name]] = MARK
        return given

    hooks = [layer.register_forward_hook(partial(look, name)) for name, layer in layers.items()]
    try:
        supernet(everything(supernet), *example)
    finally:
        for hook in hooks:
            hook.remove()
    return found
