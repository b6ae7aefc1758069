"""Put channels into the order of their importance, so that fewer channels are the most important; what the network computes stays.

Cai et al. 2020 (Once-for-All), section 3.3, https://arxiv.org/abs/1908.09791: a channel is as important as the sum of the absolute weights
that read it. Which layers share channels, over residual sums too, is seen by marks (``arrivals``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from supernet.errors import InputError
from supernet.layers.arrivals import arrivals, by_channel
from supernet.layers.base import Supernet, everything
from supernet.layers.channels import Axes, Axis
from supernet.modules.modes import evaluating

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
        return torch.cat([start + part.argsort(descending=True, stable=True) for start, part in zip((0, *borders), parts, strict=True)])

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
    axes = {name: layer.axes() for name, layer in by_channel(supernet.model).items()}
    groups: list[tuple[set[str], set[str]]] = []  # the layers that give the same channels, and those that these arrive at
    for giver, found in arrivals(supernet.model, lambda: supernet(everything(supernet), *example)).items():
        if found.elsewhere:
            raise _places(giver)
        same = [group for group in groups if group[1] & found.at]
        groups = [group for group in groups if group not in same]
        groups.append(({giver}.union(*(g for g, _ in same)), found.at.union(*(a for _, a in same))))
    shared = [_shared(axes, sorted(givers), sorted(arrives)) for givers, arrives in groups]
    inside = [(name, inner) for name, own in axes.items() for inner in own.inside]
    shared += [_Shared(inner.sizes, [name], [*inner.gives], [*inner.reads]) for name, inner in inside]
    return [each for each in shared if each.reads]


def _shared(axes: dict[str, Axes], givers: Sequence[str], arrives: Sequence[str]) -> _Shared:
    found = _Shared(axes[givers[0]].sizes, list(givers))
    found.gives = [axis for giver in givers for axis in axes[giver].gives]
    found.reads = [axis for layer in arrives for axis in axes[layer].reads]
    found.keeps = [axis for layer in arrives for axis in axes[layer].keeps]
    return found
