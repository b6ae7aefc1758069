"""Anything that a search is given, as plain data that is the same in every process: what a resumed run compares."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import PurePath
from random import Random
from typing import Any

import torch
from torch import Tensor, nn

LONGEST = 500  # characters; what is longer is given by a digest
DEEP = 4  # objects within objects
ELSEWHERE = ("task", "device", "training")  # attributes that are no settings of the object itself


def described(value: Any, deep: int = DEEP) -> Any:
    """``value`` as numbers, text, lists and dicts.

    Functions and classes are their names, tensors a digest, objects their class and those attributes of theirs that are settings, that
    is, neither private nor tensors, modules or generators, without where they run; of optimisers the settings of their groups that are
    not off, since versions of PyTorch add such.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Tensor):
        return [str(value.dtype), list(value.shape), digest(value.detach().cpu().tolist())]
    if isinstance(value, partial):
        return {"call": described(value.func, deep), "with": [described(x, deep) for x in value.args], **_each(value.keywords, deep)}
    if isinstance(value, type) or inspect.isroutine(value):
        return f"{value.__module__}.{value.__qualname__}"
    if is_dataclass(value):
        return short({"is": type(value).__qualname__, **_each({f.name: getattr(value, f.name) for f in fields(value)}, deep)})
    if isinstance(value, Mapping):
        return short(_each(value, deep))
    if isinstance(value, list | tuple | set | frozenset):
        return short(sorted(map(described, value), key=str) if isinstance(value, set | frozenset) else [described(v, deep) for v in value])
    if isinstance(value, torch.optim.Optimizer):
        groups = [{k: v for k, v in group.items() if k != "params" and v is not None and v is not False} for group in value.param_groups]
        return {"is": type(value).__qualname__, "groups": described(groups)}
    if isinstance(value, torch.dtype | torch.device | PurePath):
        return str(value)
    if deep == 0 or not hasattr(value, "__dict__"):
        return type(value).__qualname__
    held = {name: v for name, v in vars(value).items() if not name.startswith("_") and name not in ELSEWHERE and _is_setting(v)}
    return {"is": type(value).__qualname__, **_each(held, deep - 1)}


def described_network(network: nn.Module) -> dict[str, Any]:
    """How many scalars a network trains, and a digest of the names and shapes of all its tensors."""
    shapes = [(name, list(tensor.shape)) for name, tensor in network.state_dict().items()]
    return {"parameters": sum(p.numel() for p in network.parameters()), "tensors": digest(shapes)}


def digest(plain: Any) -> str:
    """A few letters that tell plain data apart."""
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()[:16]


def short(plain: Any) -> Any:
    """Plain data itself, or a digest of what is long."""
    return plain if len(json.dumps(plain)) <= LONGEST else digest(plain)


def _each(values: Mapping[Any, Any], deep: int) -> dict[str, Any]:
    return {str(name): described(value, deep) for name, value in values.items()}


def _is_setting(value: Any) -> bool:
    """Whether an attribute says how something works, and not where it is or what it holds."""
    if isinstance(value, Mapping):
        return all(map(_is_setting, value.values()))
    if isinstance(value, Iterable) and not isinstance(value, str):
        return isinstance(value, list | tuple | set | frozenset) and all(map(_is_setting, value))
    return not isinstance(value, Tensor | nn.Module | torch.Generator | Random)
