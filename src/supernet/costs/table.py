"""What every option of every choice adds to a network's parameters and multiply-adds, as tables for expected costs."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from supernet.errors import InputError
from supernet.layers.base import Searchable, Supernet, When
from supernet.mixture import Mix, Table


def count_tables(supernet: Supernet, shape: Sequence[int]) -> dict[str, Table]:
    """{"params": table, "macs": table} of one example ``(*shape)``, so that ``expected`` of a one-hot mixture is the derived count.

    Raises ``InputError`` where a layer's options are sizes of one weight: what these cost depends on their neighbours.
    """
    twin = deepcopy(supernet).to("meta").eval()
    counted: dict[int, int] = {}

    def count(module: nn.Module, inputs: Any, output: Tensor) -> None:
        counted[id(module)] = counted.get(id(module), 0) + _macs(module, output)

    for module in twin.modules():
        if isinstance(module, nn.modules.conv._ConvNd | nn.Linear):
            module.register_forward_hook(count)
    with torch.no_grad():
        everything = {n: Mix(None, tuple(range(len(c.options)))) for n, c in twin.space.items()}
        twin(everything, torch.empty(1, *shape, device="meta"))
    tables: dict[str, Table] = {"params": {(): torch.zeros((), dtype=torch.float64)}, "macs": {(): torch.zeros((), dtype=torch.float64)}}
    for module, when in _leaves(twin.model, (), set()):
        for name, cost in (("params", sum(p.numel() for p in module.parameters(recurse=False))), ("macs", counted.get(id(module), 0))):
            _add(tables[name], twin, when, cost)
    return tables


def _macs(module: nn.Module, output: Tensor) -> int:
    weight = module.weight
    assert isinstance(weight, Tensor)
    positions = output.numel() if isinstance(module, nn.Linear) else output[0].numel()
    return positions * weight[0].numel()


def _add(table: Table, supernet: Supernet, when: When, cost: int) -> None:
    if not when:
        table[()] += cost
    for name, option in when:
        choice = supernet.space[name]
        row = table.setdefault((name,), torch.zeros(len(choice.options), dtype=torch.float64))
        row[choice.options.index(option)] += cost


def _leaves(module: nn.Module, when: When, seen: set[int]) -> list[tuple[nn.Module, When]]:
    """Every module that holds parameters of its own, with the innermost condition under which it runs."""
    if id(module) in seen:
        return []
    seen.add(id(module))
    found: list[tuple[nn.Module, When]] = []
    parts: dict[int, When] = {}
    if isinstance(module, Searchable):
        parts = {id(m): pairs for m, pairs in module.under()}
        if module.choice and not parts:
            raise InputError(f"{type(module).__name__} ({module.choice.name}) chooses a size: its costs are not a sum over options")
    if any(True for _ in module.parameters(recurse=False)):
        found.append((module, when))
    for child in module._modules.values():
        if child is None:
            continue
        inner = child._modules.values() if isinstance(child, nn.ModuleList) else ()
        for part in inner if any(id(m) in parts for m in inner) else (child,):
            if part is not None:
                found += _leaves(part, parts.get(id(part)) or when, seen)
    return found
