"""Batch norms at the end of options, computed in one pass with the options' weights and their sum where native kernels are used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from supernet.layers import blend
from supernet.native.mixing import mixable, mixed
from supernet.space import Option


def last_norm(module: nn.Module) -> nn.BatchNorm2d | None:
    """The batch norm in training mode that a sequence of modules ends with."""
    while type(module) is nn.Sequential and module._modules:
        module = next(reversed(module._modules.values()))
    if type(module) is not nn.BatchNorm2d or not module.training or module._forward_hooks or module._forward_pre_hooks:
        return None
    return module


@contextmanager
def left_out(norm: nn.BatchNorm2d | None) -> Iterator[None]:
    """While the context lasts, ``norm`` gives what it gets."""
    if norm is None:
        yield
        return
    before = norm.__dict__.get("forward")
    norm.__dict__["forward"] = _same
    try:
        yield
    finally:
        if before is None:
            del norm.__dict__["forward"]
        else:
            norm.__dict__["forward"] = before


def blended(
    choice: str, options: Sequence[Option], outputs: Sequence[Any], norms: Sequence[nn.BatchNorm2d | None], weights: Sequence[Tensor]
) -> Any:
    """The sum of ``outputs``, each through its norm, which was left out, and times its weight; compared as all options are."""
    if all(isinstance(x, Tensor) for x in outputs) and mixable(outputs):
        return mixed(outputs, norms, weights)
    whole = [x if norm is None else norm(x) for x, norm in zip(outputs, norms, strict=True)]
    return blend.blended(choice, options, whole, weights)


def _same(x: Tensor) -> Tensor:
    return x
