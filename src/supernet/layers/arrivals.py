"""Where the channels arrive that a layer gives, over norms, activations and residual sums: seen by a mark in one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from supernet.layers.channels import Axes, ByChannel
from supernet.modules.modes import evaluating

MARK = float("nan")  # goes through all that works on each channel alone


@dataclass
class Arrivals:
    """The layers ``at`` which channels arrive in their places; whether they arrive ``elsewhere``, in others; go ``out`` of the model."""

    at: set[str] = field(default_factory=set)
    elsewhere: bool = False
    out: bool = False


def by_channel(model: nn.Module) -> dict[str, ByChannel]:
    """The layers of ``model`` that say which of their axes are over channels, by path."""
    return {name: module for name, module in model.named_modules() if isinstance(module, ByChannel)}


@torch.no_grad()
def arrivals(model: nn.Module, run: Callable[[], Any]) -> dict[str, Arrivals]:
    """Layer that gives channels -> where these arrive; ``run`` passes an example through ``model``.

    A layer that reads channels ends their way, as what it gives is of all of them.
    """
    layers = by_channel(model)
    axes = {name: layer.axes() for name, layer in layers.items()}
    found: dict[str, Arrivals] = {}
    with evaluating(model):
        for marks in _marks(axes):
            seen = _marked(layers, axes, run, marks)
            if any(one.elsewhere or one.out for one in seen.values()):  # which of them is seen when each is alone
                seen = {giver: _marked(layers, axes, run, {giver: i})[giver] for giver, i in marks.items()}
            found |= seen
    return found


def _marks(axes: Mapping[str, Axes]) -> Iterator[dict[str, int]]:
    """The layers that give channels, those of one pass together, each with a channel of its own; one channel at least is none's."""
    wide: dict[int, list[str]] = {}
    for name, own in axes.items():
        if own.gives:
            wide.setdefault(own.sizes[-1], []).append(name)
    for channels, givers in wide.items():
        most = max(channels - 1, 1)
        for first in range(0, len(givers), most):
            yield {name: i for i, name in enumerate(givers[first : first + most])}


def _marked(layers: Mapping[str, Any], axes: Mapping[str, Axes], run: Callable[[], Any], marks: Mapping[str, int]) -> dict[str, Arrivals]:
    """Where the marks of one pass arrive."""
    found = {giver: Arrivals() for giver in marks}
    channels = axes[next(iter(marks))].sizes[-1]  # of all of them

    def arrive(name: str, arrived: Tensor) -> None:
        """Note the marks among the features (n,) of a layer; of a map that was flattened, each channel is several."""
        many = len(arrived) // channels
        givers = [giver for giver, i in marks.items() if many and arrived[i * many : (i + 1) * many].all()]
        for giver in givers:
            found[giver].at.add(name)
        if many * channels != len(arrived) or int(arrived.sum()) != many * len(givers):
            for giver in marks:
                found[giver].elsewhere = True

    def look(name: str, layer: Any, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        arrived = inputs[0].isnan().movedim(layer.dimension, 0).flatten(1).any(1)
        if arrived.any():
            arrive(name, arrived)
        given = torch.zeros_like(output)
        if axes[name].keeps:
            given.movedim(layer.dimension, 0)[arrived] = MARK
        if name in marks:
            given.movedim(layer.dimension, 0)[marks[name]] = MARK
        return given

    hooks = [layer.register_forward_hook(partial(look, name)) for name, layer in layers.items()]
    try:
        outputs = [x for x in tree_leaves(run()) if isinstance(x, Tensor) and x.is_floating_point()]
        for giver in marks if any(x.isnan().any() for x in outputs) else ():
            found[giver].out = True
    finally:
        for hook in hooks:
            hook.remove()
    return found


def weigh_where_read(model: nn.Module, run: Callable[[], Any]) -> None:
    """Have blended widths weighed by the layers that read the channels, not by those that give them, for ``run`` as in ``arrivals``.

    What stands between, such as a batch norm, would undo it. A layer whose channels are also read by something else weighs them itself.
    """
    layers, found = by_channel(model), arrivals(model, run)
    reads = {name for name, layer in layers.items() if layer.axes().reads}
    own = {giver for giver, seen in found.items() if seen.elsewhere or seen.out or not seen.at & reads}
    while more := {giver for giver, seen in found.items() if giver not in own and any(seen.at & found[other].at for other in own)}:
        own |= more  # of a sum, all or none
    for giver, seen in found.items():
        for name in seen.at if giver not in own else ():
            vars(layers[name])["giver"] = layers[giver]  # not a part of that layer
            layers[giver].read = True
