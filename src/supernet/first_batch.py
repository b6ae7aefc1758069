"""What the first batch of a task shows to be wrong, before long work: a cut of it, where in a network it fails, its loss, its labels."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from supernet.errors import InputError
from supernet.metrics import what
from supernet.tree import leaves, mapped, tensors


@contextlib.contextmanager
def inside(model: nn.Module) -> Iterator[list[str]]:
    """The paths of the modules that run at the moment, outermost first; where one fails, it stays the last."""
    running: list[str] = []
    handles: list[RemovableHandle] = []

    def left(*_: Any) -> None:
        running.pop()

    for path, module in model.named_modules():
        handles.append(module.register_forward_pre_hook(lambda module, inputs, path=path: running.append(path)))
        handles.append(module.register_forward_hook(left))
    try:
        yield running
    finally:
        for handle in handles:
            handle.remove()


def first(batch: Any, examples: int, dimension: int | None = 0) -> Any:
    """The first examples of a batch that holds tensors alone, equally long in ``dimension``; else, as of graphs, the batch itself."""
    if dimension is None:
        return batch
    lengths = {x.shape[dimension] if isinstance(x, Tensor) and x.dim() > dimension else 0 for x in leaves(batch)}
    if len(lengths) != 1 or max(lengths) <= examples:
        return batch
    return mapped(lambda x: x.narrow(dimension, 0, examples), batch)


def check_loss(loss: Any, outputs: Any) -> None:
    """Raise ``InputError`` where a loss is not one number that depends on the outputs by a gradient."""
    if not isinstance(loss, Tensor) or loss.dim() or not loss.is_floating_point():
        raise InputError(f"the loss must return a floating-point tensor of no dimensions, a mean over the batch; got {what(loss)}")
    if not loss.requires_grad and any(x.requires_grad for x in tensors(outputs)):
        raise InputError("the loss has no gradient by the network's outputs: do not detach them, and use operations that have one")


def check_labels(labels: Any, classes: int, stream: str) -> None:
    """Raise ``InputError`` for labels (N,) that are no whole numbers from 0 to ``classes`` - 1; -100 is a label that does not count."""
    if not isinstance(labels, Tensor) or labels.dim() != 1 or not labels.numel():
        return  # probabilities, or what the loss itself must refuse
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise InputError(f"labels of the {stream} data must be whole numbers (int64), one an example; got {what(labels)}")
    known = labels[labels != -100]
    low, high = (int(known.min()), int(known.max())) if known.numel() else (0, 0)
    if low < 0 or high >= classes:
        hint = ": number them from 0" if (low, high) == (1, classes) else ""
        raise InputError(
            f"labels of the {stream} data go from {low} to {high}, "
            f"and the network has {classes} outputs, for labels 0 to {classes - 1}{hint}"
        )
