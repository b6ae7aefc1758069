"""Take a supernet apart into pieces that cost something of their own, so that any cost becomes a table over choices.

A part is what runs or does not run as a whole: an option of a ``OneOf``, a block of an ``UpTo``, an edge, or what always
runs. Where sizes are chosen, inside it or in what it is fed, each combination of these choices is a part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from supernet.costs.apart import Apart, Unit
from supernet.costs.calls import NOTHING, Call, Calls, described
from supernet.costs.count import Work
from supernet.derive import settle
from supernet.layers.base import Searchable, Supernet
from supernet.mixture import Table
from supernet.nesting import Nesting, alternatives, shortened
from supernet.space import Architecture, SearchSpace


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
        return f"{' '.join(made)} on {described(self.inputs)}"

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


def parts(supernet: Supernet, *example: Any) -> list[Part]:
    """Every part of ``supernet`` run on ``example`` (one example; tensors of any device, only their shapes count).

    The costs of the parts that an architecture takes add up to the derived network's, but for sums and activations between them.
    Raises ``InputError`` where a layer's cost depends on too many choices at once.
    """
    apart, space = Apart(supernet, tree_map(lambda x: x.to("meta") if isinstance(x, Tensor) else x, example)), supernet.space
    units = apart.units()
    whole = {id(u.module) for u in units if not u.own}
    shared = _shared([u for u in units if u.own or not u.sizes])
    found = [part for u in units if u.own or not u.sizes for part in _parts(u, space, apart.calls, {}, whole, shared)]
    found += [_held(f"{users[0].name} (shared)", [t], _places(_all_chains(users), space, {})) for t, users in shared.values()]
    for unit, sizes, calls in apart.sized([u for u in units if u.sizes]):
        found += _parts(unit, space, calls, sizes, whole, {})
    return found


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


def _parts(unit: Unit, space: SearchSpace, calls: Calls, sizes: dict[str, int], whole: set[int], shared: _Shared) -> list[Part]:
    """The parts that a unit is at given sizes; called while elastic layers know their inputs of these sizes.

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


def _called(name: str, module: nn.Module, call: Call, often: int, places: tuple[Place, ...], holds: bool = True) -> Part:
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


_Shared = dict[int, tuple[tuple[bool, Tensor], list[Unit]]]  # a tensor of several units, and these


def _shared(units: Sequence[Unit]) -> _Shared:
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


def _all_chains(units: Iterable[Unit]) -> list[Nesting]:
    return [chain for unit in units for chain in unit.chains]


def _places(chains: Iterable[Nesting], space: SearchSpace, sizes: Mapping[str, int]) -> tuple[Place, ...]:
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


def _apart(chain: Nesting, space: SearchSpace) -> bool:
    """Whether each condition of ``chain`` is of a choice of its own, which always matters and takes one option."""
    names = [{name for name, _ in pairs} for pairs in chain]
    known = [space[name] for several in names for name in several]
    alone = all(len(several) == 1 for several in names) and len({c.name for c in known}) == len(known)
    return bool(chain) and alone and all(not c.parents and (c.pick is None or c.pick[1] == 1) for c in known)


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
