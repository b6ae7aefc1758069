"""Parameters, multiply-accumulates and activations of a plain network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from supernet.modules.modes import evaluating

aten = torch.ops.aten
# Operations that give what has the shape of their first input. Without storage PyTorch works out some of them slowly.
KEEP_SHAPE = {
    getattr(aten, name + place).default
    for name in ("relu", "hardtanh", "hardswish", "hardsigmoid", "sigmoid", "tanh", "silu", "gelu", "elu", "leaky_relu")
    for place in ("", "_")
}


def _met(x: Any, y: Any, **_: Any) -> Tensor | None:
    """Two tensors of one type broadcast to the shape of one of them."""
    if not (isinstance(x, Tensor) and isinstance(y, Tensor) and x.dtype == y.dtype):
        return None
    shape: torch.Size = torch.broadcast_shapes(x.shape, y.shape)  # type: ignore[no-untyped-call]
    return next((tensor for tensor in (x, y) if tensor.shape == shape), None)


def _joined(parts: Sequence[Tensor], dim: int = 0) -> Tensor | None:
    first, *others = parts
    if any(part.dim() != first.dim() or part.dtype != first.dtype for part in others):
        return None
    shape = list(first.shape)
    shape[dim] = sum(part.shape[dim] for part in parts)
    return first.new_empty(shape)


def _averaged(x: Tensor, dims: Sequence[int] | None = None, keepdim: bool = False, *, dtype: torch.dtype | None = None) -> Tensor:
    away = {dim % x.dim() for dim in dims or range(x.dim())}
    shape = [1 if dim in away else size for dim, size in enumerate(x.shape) if keepdim or dim not in away]
    return x.new_empty(shape, dtype=dtype)


def _product(bias: Tensor, x: Tensor, weight: Tensor, **_: Any) -> Tensor:
    return x.new_empty((x.shape[0], weight.shape[1]))


# What has the shape of the result, of operations that PyTorch works out in Python, for which it imports its compiler; None: not here.
SHAPES: dict[Any, Callable[..., Tensor | None]] = {
    **{getattr(aten, name).Tensor: _met for name in ("add", "add_", "mul", "mul_")},
    aten.cat.default: _joined,
    aten.mean.dim: _averaged,
    aten.addmm.default: _product,
}


def params(module: nn.Module, without: Sequence[str] = ("auxiliary",)) -> int:
    """The number of scalars among the named parameters, those whose name contains one of ``without`` left out.

    This is how the DARTS family counts: https://github.com/quark0/darts/blob/master/cnn/utils.py
    """
    return sum(p.numel() for name, p in module.named_parameters() if not any(part in name for part in without))


def macs(module: nn.Module, shape: Sequence[int]) -> int:
    """The multiply-accumulates of convolutions and linear layers for one input of ``shape`` (no batch axis), in evaluation mode."""
    like = next((t for t in (*module.parameters(), *module.buffers()) if t.is_floating_point()), torch.empty(0))
    return work(module, torch.empty(1, *shape, device="meta", dtype=like.dtype)).macs


class Work(NamedTuple):
    """``macs``: multiply-accumulates. ``activations``: bytes that convolutions and linear layers give out."""

    macs: int
    activations: int


def work(module: nn.Module, *inputs: Any, count: Count | None = None) -> Work:
    """What convolutions and linear layers do on ``inputs`` (on the meta device), in evaluation mode.

    Nothing is computed: the module runs on tensors without storage in the place of its own. ``count``: what adds up; it may be looked
    at while the module runs.
    """
    count = count or Count()
    with evaluating(module), torch.no_grad(), without_storage(module), count:
        module(*inputs)
    return count.work


@contextmanager
def without_storage(module: nn.Module) -> Iterator[None]:
    """``module`` holds tensors of the meta device in the place of its own, and its own again after.

    (``torch.func.functional_call`` puts back the wrong tensors where one module has two names.)
    """
    empty: dict[int, Tensor] = {}
    stores: list[dict[str, Any]] = [store for m in module.modules() for store in (m._parameters, m._buffers)]
    held = [(store, name, tensor) for store in stores for name, tensor in store.items() if tensor is not None]
    try:
        for store, name, tensor in held:
            if id(tensor) not in empty:
                bare = tensor.detach().to("meta")
                empty[id(tensor)] = nn.Parameter(bare, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else bare
            store[name] = empty[id(tensor)]
        yield
    finally:
        for store, name, tensor in held:
            store[name] = tensor


class Count(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the multiply-accumulates of what runs. Batch norm and activations are passed over: they keep shapes, and are slow here."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total: int = 0
        self.written: int = 0

    @property
    def work(self) -> Work:
        """What was done so far."""
        return Work(self.total, self.written)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: what is counted is never compiled, and PyTorch's compiler is not imported for it, which takes seconds."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        if func in KEEP_SHAPE:
            return args[0]
        if func is aten.native_batch_norm.default:
            return args[0], args[0].new_empty(0), args[0].new_empty(0)
        made = SHAPES[func](*args, **(kwargs or {})) if func in SHAPES else None
        out = func(*args, **(kwargs or {})) if made is None else made
        if func is aten.convolution.default:
            transposed = args[6]
            self.total += prod((args[0] if transposed else out).shape) * prod(args[1].shape[1:])
        elif func in (aten.mm.default, aten.addmm.default):
            self.total += prod(out.shape) * args[0 if func is aten.mm.default else 1].shape[1]
        else:
            return out
        self.written += out.numel() * out.element_size()
        return out
