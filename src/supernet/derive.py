"""From supernet and architecture to the plain model it means, and batch statistics for one architecture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import nn

from supernet.errors import InputError
from supernet.layers.base import Searchable, Supernet
from supernet.mixture import one_hot
from supernet.modules.modes import evaluating
from supernet.modules.plain import Absent, plain
from supernet.ops import ONE_VALUE
from supernet.space import Architecture


def derive(supernet: Supernet, architecture: Mapping[str, Any], *example: Any) -> nn.Module:
    """A plain module, in evaluation mode, that computes what ``supernet`` computes under ``architecture``, with its weights.

    ``example``: inputs of one forward pass, by which elastic layers learn their input sizes. Nothing of this package is left in it: see
    ``supernet.modules.plain``, also for what is an exception.
    Raises ``InputError`` where the architecture is not one of the supernet's space.
    """
    arch = supernet.space.check(architecture)
    twin = deepcopy(supernet).eval()
    with torch.no_grad():
        twin(one_hot(twin.space, arch), *example)
    return plain(settle(twin.model, twin.space.matters(arch)), *example)


def settle(module: nn.Module, taken: Architecture) -> nn.Module:
    """The plain module that stays of one run under the one-hot mixture of ``taken``; it is changed in place and must not be used again."""
    return _settle(module, taken, {})


def _settle(module: nn.Module, arch: Architecture, done: dict[int, tuple[nn.Module, nn.Module]]) -> nn.Module:
    if id(module) in done:  # one module used in several places stays one
        return done[id(module)][1]
    first = module
    while isinstance(module, Searchable):
        if module.choice and module.choice.name not in arch:
            module = Absent()
        else:
            own = arch[module.choice.name] if module.choice else None
            module = module.derive(own, *(arch.get(name) for name in module.follows))
    if hasattr(module, "settle"):  # plain to the space, but elastic in what it is fed, or only there for the search
        module = module.settle()  # type: ignore[operator]
    done[id(first)] = first, module  # holding the first keeps its id from being used again
    for name, child in list(module._modules.items()):  # named_children() hides a second name of one module
        if child is not None:
            setattr(module, name, _settle(child, arch, done))
    return module


@torch.no_grad()
def recalibrate(model: nn.Module, forward: Callable[[Any], Any], batches: Iterable[Any]) -> None:
    """Replace the running statistics of ``model``'s batch norms by the plain average over ``batches``.

    ``forward(batch)`` runs the model. A batch that leaves a norm one value a channel, such as a last one of a single image, does not
    count; raises ``InputError`` where none does. Averages shared by many architectures mix all that were trained, so a shared-weight
    estimate needs this first: Guo et al. 2020 (SPOS), section 3.4, https://arxiv.org/abs/1904.00420. Modes are put back.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    momenta = [m.momentum for m in norms]
    with evaluating(model):
        for norm in norms:
            norm.reset_running_stats()
            norm.train()
            norm.momentum = None
        try:
            counted = sum([_counts(norms, forward, batch) for batch in batches])
            if norms and not counted:
                raise InputError("batch statistics need a batch of at least 2 examples; there is none to recalibrate on")
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum


def _counts(norms: Sequence[nn.Module], forward: Callable[[Any], Any], batch: Any) -> bool:
    """Run one batch; where it leaves a norm one value a channel, take back what the norms before that have counted."""
    before = [(buffer, buffer.clone()) for norm in norms for buffer in norm.buffers()]
    try:
        forward(batch)
    except ValueError as error:
        if ONE_VALUE not in str(error):
            raise
        for buffer, value in before:
            buffer.copy_(value)
        return False
    return True
