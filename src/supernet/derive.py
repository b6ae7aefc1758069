"""From supernet and architecture to the plain model it means, and batch statistics for one architecture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from supernet.errors import InputError, unknown
from supernet.layers.base import Searchable, Supernet
from supernet.mixture import one_hot
from supernet.modules.modes import evaluating
from supernet.modules.plain import Absent, plain
from supernet.ops import ONE_VALUE
from supernet.space import Architecture

Way = Literal["mean", "weighted", "running"]
WAYS: tuple[Way, ...] = get_args(Way)


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
def recalibrate(model: nn.Module, forward: Callable[[Any], Any], batches: Iterable[Any], way: Way = "mean") -> None:
    """Replace the running statistics of ``model``'s batch norms by those of ``batches``; ``forward(batch)`` runs the model.

    Averages shared by many architectures mix all that were trained, so a shared-weight estimate needs this first. Each batch is normalised
    by its own statistics. ``way``: "mean", the mean over batches, each alike, of means and unbiased variances; "weighted", that of means
    and biased variances by the examples of each batch, as in Once-for-All; "running", a moving average by each norm's own momentum from
    means of 0 and variances of 1 on, as in SPOS (Guo et al. 2020, section 3.4, https://arxiv.org/abs/1904.00420).
    A batch that leaves a norm one value a channel, such as a last one of a single image, does not count. Modes are put back.
    Raises ``InputError`` where no batch counts, and for another way.
    """
    if way not in WAYS:
        raise unknown("way to recalibrate", way, WAYS)
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    momenta = [m.momentum for m in norms]
    examples = dict.fromkeys(map(id, norms), 0)  # that a norm has counted
    hooks = [norm.register_forward_hook(partial(_weigh, examples)) for norm in norms if way == "weighted"]
    with evaluating(model):
        for norm in norms:
            norm.reset_running_stats()
            norm.train()
            norm.momentum = {"mean": None, "weighted": 0.0, "running": norm.momentum}[way]
        try:
            counted = sum([_counts(norms, examples, forward, batch) for batch in batches])
            if norms and not counted:
                raise InputError("batch statistics need a batch of at least 2 examples; there is none to recalibrate on")
        finally:
            for hook in hooks:
                hook.remove()
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum


def _weigh(examples: dict[int, int], norm: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    """Add a batch (B, C, ...) to the averages of a norm, of whose channels the first C may be all that arrive."""
    x = inputs[0].transpose(0, 1).flatten(1).to(norm.running_mean)
    examples[id(norm)] += len(inputs[0])
    share = len(inputs[0]) / examples[id(norm)]
    norm.running_mean[: len(x)].lerp_(x.mean(1), share)
    norm.running_var[: len(x)].lerp_(x.var(1, unbiased=False), share)


def _counts(norms: Sequence[nn.Module], examples: dict[int, int], forward: Callable[[Any], Any], batch: Any) -> bool:
    """Run one batch; where it leaves a norm one value a channel, take back what the norms before that have counted."""
    before, counted = [(buffer, buffer.clone()) for norm in norms for buffer in norm.buffers()], dict(examples)
    try:
        forward(batch)
    except ValueError as error:
        if ONE_VALUE not in str(error):
            raise
        for buffer, value in before:
            buffer.copy_(value)
        examples |= counted
        return False
    return True
