"""A device that is not there: the CPU holds its tensors, and whatever would make the host wait for a GPU is written down.

``torch.device("meta")`` stands for it, so that PyTorch goes the ways that it goes for a GPU. As there, what lies on the CPU must be
moved before it meets what lies here, and a generator of the CPU draws nothing here; as on Apple's GPUs, there is no float64.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map_only

FAR, CPU = torch.device("meta"), torch.device("cpu")
PACKAGE = str(Path(__file__).parent.parent / "src")
READ = {"_local_scalar_dense", "equal", "is_nonzero"}  # one number or one answer is read
SIZED = {"nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive", "bincount"}  # the size of what is given is read
INDEXED = {"index", "index_put", "index_put_", "_index_put_impl_"}


class Far(Tensor):
    """A tensor of the far device; ``held`` are its values."""

    held: Tensor
    is_meta = False

    @staticmethod
    def __new__(cls, held: Tensor) -> Far:
        like = {"strides": held.stride(), "storage_offset": held.storage_offset(), "dtype": held.dtype, "device": FAR}
        made: Far = Tensor._make_wrapper_subclass(cls, held.size(), **like)  # type: ignore[attr-defined]
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise AssertionError(f"{func} is called outside of FarDevice")


class FarDevice(TorchDispatchMode):
    """While it is entered, ``FAR`` is a device. ``waits``: what the host waited for, a line each time, with the place in the package."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        self._numbers = _Numbers()

    def __enter__(self) -> FarDevice:
        self._numbers.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._numbers.__exit__(*error)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = dict(kwargs or {}), func._schema.name.removeprefix("aten::")
        given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        far = any(isinstance(x, Far) for x in given)
        to = kwargs.get("device") or (FAR if far else CPU)
        if not far and to != FAR:
            return func(*args, **kwargs)
        for what in (_moved if name in ("_to_copy", "copy_", "_foreach_copy_") else _met)(name, args, kwargs, given, to):
            own = [f"{Path(f.filename).name}:{f.lineno}" for f in traceback.extract_stack() if f.filename.startswith(PACKAGE)]
            self.waits.append(f"{what} in {' > '.join(own[-3:])}")
        if "device" in kwargs:
            kwargs["device"] = CPU
        inputs, named = tree_map_only(Far, lambda x: x.held, (args, kwargs))
        found = func(*inputs, **named)
        if name in ("copy_", "_foreach_copy_"):
            return args[0] if name == "copy_" else None
        if to != FAR:
            return found
        wrapped = tree_map_only(Tensor, _there, found)
        return return_and_correct_aliasing(func, args, kwargs, wrapped) if far else wrapped


def _there(held: Tensor) -> Far:
    if held.dtype == torch.float64:
        raise TypeError("this device has no float64")
    return Far(held)


def _moved(name: str, args: Any, kwargs: Any, given: list[Tensor], to: torch.device) -> list[str]:
    """What is waited for when values are moved: nothing, where nobody asks whether they have arrived."""
    between = {type(x) is Far for x in given} | ({to == FAR} if name == "_to_copy" else set())
    if len(between) == 1:
        return []
    if to != FAR if name == "_to_copy" else type(tree_leaves(args[0])[0]) is not Far:
        return [] if kwargs.get("non_blocking") else ["values moved to the CPU"]
    waits = not (kwargs.get("non_blocking") or (name != "_to_copy" and args[2:] and args[2]))
    return ["values moved from the CPU without non_blocking"] if waits else []


def _met(name: str, args: Any, kwargs: Any, given: list[Tensor], to: torch.device) -> list[str]:
    """What is waited for in an operation; raises ``RuntimeError`` for one that a device refuses."""
    if to == FAR and kwargs.get("generator") is not None:
        raise RuntimeError(f"{name}: a generator of the CPU draws nothing on another device")
    if name in INDEXED:
        indices = [x for x in args[1] if isinstance(x, Tensor)]
        masks = ["an index that is a mask"] if any(x.dtype in (torch.bool, torch.uint8) for x in indices) else []
        return masks + (["an index on the CPU"] if any(type(x) is not Far for x in indices) else [])
    if any(type(x) is not Far and x.dim() for x in given):
        raise RuntimeError(f"{name}: expected all tensors to be on the same device")
    return [name] if name in READ | SIZED else []


class _Numbers(TorchFunctionMode):
    """Tensors that are made of Python's numbers are made on the CPU, and moved; lists of numbers are made there too."""

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        where = kwargs.get("device")
        if func in (torch.tensor, torch.as_tensor) and where is not None and torch.device(where) == FAR:
            return func(*args, **{**kwargs, "device": CPU}).to(FAR)
        if func is Tensor.new_tensor and isinstance(args[0], Far) and where is None:
            return torch.tensor(*args[1:], **{"dtype": args[0].dtype, **kwargs}).to(FAR)
        if func is Tensor.tolist and isinstance(args[0], Far):  # which no class of tensors has
            return args[0].cpu().tolist()
        return func(*args, **kwargs)
