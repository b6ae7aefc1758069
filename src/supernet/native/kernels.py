"""What computes: PyTorch's kernels, those of this package, or what PyTorch's compiler makes. All give the same.

``native``: kernels for the CPU, whose sources are beside this file, compiled once on the machine that they run on (``build``), which
needs a C++ compiler and ninja (``pip install supernet[native]``). ``compiled``: trainings whose steps are alike run as one graph, see
``supernet.modules.graph``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import prod
from typing import Any, Literal

import torch
from torch import Tensor, nn

from supernet.errors import InputError
from supernet.native.build import library

Kernels = Literal["torch", "native", "compiled"]

PLAIN = (Tensor, nn.Parameter)
Shape = Sequence[int]
TYPES = (torch.float32, torch.float64)

_used: Kernels = "torch"


def used() -> Kernels:
    """Which kernels this process uses."""
    return _used


def use(kernels: Kernels, device: str = "cpu") -> None:
    """Use these in this process from here on; native ones are compiled where that was not done before.

    Raises ``InputError`` where they cannot be compiled, and says what is missing; for PyTorch's compiler, on ``device``.
    """
    global _used
    if kernels == "native":
        _load()
    if kernels == "compiled":
        _check_compiler(device)
    _used = kernels


def kernels() -> Any:
    """The compiled functions."""
    return torch.ops.supernet


def fits(*tensors: Tensor) -> bool:
    """Whether the kernels are used, and have such tensors: plain ones on the CPU, all in single or all in double precision."""
    if _used != "native" or torch.is_autocast_enabled("cpu"):
        return False
    dtype = tensors[0].dtype
    return dtype in TYPES and all(x.dtype == dtype and x.device.type == "cpu" and type(x) in PLAIN for x in tensors)


def _check_compiler(device: str) -> None:
    """Raise ``InputError`` where PyTorch's compiler makes nothing for a device."""
    try:
        torch.compile(torch.neg, fullgraph=True)(torch.ones(2, device=device))
    except Exception as error:  # whatever it lacks: a compiler of C++ or of the device, a system or a Python that it does not know
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InputError(f"PyTorch's compiler makes nothing for {device} here: {reason}; or take kernels=torch") from error


@cache
def _load() -> None:
    from torch.utils.flop_counter import register_flop_formula

    torch.ops.load_library(library())  # type: ignore[no-untyped-call]
    register_flop_formula(kernels().depthwise)(_flops)  # what counts operations by their names knows PyTorch's own only
    register_flop_formula(kernels().depthwise_backward)(_flops_backward)
    register_flop_formula(kernels().separable)(_flops_of_both)
    register_flop_formula(kernels().separable_backward)(_flops_of_both_backward)


def _flops(x: Shape, weight: Shape, *_: Any, out_shape: Shape, **__: Any) -> int:
    return 2 * prod(out_shape) * prod(weight[1:])


def _flops_backward(up: Shape, x: Shape, weight: Shape, *how: Any, **_: Any) -> int:
    of_x, of_weight = how[-2:]
    return 2 * (int(of_x) + int(of_weight)) * prod(up) * prod(weight[1:])


def _flops_of_both(x: Shape, depthwise: Shape, pointwise: Shape, *_: Any, out_shape: Shape, **__: Any) -> int:
    area = prod(out_shape) // pointwise[0]
    return 2 * area * (prod(depthwise) + prod(pointwise))


def _flops_of_both_backward(up: Shape, x: Shape, depthwise: Shape, pointwise: Shape, *how: Any, **_: Any) -> int:
    of_x, of_depthwise, of_pointwise = map(int, how[-3:])
    under = int(of_x or of_depthwise)  # what the pointwise convolution was given
    area = prod(up) // pointwise[0]
    return 2 * area * ((of_x + of_depthwise) * prod(depthwise) + (under + of_pointwise) * prod(pointwise))
