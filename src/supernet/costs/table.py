"""What every option of every choice adds to a network, as tables for expected costs, of what can be counted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from supernet.costs.bit_operations import bit_operations
from supernet.costs.count import work
from supernet.costs.parts import Part, parts, tabulate
from supernet.layers.base import Supernet
from supernet.mixture import Table
from supernet.space import Architecture, Pairs, SearchSpace


def count_tables(supernet: Supernet, *example: Any) -> dict[str, Table]:
    """ "params", "macs", "activations" and "storage"; ``expected`` of a one-hot mixture is the count of the derived network.

    ``example``: inputs of one forward pass, one example each, of which the shapes count.

    activations: bytes of what convolutions and linear layers give out. storage: bytes of the weights and running statistics.
    Where convolutions are quantised also "bit_operations".
    Raises ``InputError`` where a block's cost depends on too many choices at once.
    """
    found = parts(supernet, *example)
    counted: dict[str, dict[str, float]] = {}

    def cost(name: str) -> Callable[[Part], float]:
        def of(part: Part) -> float:
            key = f"{part.key} {part.calls} {part.holds} {part.besides}"
            if key not in counted:
                counted[key] = count_part(part)
            return counted[key][name]

        return of

    tables = {name: tabulate(supernet.space, found, cost(name)) for name in ("params", "macs", "activations", "storage", "bit_operations")}
    if not any(table.any() for table in tables["bit_operations"].values()):
        del tables["bit_operations"]
    return tables


def count_part(part: Part) -> dict[str, float]:
    """The counts of one part, all its calls together."""
    done = work(part.module, *part.inputs) if part.calls and not part.besides.macs else part.besides
    state = {id(t): t for t in part.module.state_dict(keep_vars=True).values()} if part.holds else {}
    held = sum(t.numel() * t.element_size() for t in state.values() if t.is_floating_point())
    params = sum(p.numel() for p in part.module.parameters()) if part.holds else 0
    ran = {"macs": done.macs, "activations": done.activations, "bit_operations": bit_operations(part.module, *part.inputs)}
    return {"params": params, "storage": held, **{name: part.calls * cost for name, cost in ran.items()}}


Entries = list[tuple[tuple[str, ...], Any, tuple[Pairs, ...]]]  # choices, costs of the combinations of their options, where they matter


def cost_of(space: SearchSpace, table: Table) -> Callable[[Architecture], float]:
    """(an architecture that decides every choice) -> its cost: ``expected`` of its one-hot mixture, on plain numbers."""
    return partial(_cost, space, [(names, values.tolist(), space.reached(names)) for names, values in table.items()])


def _cost(space: SearchSpace, entries: Entries, architecture: Architecture) -> float:
    on = space.matters(architecture)
    return sum(_at(space, values, names, architecture) for names, values, sets in entries if space.met(sets, on))


def _at(space: SearchSpace, values: Any, names: tuple[str, ...], architecture: Architecture) -> float:
    """The entry of what an architecture takes of the choices ``names``; of a subset, the sum."""
    if not names:
        return float(values)
    options, taken = space[names[0]].options, architecture[names[0]]
    wanted = taken if isinstance(taken, tuple) else (taken,)
    return sum(_at(space, values[options.index(option)], names[1:], architecture) for option in wanted)
