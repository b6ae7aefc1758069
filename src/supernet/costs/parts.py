"""Take a supernet apart into pieces that cost something of their own, so that any cost becomes a table over choices.

A part is what runs or does not run as a whole: an option of a ``OneOf``, a block of an ``UpTo``, an edge, or what always
runs. Where sizes are chosen, inside it or in what it is fed, each combination of these choices is a part.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from supernet.costs.count import Count, Work, work
from supernet.derive import settle
from supernet.errors import InputError
from supernet.layers.base import Searchable, Supernet, When, everything, placed
from supernet.mixture import Table
from supernet.space import Architecture, Chain, SearchSpace, alternatives, shortened

NOTHING = Work(0, 0)
MOST = 32  # combinations of sizes that a block may have before its layers are taken apart


class Place(NamedTuple):
    """Where in a table over choices a cost is added: ``names`` of choices, and the indices of options of each, any of them, ``times`` over.

    ``times`` is 1, but where a part runs if any of several options is taken that do not exclude each other: those of two of them
    together take back what counts twice.
    """

    names: tuple[str, ...]
    at: tuple[tuple[int, ...], ...]
    times: int = 1


@dataclass(frozen=True)
class Part:
    """A plain piece of a network.

    ``inputs``: on the meta device, one example; empty: it is not called. ``calls``: in one forward pass. ``places``: where in a table
    over choices its cost is added. ``holds``: whether its weights count here; of a module with several places, or called on several
    inputs, they are a part of their own. ``besides``: what is computed outside of any part's module, by the one that holds them.
    """

    name: str
    module: nn.Module
    inputs: tuple[Any, ...]
    calls: int
    places: tuple[Place, ...]
    holds: bool = True
    besides: Work = NOTHING

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


@dataclass
class _Unit:
    """A module of the open network that becomes a part, or several where it depends on sizes or has several places."""

    name: str
    module: nn.Module
    chains: list[Chain]  # where it stands
    sizes: tuple[str, ...] = ()
    own: bool = False  # its children are units of their own


class _Call(NamedTuple):
    """One call of a module: inside of which others (ids), where it ran, on what, and what it computed itself, not by modules inside."""

    inside: tuple[int, ...]
    chain: Chain
    inputs: tuple[Any, ...]
    named: dict[str, Any]
    itself: Work

    @property
    def way(self) -> tuple[Chain, str]:
        """Equal for calls in one place on inputs of the same shapes."""
        return self.chain, _described((self.inputs, self.named))


Calls = dict[int, list[_Call]]  # by the id of the module


def parts(supernet: Supernet, *example: Any) -> list[Part]:
    """Every part of ``supernet`` run on ``example`` (one example; tensors of any device, only their shapes count).

    The costs of the parts that an architecture takes add up to the derived network's, but for sums and activations between them.
    """
    apart = _Apart(supernet, tree_map(lambda x: x.to("meta") if isinstance(x, Tensor) else x, example))
    units = apart.units()
    whole = {id(u.module) for u in units if not u.own}
    shared = _shared([u for u in units if u.own or not u.sizes])
    free = [part for u in units if u.own or not u.sizes for part in _parts(u, supernet.space, apart.calls, {}, whole, shared)]
    tied = [_held(f"{users[0].name} (shared)", [t], _places(_all_chains(users), supernet.space, {})) for t, users in shared.values()]
    return free + tied + list(apart.sized([u for u in units if u.sizes], whole))


def tabulate(space: SearchSpace, found: Iterable[Part], cost: Callable[[Part], float]) -> Table:
    """The table whose ``expected`` under a one-hot mixture is the sum of ``cost`` over the parts that the architecture takes."""
    table: Table = {(): torch.zeros((), dtype=torch.float64)}
    for part in found:
        value = cost(part)
        for names, at, times in part.places if value else ():
            if names not in table:
                table[names] = torch.zeros([len(space[n].options) for n in names], dtype=torch.float64)
            several = any(len(options) > 1 for options in at)
            table[names][torch.meshgrid(*map(torch.tensor, at), indexing="ij") if several else tuple(i for (i,) in at)] += times * value
    return table


class _Apart:
    """A supernet run with every part at once: at the largest sizes, and with each size changed. Only shapes are computed."""

    def __init__(self, supernet: Supernet, example: Sequence[Any]):
        self.supernet, self.example = supernet, example
        structural = {m.choice.name for m in supernet.layers if m.choice and m.structural}
        self.largest = {n: len(c.options) - 1 for n, c in supernet.space.items() if n not in structural}
        self.calls = self.run(self.largest)
        self.follows: dict[int, set[str]] = {}  # module -> the sizes that change what it is fed
        self.varies: dict[int, set[str]] = {}  # module -> the sizes that change what it computes itself
        for name, most in self.largest.items():
            for other in range(most):
                for i, calls in self.run({**self.largest, name: other}).items():
                    before = self.calls.get(i, calls)
                    if [call.way for call in calls] != [call.way for call in before]:
                        self.follows.setdefault(i, set()).add(name)
                    if [call.itself for call in calls] != [call.itself for call in before]:
                        self.varies.setdefault(i, set()).add(name)

    def run(self, sizes: dict[str, int]) -> Calls:
        """One forward pass at the given sizes."""
        running = _Running(self.supernet.model)
        with running:
            work(self.supernet, everything(self.supernet, sizes), *self.example, count=running.count)
        return running.calls

    def units(self) -> list[_Unit]:
        """The largest modules that hold no choice between parts, and not too many choices of sizes."""
        found: dict[int, _Unit] = {}
        seen: set[tuple[int, Chain]] = set()

        def walk(module: nn.Module, chain: Chain, path: str) -> None:
            if (id(module), chain) in seen:
                return
            seen.add((id(module), chain))
            unit = found[id(module)] if id(module) in found else self._unit(module, path)
            found[id(module)] = unit
            unit.chains.append(chain)
            for name, child, pairs in placed(module) if unit.own else ():
                label = f"{path}.{name}" if path else name
                if "." in name and len(pairs) == 1:
                    label = f"{path} {pairs[0][1]}"
                walk(child, (*chain, pairs) if pairs else chain, label)

        walk(self.supernet.model, (), "")
        return list(found.values())

    def _unit(self, module: nn.Module, path: str) -> _Unit:
        """``module`` whole, or, where that cannot be, without its children."""
        sizes = self._sizes(module)
        few = prod(len(self.supernet.space[n].options) for n in sizes) <= MOST
        divisible = any(c is not None for c in module._modules.values()) and not isinstance(module, Searchable)
        runs = id(module) in self.calls and path
        if any(isinstance(m, Searchable) and m.structural for m in module.modules()) or not ((few and runs) or not divisible):
            varies = self.varies.get(id(module), set())
            return _Unit(path, module, [], tuple(n for n in self.supernet.space if n in varies), own=True)
        if not few:
            raise InputError(f"the cost of {path} depends on {len(sizes)} choices at once: more than {MOST} combinations")
        return _Unit(path, module, [], sizes)

    def _sizes(self, module: nn.Module) -> tuple[str, ...]:
        """The sizes that a module's cost depends on: those of layers inside, and those of what it is fed."""
        inside = [m for m in module.modules() if isinstance(m, Searchable)]
        names = {n for m in inside for n in (*([m.choice.name] if m.choice else []), *m.follows)} | self.follows.get(id(module), set())
        return tuple(n for n in self.supernet.space if n in names)

    def sized(self, units: Sequence[_Unit], whole: set[int]) -> Iterable[Part]:
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
                yield from _parts(unit, space, calls, sizes, whole, {})
            waiting = later


def _parts(unit: _Unit, space: SearchSpace, calls: Calls, sizes: dict[str, int], whole: set[int], shared: _Shared) -> list[Part]:
    """The parts that a unit is at given sizes; called right after the forward pass from which elastic layers know their inputs.

    One where it stands in one place and is always called on the same, else one for its weights and one for each way of being called.
    ``whole``: the ids of the units that count what they call.
    """
    module, label = unit.module, ", ".join(f"{n}={space[n].options[i]}" for n, i in sizes.items())
    name = f"{unit.name} ({label})" if label else unit.name
    called = [call for call in calls.get(id(module), []) if not whole & set(call.inside)]
    stands = _places(unit.chains, space, sizes)
    if unit.own:
        itself = Counter((call.chain, call.itself) for call in called if call.itself.macs)
        here = [Part(name, nn.Identity(), (), n, _places([c], space, sizes), False, done) for (c, done), n in itself.items()]
        if sizes:
            return here
        held = _tensors(module, False, shared)
        return [*([_held(name, held, stands)] if held else []), *([] if unit.sizes else here)]
    if any(isinstance(m, Searchable) or hasattr(m, "settle") for m in module.modules()):
        module = settle(deepcopy(module), {n: space[n].options[i] for n, i in sizes.items()})
    ways, often = {call.way: call for call in called}, Counter(call.way for call in called)
    ties = bool(shared) and len(_tensors(module, True, shared)) < len(_tensors(module, True, {}))
    if not ties and len(ways) < 2 and len(unit.chains) == 1 and all([chain] == unit.chains for chain, _ in ways):
        return [_called(name, module, call, often[call.way], stands) for call in ways.values()] or [Part(name, module, (), 0, stands)]
    held = _tensors(module, True, shared)
    apart = [_called(name, module, call, often[way], _places([way[0]], space, sizes), False) for way, call in ways.items()]
    return [*([_held(name, held, stands)] if held else []), *apart]


def _called(name: str, module: nn.Module, call: _Call, often: int, places: tuple[Place, ...], holds: bool = True) -> Part:
    """The part that a module is where it is called so."""
    module = _ByName(module, tuple(call.named)) if call.named else module
    return Part(name, module, (*call.inputs, *call.named.values()), often, places, holds)


class _ByName(nn.Module):
    """``module``, given its last inputs by ``names``."""

    def __init__(self, module: nn.Module, names: tuple[str, ...]):
        super().__init__()
        self.module, self.names = module, names

    def forward(self, *inputs: Any) -> Any:
        first = len(inputs) - len(self.names)
        return self.module(*inputs[:first], **dict(zip(self.names, inputs[first:], strict=True)))


_Shared = dict[int, tuple[tuple[bool, Tensor], list[_Unit]]]  # a tensor of several units, and these


def _shared(units: Sequence[_Unit]) -> _Shared:
    """The tensors that belong to several units (tied weights), by their ids."""
    owners: _Shared = {}
    for unit in units:
        for learnt, tensor in _tensors(unit.module, not unit.own, {}):
            owners.setdefault(id(tensor), ((learnt, tensor), []))[1].append(unit)
    return {i: (tensor, users) for i, (tensor, users) in owners.items() if len(users) > 1}


def _tensors(module: nn.Module, inside: bool, without: _Shared) -> list[tuple[bool, Tensor]]:
    """What ``module`` holds, each tensor once, with whether it is a parameter; ``inside``: what its children hold too."""
    found: dict[int, tuple[bool, Tensor]] = {}
    for m in module.modules() if inside else [module]:
        found |= {id(p): (True, p) for p in m._parameters.values() if p is not None}
        found |= {id(b): (False, b) for n, b in m._buffers.items() if b is not None and n not in m._non_persistent_buffers_set}
    return [held for i, held in found.items() if i not in without]


def _held(name: str, tensors: Sequence[tuple[bool, Tensor]], places: tuple[Place, ...]) -> Part:
    """A part that only holds ``tensors``."""
    module = nn.ParameterList([t for learnt, t in tensors if learnt])
    for i, buffer in enumerate(t for learnt, t in tensors if not learnt):
        module.register_buffer(f"buffer{i}", buffer)
    return Part(name, module, (), 0, places)


def _all_chains(units: Iterable[_Unit]) -> list[Chain]:
    return [chain for unit in units for chain in unit.chains]


def _places(chains: Iterable[Chain], space: SearchSpace, sizes: Mapping[str, int]) -> tuple[Place, ...]:
    """Where what runs in ANY of ``chains`` is added, at given sizes."""
    chains, found = list(chains), []
    if len(chains) == 1:
        chains = [shortened(chains[0], space)]
        if not sizes and _apart(chains[0], space):
            taken = {pairs[0][0]: tuple(space[n].options.index(o) for n, o in pairs) for pairs in chains[0]}
            names = tuple(sorted(taken, key=space.order))
            return (Place(names, tuple(taken[n] for n in names)),)
    for pairs, times in space.either(alternatives(chains)):
        least = sorted(space.reduced(pairs), key=lambda pair: (space.order(pair[0]), str(pair[1])))
        at = [(n, space[n].options.index(o)) for n, o in least]
        if all(sizes.get(n, i) == i for n, i in at):
            at += [(n, i) for n, i in sizes.items() if n not in dict(at)]
            found.append(Place(tuple(n for n, _ in at), tuple((i,) for _, i in at), times))
    return tuple(found)


def _apart(chain: Chain, space: SearchSpace) -> bool:
    """Whether each condition of ``chain`` is of a choice of its own, which always matters and takes one option."""
    names = [{name for name, _ in pairs} for pairs in chain]
    known = [space[name] for several in names for name in several]
    alone = all(len(several) == 1 for several in names) and len({c.name for c in known}) == len(known)
    return bool(chain) and alone and all(not c.parents and (c.pick is None or c.pick[1] == 1) for c in known)


class _Frame(NamedTuple):
    """A module (its id) that runs: as which of its calls, where, the conditions of its children, what was done before and inside."""

    module: int
    call: int
    chain: Chain
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


class _Running:
    """Notes the calls of every module in ``model`` while the context lasts."""

    def __init__(self, model: nn.Module):
        self.model, self.count = model, Count()
        self.conditions = {id(m): _conditions(m) for m in model.modules()}
        self.calls: Calls = {}
        self._stack: list[_Frame] = []

    def __enter__(self) -> _Running:
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
        calls.append(_Call(tuple(frame.module for frame in self._stack), chain, inputs, named, NOTHING))
        parts = {i: list(places) for i, places in self.conditions[id(module)].items()}
        self._stack.append(_Frame(id(module), len(calls) - 1, chain, parts, self.count.work, []))

    def _leave(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        frame, done = self._stack.pop(), self.count.work
        whole = Work(done.macs - frame.before.macs, done.activations - frame.before.activations)
        itself = Work(whole.macs - sum(w.macs for w in frame.inner), whole.activations - sum(w.activations for w in frame.inner))
        calls = self.calls[id(module)]
        calls[frame.call] = calls[frame.call]._replace(itself=itself)
        if self._stack:
            self._stack[-1].inner.append(whole)


def _described(value: Any) -> str:
    return str([tuple(x.shape) if isinstance(x, Tensor) else repr(x) for x in tree_leaves(value)])


def _attributes(module: nn.Module) -> str:
    held = {k: v for k, v in vars(module).items() if isinstance(v, int | float | str | tuple) and k != "training"}
    return f"{held} {[(n, tuple(p.shape)) for n, p in module.named_parameters(recurse=False)]}"


def taken(space: SearchSpace, found: Iterable[Part], architecture: Architecture) -> list[Part]:
    """The parts that an architecture takes."""
    full = space.check(architecture)
    on = space.matters(full)

    def runs(place: Place) -> bool:
        counts = all(n in on or space[n].parents & set(place.names) for n in place.names)
        return counts and all(
            any(space[n].holds(full[n], space[n].options[i]) for i in at) for n, at in zip(place.names, place.at, strict=True)
        )

    return [part for part in found if any(map(runs, part.places))]
