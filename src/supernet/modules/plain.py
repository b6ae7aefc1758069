"""Leave nothing of this package in a network: what its own modules compute is written out as graphs of torch.fx.

A graph module (https://docs.pytorch.org/docs/stable/fx.html) is Python code over modules of torch.nn. It trains, is exported, scripted,
saved whole and loaded where this package is not installed. Tensors keep their names.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn

from supernet.layers.blend import WHOLE
from supernet.spaces.recurrent_network import Recurrence

WRONG = "a part ran that the architecture says cannot matter: the condition (`when`) of its choice is wrong"


class Absent(nn.Module):
    """Stands where a choice was left undecided because it cannot matter; running it raises ``AssertionError``."""

    def forward(self, x: Any) -> Any:
        torch._assert(False, WRONG)  # type: ignore[no-untyped-call]
        return x


class Call(NamedTuple):
    """How a module was called, and what it gave."""

    inputs: tuple[Any, ...]
    named: Mapping[str, Any]
    output: Any


def plain(network: nn.Module, *example: Any) -> nn.Module:
    """``network``, in evaluation mode, with a graph module in place of every module of this package; the rest is changed in place.

    ``example``: inputs of one forward pass, which shows how each module is called: with which arguments, of tensors or of tuples, lists
    and dicts of them. Two kinds of module stay as they are: a recurrent network, which loops over what it is fed as no graph does,
    and what passes on objects of other classes.
    """
    with _noted(network.eval()) as calls, torch.no_grad():
        network(*example)
    return _plain(network, calls, {}).eval()  # also the parts that hold the parts of a graph


@contextmanager
def _noted(network: nn.Module) -> Iterator[dict[int, Call]]:
    """The last call of every module while the context lasts, by the id of the module."""
    calls: dict[int, Call] = {}

    def note(module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
        calls[id(module)] = Call(inputs, named, output)

    handles = [m.register_forward_hook(note, with_kwargs=True) for m in network.modules()]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _plain(module: nn.Module, calls: Mapping[int, Call], done: dict[int, tuple[nn.Module, nn.Module]]) -> nn.Module:
    if id(module) in done:  # one module used in several places stays one
        return done[id(module)][1]
    found = _written_out(module, calls) if _ours(module) else module
    done[id(module)] = module, found  # holding the first keeps its id from being used again
    done[id(found)] = found, found
    for name, child in list(found._modules.items()):
        if child is not None and not (_ours(found) and _loops(found)):
            setattr(found, name, _plain(child, calls, done))
    return found


def _ours(module: nn.Module) -> bool:
    return type(module).__module__.partition(".")[0] == "supernet"


def _loops(module: nn.Module) -> bool:
    return any(isinstance(m, Recurrence) for m in module.modules())


class Other(Exception):
    """What passes between modules is nothing that a graph can hold."""


class _Tracer(fx.Tracer):
    """Writes out what modules of this package do, and the sequences that hold some; all others are called."""

    def __init__(self, calls: Mapping[int, Call]):
        super().__init__()
        self.calls = calls

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        holds = isinstance(m, nn.Sequential) and any(map(_ours, m.modules()))
        return not (_ours(m) or holds)

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        out = super().call_module(m, forward, args, kwargs)
        return self.unfolded(out, self.calls[id(m)].output) if isinstance(out, fx.Proxy) and id(m) in self.calls else out

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> tuple[Any, list[Any]]:
        """A placeholder for each argument of the call that was noted."""
        if id(self.root) not in self.calls:
            return super().create_args_for_root(root_fn, is_module, concrete_args)
        call, called = self.calls[id(self.root)], list(inspect.signature(root_fn).parameters.values())[1:]
        single = [p.name for p in called if p.kind is p.POSITIONAL_OR_KEYWORD]
        names = [single[i] if i < len(single) else f"other_{i - len(single)}" for i in range(len(call.inputs))]
        fed = [self.placeholder(name, value) for name, value in zip(names, call.inputs, strict=True)]
        named = {name: self.placeholder(name, value) for name, value in call.named.items()}
        return lambda root, *given: root_fn(root, *given, **named), [self.root, *fed]

    def placeholder(self, name: str, value: Any) -> Any:
        """What stands for an argument that was ``value``."""
        proxy = self.create_proxy("placeholder", name, (), {})
        return self.unfolded(proxy, value)

    def unfolded(self, proxy: Any, value: Any) -> Any:
        """``proxy`` as what ``value`` is: a tensor, or a tuple, list or dict of them; other plain data is taken to be always the same."""
        if isinstance(value, Tensor):
            proxy.node.meta[WHOLE] = not (value.is_floating_point() or value.is_complex())
            return proxy
        if isinstance(value, dict):
            return {key: self.unfolded(proxy[key], x) for key, x in value.items()}
        if type(value) in (list, tuple):
            return type(value)(self.unfolded(proxy[i], x) for i, x in enumerate(value))
        if value is None or isinstance(value, bool | int | float | str):
            return value
        raise Other


def _written_out(module: nn.Module, calls: Mapping[int, Call]) -> nn.Module:
    if _loops(module):
        return module
    try:
        graph = _Tracer(calls).trace(module)
    except Other:
        return module
    for node in reversed(graph.nodes):
        if node.op == "call_function" and node.target is operator.getitem and not node.users:
            graph.erase_node(node)
        node.type = None  # what torch.jit.script reads; None: a tensor
    call = calls.get(id(module))
    for node, value in zip((n for n in graph.nodes if n.op == "placeholder"), call.inputs if call else (), strict=False):
        node.type = list[Tensor] if isinstance(value, list) and all(isinstance(x, Tensor) for x in value) else None
    graph._tracer_cls = None  # else a file of the module would name this one
    found = fx.GraphModule(module, graph, type(module).__name__)
    assert found.state_dict().keys() | _other_names(module) == module.state_dict().keys(), "a part with weights never runs"
    return found


def _other_names(module: nn.Module) -> set[str]:
    """Names of tensors that have another name too."""
    first: dict[int, str] = {}
    return {n for n, x in module.state_dict(keep_vars=True).items() if first.setdefault(id(x), n) != n}
