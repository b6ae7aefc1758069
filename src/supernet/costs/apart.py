"""Take a supernet apart into units, each whole or without its children, and find what each is fed at every combination of sizes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from supernet.costs.calls import Call, Calls, Running
from supernet.costs.count import Count, without_storage, work
from supernet.errors import InputError
from supernet.layers.base import Searchable, Supernet, everything, placed
from supernet.mixture import Mix
from supernet.modules.modes import evaluating
from supernet.nesting import Nesting

MOST = 32  # combinations of sizes that a block may have before its layers are taken apart
MOST_OF_LAYER = 4096  # of sizes that a layer may have
Sizes = dict[str, int]  # choice -> the index of its option


@dataclass
class Unit:
    """A module of the open network that becomes a part, or several where it depends on sizes or has several places."""

    name: str
    module: nn.Module
    chains: list[Nesting]  # where it stands
    sizes: tuple[str, ...] = ()
    own: bool = False  # its children are units of their own

    def combinations(self, options: Mapping[str, int]) -> Iterator[Sizes]:
        """Every combination of its sizes; ``options``: how many each choice has."""
        return (dict(zip(self.sizes, at, strict=True)) for at in itertools.product(*(range(options[n]) for n in self.sizes)))


class Apart:
    """A supernet run with every part at once: at the largest sizes, and with each size changed. Only shapes are computed."""

    def __init__(self, supernet: Supernet, example: Sequence[Any]):
        self.supernet, self.example, self.blend = supernet, example, everything(supernet)
        structural = {m.choice.name for m in supernet.layers if m.choice and m.structural}
        self.options = {n: len(c.options) for n, c in supernet.space.items() if n not in structural}
        self.calls = self.run({})
        self.changed = {(n, 0): self._changes(self.run({n: 0})) for n, most in self.options.items() if most > 1}
        waiting = [(n, i) for n, most in self.options.items() for i in range(1, most - 1)]
        while waiting:  # sizes that change nothing in common are changed in one pass
            now = self._together(waiting)
            found = self._changes(self.run(dict(now)))
            self.changed |= {(n, i): {m: calls for m, calls in found.items() if m in self.changed[n, 0]} for n, i in now}
            waiting = [one for one in waiting if one not in now]
        self.follows: dict[int, set[str]] = {}  # module -> the sizes that change what it is fed
        self.varies: dict[int, set[str]] = {}  # module -> the sizes that change what it computes itself
        for (name, _), changed in self.changed.items():
            for i, calls in changed.items():
                before = self.calls.get(i, [])
                if [call.way for call in calls] != [call.way for call in before]:
                    self.follows.setdefault(i, set()).add(name)
                if [call.itself for call in calls] != [call.itself for call in before]:
                    self.varies.setdefault(i, set()).add(name)
        self.together = self._found_together()

    def run(self, sizes: Sizes) -> Calls:
        """One forward pass, at the largest sizes but for those given."""
        running = Running(self.supernet.model)
        with running:
            work(self.supernet, self.blend | _taken(sizes), *self.example, count=running.count)
        return running.calls

    def _changes(self, calls: Calls) -> Calls:
        """Those of other calls than at the largest sizes."""
        return {i: new for i, new in calls.items() if _seen(new) != _seen(self.calls.get(i, []))}

    def _together(self, waiting: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        """Some of the sizes, of which none changes what another does."""
        found, touched = list[tuple[str, int]](), set[int]()
        for name, option in waiting:
            if not touched & self.changed[name, 0].keys():
                found.append((name, option))
                touched |= self.changed[name, 0].keys()
        return found

    def _found_together(self) -> set[int]:
        """The modules whose inputs cannot be told from what each size changes: two passes at other sizes show them."""
        wrong: set[int] = set()
        if sum(most > 1 for most in self.options.values()) < 2:  # what one size changes was seen in a pass of its own
            return wrong
        for sizes in (dict.fromkeys(self.options, 0), {n: i % most for i, (n, most) in enumerate(self.options.items())}):
            for i, calls in self.run(sizes).items():
                fed = self._composed(i, {n: at for n, at in sizes.items() if n in self.follows.get(i, ())})
                if fed is not None and [call.way for call in fed] != [call.way for call in calls]:
                    wrong.add(i)
        return wrong

    def units(self) -> list[Unit]:
        """The largest modules that hold no choice between parts, and not too many choices of sizes."""
        found: dict[int, Unit] = {}
        seen: set[tuple[int, Nesting]] = set()

        def walk(module: nn.Module, chain: Nesting, path: str) -> None:
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

    def _unit(self, module: nn.Module, path: str) -> Unit:
        """``module`` whole, or, where that cannot be, without its children."""
        sizes = self._sizes(module)
        count = prod(self.options[n] for n in sizes)
        plain = not isinstance(module, Searchable) and not hasattr(module, "settle")  # else it is one layer to its user
        divisible = plain and any(c is not None for c in module._modules.values())
        runs = id(module) in self.calls and path
        if any(isinstance(m, Searchable) and m.structural for m in module.modules()) or (divisible and not (count <= MOST and runs)):
            varies = self.varies.get(id(module), set())
            return Unit(path, module, [], tuple(n for n in self.supernet.space if n in varies), own=True)
        if count > MOST_OF_LAYER:
            raise InputError(f"the cost of {path} depends on {len(sizes)} choices at once: more than {MOST_OF_LAYER} combinations")
        return Unit(path, module, [], sizes)

    def _sizes(self, module: nn.Module) -> tuple[str, ...]:
        """The sizes that a module's cost depends on: those of layers inside, and those of what it is fed."""
        inside = [m for m in module.modules() if isinstance(m, Searchable)]
        names = {n for m in inside for n in (*([m.choice.name] if m.choice else []), *m.follows)} | self.follows.get(id(module), set())
        return tuple(n for n in self.options if n in names)

    def sized(self, units: Sequence[Unit]) -> Iterator[tuple[Unit, Sizes, Calls]]:
        """Each unit at each combination of its sizes, with its calls there; its layers know their inputs until the next is asked for."""
        waiting: list[tuple[Unit, Sizes]] = []
        with evaluating(self.supernet.model), torch.no_grad(), without_storage(self.supernet.model):
            for unit in units:
                for sizes in unit.combinations(self.options):
                    calls = None if unit.own else self._alone(unit, sizes)
                    if calls is None:
                        waiting.append((unit, sizes))
                    else:
                        yield unit, sizes, calls
        yield from self._in_passes(waiting)

    def _alone(self, unit: Unit, sizes: Sizes) -> Calls | None:
        """The calls of a unit at some sizes, after it was run alone; None where what it is fed there is not known."""
        calls = None if id(unit.module) in self.together else self._composed(id(unit.module), sizes)
        if calls:
            with self.supernet.blending(self.blend | _taken(sizes)), Count():
                unit.module(*calls[-1].inputs, **calls[-1].named)
        return None if calls is None else {id(unit.module): calls}

    def _composed(self, module: int, sizes: Sizes) -> list[Call] | None:
        """The calls of a module at some sizes, where each changes something of its own; None where two change one thing."""
        base = self.calls.get(module, [])
        changed = [self.changed[n, i][module] for n, i in sizes.items() if module in self.changed.get((n, i), ())]
        if any(len(calls) != len(base) for calls in changed):
            return None
        found = [_merged(call, [calls[j] for calls in changed]) for j, call in enumerate(base)]
        return None if None in found else [call for call in found if call is not None]

    def _in_passes(self, waiting: list[tuple[Unit, Sizes]]) -> Iterator[tuple[Unit, Sizes, Calls]]:
        """Each unit at its sizes, after passes of the whole network; combinations that do not exclude each other share one."""
        while waiting:
            assigned, now, later = Sizes(), list[tuple[Unit, Sizes]](), list[tuple[Unit, Sizes]]()
            for unit, sizes in waiting:
                fits = all(assigned.get(n, i) == i for n, i in sizes.items())
                (now if fits else later).append((unit, sizes))
                assigned |= sizes if fits else {}
            calls = self.run(assigned)
            yield from ((unit, sizes, calls) for unit, sizes in now)
            waiting = later


def _taken(sizes: Sizes) -> dict[str, Mix]:
    return {n: Mix(None, (i,)) for n, i in sizes.items()}


def _seen(calls: Sequence[Call]) -> list[Any]:
    return [(call.way, call.itself) for call in calls]


def _merged(call: Call, others: Sequence[Call]) -> Call | None:
    """``call`` with what each of ``others`` has otherwise; None where two have one size otherwise, or where it is no size of a tensor."""
    leaves, form = tree_flatten((call.inputs, call.named))
    theirs = [tree_flatten((other.inputs, other.named))[0] for other in others]
    if any(other.chain != call.chain for other in others) or any(len(flat) != len(leaves) for flat in theirs):
        return None
    for k, leaf in enumerate(leaves):
        changed = [flat[k] for flat in theirs if not _alike(flat[k], leaf)]
        if changed and not all(isinstance(x, Tensor) and isinstance(leaf, Tensor) and x.dim() == leaf.dim() for x in changed):
            return None
        sizes = [[x.shape[axis] for x in changed if x.shape[axis] != n] for axis, n in enumerate(leaf.shape)] if changed else []
        if any(len(other) > 1 for other in sizes):
            return None
        if changed:
            leaves[k] = leaf.new_empty([other[0] if other else n for other, n in zip(sizes, leaf.shape, strict=True)])
    inputs, named = tree_unflatten(leaves, form)
    return call._replace(inputs=inputs, named=named)


def _alike(x: Any, y: Any) -> bool:
    return x.shape == y.shape if isinstance(x, Tensor) and isinstance(y, Tensor) else repr(x) == repr(y)
