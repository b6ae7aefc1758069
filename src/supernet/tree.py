"""Nested values, such as batches and outputs: tensors in tuples, lists, dicts and dataclasses, however deep."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence


def mapped(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """A tree like ``tree`` whose leaves are ``function`` of its leaves, and of those of ``others``, which must be built alike."""
    trees = (tree, *others)

    def at(part: Callable[[Any], Any]) -> Any:
        return mapped(function, *map(part, trees))

    if isinstance(tree, PackedSequence):  # a named tuple with rules of its own
        return function(*trees)
    if is_dataclass(tree) and not isinstance(tree, type):
        whole = copy.copy(tree)
        for name in [field.name for field in fields(tree)]:
            object.__setattr__(whole, name, at(lambda t, name=name: getattr(t, name)))  # type: ignore[misc]
        return whole
    if isinstance(tree, list | tuple):
        values = [mapped(function, *same) for same in zip(*trees, strict=True)]
        return type(tree)(*values) if hasattr(tree, "_fields") else type(tree)(values)  # a named tuple takes them one by one
    if isinstance(tree, MutableMapping):
        held = copy.copy(tree)
        for key in tree:
            held[key] = at(lambda t, key=key: t[key])  # type: ignore[misc]
        return held
    return function(*trees)


def leaves(tree: Any) -> list[Any]:
    """The values of a tree that hold no others, in order."""
    held: Iterable[Any]
    if isinstance(tree, PackedSequence):
        return [tree]
    if is_dataclass(tree) and not isinstance(tree, type):
        held = [getattr(tree, field.name) for field in fields(tree)]
    elif isinstance(tree, list | tuple):
        held = tree
    elif isinstance(tree, MutableMapping):
        held = tree.values()
    else:
        return [tree]
    return [leaf for part in held for leaf in leaves(part)]


def tensors(tree: Any) -> list[Tensor]:
    """The tensors of a tree, in order."""
    return [tree] if isinstance(tree, Tensor) else [x for x in leaves(tree) if isinstance(x, Tensor)]


def versions(values: Iterable[Any]) -> list[int]:
    """How often each tensor among ``values`` has been changed in place; nothing while a graph is made of them, which has no such counts."""
    if torch.compiler.is_compiling():
        return []
    return [_version(x) for value in values for x in ((value,) if isinstance(value, Tensor) else tensors(value))]


def _version(x: Tensor) -> int:
    try:
        return x._version
    except RuntimeError:  # of inference mode, which keeps no count
        return 0
