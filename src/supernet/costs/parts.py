"""Take a supernet apart into pieces that cost something of their own, so that any cost becomes a table over choices.

A part is what runs or does not run as a whole: an option of a ``OneOf``, a block of an ``UpTo``, an edge, or what always
runs. Where sizes are chosen, inside it or in what it is fed, each combination of these choices is a part.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from supernet.costs.count import work
from supernet.derive import settle
from supernet.errors import InputError
from supernet.layers.base import Searchable, Supernet, When
from supernet.mixture import Mix, Table
from supernet.space import Architecture, SearchSpace

MOST = 32  # combinations of sizes that a block may have before its layers are taken apart
Place = tuple[tuple[str, ...], tuple[int, ...]]  # choices, and the index of the option of each


@dataclass(frozen=True)
class Part:
    """A plain piece of a network.

    ``inputs``: on the meta device, one example; empty: only the parameters of ``module`` count. ``calls``: in one forward
    pass. ``places``: where in a table over choices its cost is added.
    """

    name: str
    module: nn.Module
    inputs: tuple[Any, ...]
    calls: int
    places: tuple[Place, ...]

    @cached_property
    def key(self) -> str:
        """Equal for parts that cost the same: what the modules are, their plain attributes, and what they are fed."""
        made = [f"{type(m).__qualname__}({_attributes(m)})" for m in self.module.modules()]
        return f"{' '.join(made)} on {_described(self.inputs)}"

    def real(self, batch: int = 1, device: torch.device | str = "cpu") -> tuple[nn.Module, tuple[Any, ...]]:
        """The module in evaluation mode with drawn weights, and drawn inputs with ``batch`` examples."""
        rng = torch.Generator().manual_seed(0)

        def drawn(x: Any) -> Any:
            if not isinstance(x, Tensor):
                return x
            if not x.is_floating_point():
                return torch.zeros((batch, *x.shape[1:]), dtype=x.dtype, device=device)
            shape = (batch, *x.shape[1:]) if x.dim() > 1 and x.shape[0] == 1 else tuple(x.shape)
            return torch.randn(shape, generator=rng, dtype=x.dtype).to(device)

        module = deepcopy(self.module).to_empty(device=device).eval()
        with torch.no_grad():
            for name, tensor in module.state_dict().items():
                if tensor.dim() > 1:
                    tensor.copy_(torch.randn(tensor.shape, generator=rng, dtype=tensor.dtype) / tensor[0].numel() ** 0.5)
                else:
                    tensor.fill_(1 if name.endswith(("var", "weight")) else 0)
        return module, tree_map(drawn, self.inputs)


@dataclass(frozen=True)
class _Unit:
    """A module of the open network that becomes a part, or several where it depends on sizes."""

    name: str
    module: nn.Module
    when: When
    sizes: tuple[str, ...] = ()
    own: bool = False  # only the parameters that it holds itself


Calls = dict[int, tuple[int, tuple[Any, ...]]]  # module -> how often it ran, and on what


def parts(supernet: Supernet, *example: Any) -> list[Part]:
    """Every part of ``supernet`` run on ``example`` (one example; tensors of any device, only their shapes count).

    The costs of the parts that an architecture takes add up to the derived network's, but for sums and activations between them.
    """
    apart = _Apart(supernet, tree_map(lambda x: x.to("meta") if isinstance(x, Tensor) else x, example))
    units = list(apart.units(supernet.model, (), ""))
    free = [_part(u, supernet.space, apart.calls.get(id(u.module), (0, ())), {}) for u in units if not u.sizes]
    return free + list(apart.sized([u for u in units if u.sizes]))


def tabulate(space: SearchSpace, found: Iterable[Part], cost: Callable[[Part], float]) -> Table:
    """The table whose ``expected`` under a one-hot mixture is the sum of ``cost`` over the parts that the architecture takes."""
    table: Table = {(): torch.zeros((), dtype=torch.float64)}
    for part in found:
        value = cost(part)
        for names, at in part.places if value else ():
            if names not in table:
                table[names] = torch.zeros([len(space[n].options) for n in names], dtype=torch.float64)
            table[names][at] += value
    return table


class _Apart:
    """A supernet run with every part at once: at the largest sizes, and with each size changed. Only shapes are computed."""

    def __init__(self, supernet: Supernet, example: Sequence[Any]):
        self.supernet, self.example = supernet, example
        structural = {m.choice.name for m in supernet.layers if m.choice and _structural(m)}
        self.largest = {n: len(c.options) - 1 for n, c in supernet.space.items() if n not in structural}
        self.calls = self.run(self.largest)
        self.follows: dict[int, set[str]] = {}  # module -> the sizes that change what it is fed
        for name, most in self.largest.items():
            for other in range(most):
                for i, (_, inputs) in self.run({**self.largest, name: other}).items():
                    if i in self.calls and _described(inputs) != _described(self.calls[i][1]):
                        self.follows.setdefault(i, set()).add(name)
        self.seen: set[int] = set()

    def run(self, sizes: dict[str, int]) -> Calls:
        """One forward pass at the given sizes."""
        calls: Calls = {}

        def note(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            calls[id(module)] = calls.get(id(module), (0, inputs))[0] + 1, inputs

        space = self.supernet.space
        mixture = {n: Mix(None, (sizes[n],) if n in sizes else tuple(range(len(c.options)))) for n, c in space.items()}
        handles = [m.register_forward_pre_hook(note) for m in self.supernet.model.modules()]
        try:
            work(self.supernet, mixture, *self.example)
        finally:
            for handle in handles:
                handle.remove()
        return calls

    def units(self, module: nn.Module, when: When, path: str) -> Iterator[_Unit]:
        """The largest modules that hold no choice between parts, and not too many choices of sizes."""
        if id(module) in self.seen:
            return
        self.seen.add(id(module))
        children = [(n, c) for n, c in module._modules.items() if c is not None]
        sizes = self._sizes(module)
        few = prod(len(self.supernet.space[n].options) for n in sizes) <= MOST
        divisible = bool(children) and not isinstance(module, Searchable)
        runs = id(module) in self.calls and path
        if not any(_structural(m) for m in module.modules()) and ((few and runs) or not divisible):
            if not few:
                raise InputError(f"the cost of {path} depends on {len(sizes)} choices at once: more than {MOST} combinations")
            yield _Unit(path, module, when, sizes)
            return
        if any(True for _ in module.parameters(recurse=False)):
            yield _Unit(path, module, when, own=True)
        parts = {id(m): pairs for m, pairs in module.under()} if isinstance(module, Searchable) else {}
        for name, child in children:
            below = f"{path}.{name}" if path else name
            if isinstance(child, nn.ModuleList) and any(id(m) in parts for m in child):
                for i, part in enumerate(child):
                    only = parts.get(id(part), ())
                    yield from self.units(part, only or when, f"{path} {only[0][1]}" if len(only) == 1 else f"{below}.{i}")
            else:
                yield from self.units(child, parts.get(id(child)) or when, below)

    def _sizes(self, module: nn.Module) -> tuple[str, ...]:
        """The sizes that a module's cost depends on: those of layers inside, and those of what it is fed."""
        inside = [m for m in module.modules() if isinstance(m, Searchable)]
        names = {n for m in inside for n in (*([m.choice.name] if m.choice else []), *m.follows)} | self.follows.get(id(module), set())
        return tuple(n for n in self.supernet.space if n in names)

    def sized(self, units: Sequence[_Unit]) -> Iterator[Part]:
        """A part for each combination of a unit's sizes; combinations that do not exclude each other share a forward pass."""
        space = self.supernet.space
        waiting = [
            (unit, dict(zip(unit.sizes, at, strict=True)))
            for unit in units
            for at in itertools.product(*(range(len(space[n].options)) for n in unit.sizes))
        ]
        while waiting:
            assigned: dict[str, int] = {}
            now: list[tuple[_Unit, dict[str, int]]] = []
            later: list[tuple[_Unit, dict[str, int]]] = []
            for unit, sizes in waiting:
                fits = all(assigned.get(n, i) == i for n, i in sizes.items())
                (now if fits else later).append((unit, sizes))
                assigned |= sizes if fits else {}
            calls = self.run({**self.largest, **assigned})
            for unit, sizes in now:
                yield _part(unit, space, calls.get(id(unit.module), (0, ())), sizes)
            waiting = later


def _structural(module: nn.Module) -> bool:
    return isinstance(module, Searchable) and not module.whole and bool(module.under())


def _part(unit: _Unit, space: SearchSpace, called: tuple[int, tuple[Any, ...]], sizes: dict[str, int]) -> Part:
    """The part that a unit is at given sizes; called right after the forward pass from which elastic layers know their inputs."""
    module = unit.module
    if unit.own:
        module, called = nn.ParameterList(module.parameters(recurse=False)), (0, ())
    elif any(isinstance(m, Searchable) or hasattr(m, "settle") for m in module.modules()):
        module = settle(deepcopy(module), {n: space[n].options[i] for n, i in sizes.items()})
    label = ", ".join(f"{n}={space[n].options[i]}" for n, i in sizes.items())
    name = f"{unit.name} ({label})" if label else unit.name
    return Part(name, module, called[1], called[0], tuple(_places(unit.when, space, sizes)))


def _places(when: When, space: SearchSpace, sizes: dict[str, int]) -> Iterator[Place]:
    if not when:
        yield tuple(sizes), tuple(sizes.values())
    for name, option in when:
        at = space[name].options.index(option)
        if sizes.get(name, at) == at:
            both = {name: at, **sizes}
            yield tuple(both), tuple(both.values())


def _described(value: Any) -> str:
    return str([tuple(x.shape) if isinstance(x, Tensor) else repr(x) for x in tree_leaves(value)])


def _attributes(module: nn.Module) -> str:
    held = {k: v for k, v in vars(module).items() if isinstance(v, int | float | str | tuple) and k != "training"}
    return f"{held} {[(n, tuple(p.shape)) for n, p in module.named_parameters(recurse=False)]}"


def taken(space: SearchSpace, found: Iterable[Part], architecture: Architecture) -> list[Part]:
    """The parts that an architecture takes."""
    full = space.check(architecture)
    on = space.matters(full)

    def runs(names: tuple[str, ...], at: tuple[int, ...]) -> bool:
        counts = all(n in on or {p for p, _ in space[n].when} & set(names) for n in names)
        return counts and all(space[n].holds(full[n], space[n].options[i]) for n, i in zip(names, at, strict=True))

    return [part for part in found if any(runs(*place) for place in part.places)]
