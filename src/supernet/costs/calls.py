"""The calls of a network's modules in one forward pass: where each ran, on what, and what it computed itself."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from supernet.costs.count import Count, Work
from supernet.layers.base import When, placed
from supernet.nesting import Nesting

NOTHING = Work(0, 0)


class Call(NamedTuple):
    """One call of a module: inside of which others (ids), where it ran, on what, and what it computed itself, not by modules inside."""

    inside: tuple[int, ...]
    chain: Nesting
    inputs: tuple[Any, ...]
    named: dict[str, Any]
    itself: Work

    @property
    def way(self) -> tuple[Nesting, str]:
        """Equal for calls in one place on inputs of the same shapes."""
        return self.chain, described((self.inputs, self.named))


Calls = dict[int, list[Call]]  # by the id of the module


class Frame(NamedTuple):
    """A module (its id) that runs: as which of its calls, where, the conditions of its children, what was done before and inside."""

    module: int
    call: int
    chain: Nesting
    waiting: dict[int, list[When]]
    before: Work
    inner: list[Work]


def _conditions(module: nn.Module) -> dict[int, list[When]]:
    """By the id of each child: the pairs of which any must be taken for it to run, in each of its places."""
    found: dict[int, list[When]] = {}
    for _, child, pairs in placed(module):
        found.setdefault(id(child), []).append(pairs)
        for part in child if isinstance(child, nn.ModuleList) else ():
            found.setdefault(id(part), []).append(pairs)
    return found


class Running:
    """Notes the calls of every module in ``model`` while the context lasts."""

    def __init__(self, model: nn.Module):
        self.model, self.count = model, Count()
        self.conditions = {id(m): _conditions(m) for m in model.modules()}
        self.calls: Calls = {}
        self._stack: list[Frame] = []

    def __enter__(self) -> Running:
        modules = list(self.model.modules())
        self.handles = [m.register_forward_pre_hook(self._enter, with_kwargs=True) for m in modules]
        self.handles += [m.register_forward_hook(self._leave) for m in modules]
        return self

    def __exit__(self, *reason: object) -> None:
        for handle in self.handles:
            handle.remove()

    def _enter(self, module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        chain = self._stack[-1].chain if self._stack else ()
        waiting = next((frame.waiting[id(module)] for frame in reversed(self._stack) if id(module) in frame.waiting), [])
        if waiting:
            pairs = waiting.pop(0)
            waiting.append(pairs)  # the next call is in the next of its places, or another in the same
            chain = (*chain, pairs) if pairs else chain
        calls = self.calls.setdefault(id(module), [])
        calls.append(Call(tuple(frame.module for frame in self._stack), chain, inputs, named, NOTHING))
        parts = {i: list(places) for i, places in self.conditions[id(module)].items()}
        self._stack.append(Frame(id(module), len(calls) - 1, chain, parts, self.count.work, []))

    def _leave(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        frame, done = self._stack.pop(), self.count.work
        whole = Work(done.macs - frame.before.macs, done.activations - frame.before.activations)
        itself = Work(whole.macs - sum(w.macs for w in frame.inner), whole.activations - sum(w.activations for w in frame.inner))
        calls = self.calls[id(module)]
        calls[frame.call] = calls[frame.call]._replace(itself=itself)
        if self._stack:
            self._stack[-1].inner.append(whole)


def described(value: Any) -> str:
    """Equal for inputs of the same shapes."""
    return str([tuple(x.shape) if isinstance(x, Tensor) else repr(x) for x in tree_leaves(value)])
