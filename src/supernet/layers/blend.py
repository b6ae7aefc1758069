"""Running the options of a choice on one input, and adding up what they give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, fx, nn

from supernet.errors import InputError
from supernet.modules.memo import memo
from supernet.space import Option
from supernet.tree import leaves, mapped, versions

WHOLE = "whole"  # of what stands for a tensor while a module is written out as a graph: its values are whole numbers, or truth values
_comparing: ContextVar[bool] = ContextVar("comparing", default=False)


@contextmanager
def comparing() -> Iterator[None]:
    """While the context lasts, options that are added up must give outputs of one structure, shape, type and device."""
    token = _comparing.set(True)
    try:
        yield
    finally:
        _comparing.reset(token)


def _asked() -> bool:
    return not torch.compiler.is_compiling() and _comparing.get()


def blended(choice: str, options: Sequence[Option], outputs: Sequence[Any], weights: Sequence[Tensor] | None) -> Any:
    """The sum of the outputs of ``options``, each times its weight."""
    what = f"the options of {choice!r}"
    if weights is None:
        return added(what, options, outputs)
    if _asked():
        compare(what, options, outputs)
    return total([weighed(weight, out) for weight, out in zip(weights, outputs, strict=True)])


def weighed(weight: Tensor, out: Any) -> Any:
    """``out`` times a weight."""
    return weight * out if isinstance(out, Tensor) else mapped(lambda x: weight * x if _adds(x) else x, out)


def added(what: str, names: Sequence[Option], outputs: Sequence[Any]) -> Any:
    """The sum of outputs, compared before where that is asked; ``what`` they are and their ``names`` are for people."""
    if _asked():
        compare(what, names, outputs)
    return total(outputs)


def total(outputs: Sequence[Any]) -> Any:
    """The sum of one or more outputs, tensor by tensor of tuples, lists, dicts and dataclasses.

    What is no floating-point tensor must be the same in all of them, and passes on as it is.
    """
    if len(outputs) == 1:
        return outputs[0]
    if isinstance(outputs[0], Tensor):
        return sum(outputs[1:], outputs[0])
    return mapped(lambda first, *rest: sum(rest, first) if _adds(first) else first, *outputs)


def idle_output(module: nn.Module, *inputs: Any, **named: Any) -> Any:
    """The output of an option of weight 0, without its graph: only its weight's gradient needs it. Nothing of it is shared."""
    with torch.no_grad(), memo(False):
        return mapped(lambda x: x.detach() if isinstance(x, Tensor) else x, module(*inputs, **named))


def _adds(x: Any) -> bool:
    if isinstance(x, fx.Proxy):
        return not x.node.meta.get(WHOLE)
    return isinstance(x, Tensor) and (x.is_floating_point() or x.is_complex())


def compare(what: str, names: Sequence[Option], outputs: Sequence[Any]) -> None:
    """Raise ``InputError`` where outputs cannot be added up as they are; none of them is broadcast."""
    if all(_alike(outputs[0], out) for out in outputs[1:]):
        return
    said = [f"{name} {described(out)}" for name, out in zip(names, outputs, strict=True)]
    if len(set(map(described, outputs))) == 1:  # shapes do not tell
        said = [f"{name} {described(out, _whole)}" for name, out in zip(names, outputs, strict=True)]
    raise InputError(f"{what} must give outputs that are alike, and give {', '.join(said)}")


def _alike(one: Any, other: Any) -> bool:
    if described(one, lambda x: "") != described(other, lambda x: ""):
        return False
    return all(map(_fits, leaves(one), leaves(other)))


def _fits(a: Any, b: Any) -> bool:
    if not (isinstance(a, Tensor) and isinstance(b, Tensor)):
        return type(a) is type(b) and (a == b if isinstance(a, int | float | str) else True)
    mixed = torch.is_autocast_enabled(a.device.type)  # then types differ by what ran, and the sum has the wider one
    same = a.shape == b.shape and a.device == b.device and (mixed or a.dtype == b.dtype)
    return same and (_adds(a) or a.is_meta or torch.equal(a, b))


def described(tree: Any, leaf: Callable[[Any], str] = lambda x: _brief(x)) -> str:
    """A tree in words: shapes of its tensors, and what they are held by."""
    if isinstance(tree, Tensor):
        return leaf(tree)
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{key!r}: {described(value, leaf)}" for key, value in tree.items()) + "}"
    if isinstance(tree, list | tuple):
        return f"{type(tree).__name__} of {', '.join(described(x, leaf) for x in tree)}"
    parts = leaves(tree)
    return f"{type(tree).__name__} of {', '.join(map(leaf, parts))}" if len(parts) != 1 or parts[0] is not tree else leaf(tree)


def _brief(x: Any) -> str:
    return str(tuple(x.shape)) if isinstance(x, Tensor) else repr(x)[:40]


def _whole(x: Any) -> str:
    return f"{tuple(x.shape)} of {str(x.dtype).removeprefix('torch.')} on {x.device}" if isinstance(x, Tensor) else _brief(x)


class Guard:
    """Notices an option that changes in place what other options get too.

    ``values``: what they all get. Called after each option has run.
    """

    def __init__(self, choice: str, *values: Any):
        self.choice, self.values, self.before = choice, values, versions(values)

    def __call__(self, option: Option, module: nn.Module) -> None:
        """Raise ``InputError`` where it did, and say of which module."""
        if versions(self.values) == self.before:
            return
        inside = [path for path, part in module.named_modules() if getattr(part, "inplace", False)]
        where = f" in its {inside[0]!r}" if inside and inside[0] else ""
        raise InputError(f"option {option!r} of {self.choice!r} changes its input in place, which others get too: use inplace=False{where}")


def keep_input(module: nn.Module) -> nn.Module:
    """The module, which makes a new tensor if the first that it does works in place, such as ``nn.ReLU(inplace=True)``."""
    first: nn.Module | None = module
    while isinstance(first, nn.Sequential):
        first = next((part for part in first if not isinstance(part, nn.Identity)), None)
    if first is not None and getattr(first, "inplace", False):
        first.inplace = False  # type: ignore[assignment]
    return module
