"""Give a network the weights of another whose shapes fit, such as a supernet those of a pretrained network: by name, then by shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from supernet.errors import InputError

COUNTER = "num_batches_tracked"  # of a norm, which need not have it
Layer = dict[str, Tensor]  # what one module holds itself, by the last part of the name


class Transferred(NamedTuple):
    """What went where: a module of the weights -> one of the network; and the modules of the network that nothing went to."""

    by_name: dict[str, str]
    by_shape: dict[str, str]
    left: list[str]


@torch.no_grad()
def transfer(
    network: nn.Module, weights: nn.Module | Mapping[str, Tensor], *, names: Mapping[str, str] | None = None, without: Sequence[str] = ()
) -> Transferred:
    """Copy all of ``weights``, a network or its ``state_dict``, into ``network``: a supernet takes those of its largest network.

    By name: what the module "stem" holds goes to "model.stem.plain", the nearest that has the same parts of a name in order, and tensors
    of the same names and shapes. What is then left goes by the names and shapes of its tensors, in order, where the network has as many
    such modules left. ``names``: beginnings of names in the weights -> those in the network. ``without``: beginnings of names that stay
    behind, such as a head of other classes.
    Raises ``InputError`` for weights that find no place, or several, before anything is copied.
    """
    given = _layers(weights.state_dict() if isinstance(weights, nn.Module) else weights)
    given = {name: layer for name, layer in given.items() if not any(_begins(name, start) for start in without)}
    own = _layers(network.state_dict())
    by_name: dict[str, str] = {}
    for name, layer in given.items():
        fitting = {to: at for to, at in _named(_renamed(name, names or {}), own).items() if _fits(layer, own[to])}
        nearest = [to for to, at in fitting.items() if at == min(fitting.values())]
        if len(nearest) > 1:
            raise InputError(f"{name or 'the weights'} may go to {nearest[0]} or to {nearest[1]}: say which by names={{{name!r}: ...}}")
        if nearest:
            other = next((other for other, to in by_name.items() if to == nearest[0]), None)
            if other is not None:
                raise InputError(f"{other or 'the weights'} and {name or 'the weights'} both go to {nearest[0]}: say where by names=")
            by_name[name] = nearest[0]
    by_shape = _by_shape({name: layer for name, layer in given.items() if name not in by_name}, own, set(by_name.values()))
    for name, to in (by_name | by_shape).items():
        for last, tensor in given[name].items():
            if last in own[to]:
                own[to][last].copy_(tensor)
    filled = {*by_name.values(), *by_shape.values()}
    return Transferred(by_name, by_shape, [name for name in own if name not in filled])


def _layers(state: Mapping[str, Tensor]) -> dict[str, Layer]:
    """What each module holds, by its name; a tensor that has several names by the first."""
    first: dict[tuple[int, torch.Size], str] = {}
    found: dict[str, Layer] = {}
    for name, tensor in state.items():
        if not tensor.numel() or first.setdefault((tensor.data_ptr(), tensor.shape), name) == name:
            module, _, last = name.rpartition(".")
            found.setdefault(module, {})[last] = tensor
    return found


def _kind(layer: Layer) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return tuple((last, tuple(tensor.shape)) for last, tensor in layer.items() if last != COUNTER)


def _fits(layer: Layer, place: Layer) -> bool:
    return set(_kind(layer)) <= set(_kind(place))


def _begins(name: str, start: str) -> bool:
    return name == start or name.startswith(f"{start}.")


def _renamed(name: str, names: Mapping[str, str]) -> str:
    start = max((start for start in names if _begins(name, start)), key=len, default=None)
    return name if start is None else names[start] + name[len(start) :]


def _named(name: str, own: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """The names of ``own`` that have the parts of ``name`` in order: how many parts, and where those are."""
    found = {}
    for other in own:
        parts, at = other.split("."), [-1]
        for part in name.split(".") if name else ():
            if part not in parts[at[-1] + 1 :]:
                break
            at.append(parts.index(part, at[-1] + 1))
        else:
            found[other] = (len(parts), *at)
    return found


def _by_shape(given: Mapping[str, Layer], own: Mapping[str, Layer], filled: set[str]) -> dict[str, str]:
    """Where the modules that no name fits go; raises ``InputError`` where there are not as many places for those of a kind."""
    kinds: dict[tuple[tuple[str, tuple[int, ...]], ...], list[str]] = {}
    for name, layer in given.items():
        kinds.setdefault(_kind(layer), []).append(name)
    found: dict[str, str] = {}
    for kind, names in kinds.items():
        free = [to for to, layer in own.items() if to not in filled and _fits(given[names[0]], layer)]
        if len(free) != len(names):
            what = ", ".join(f"{last} {shape}" for last, shape in kind)
            others = ", ".join(f"{to} has {dict(_kind(own[to]))}" for to in list(_named(names[0], own))[:1])
            raise InputError(
                f"{names[0] or 'the weights'} ({what}) finds no place by name, and of such there are {len(names)} left in the weights and "
                f"{len(free)} in the network{f', where {others}' if others else ''}: give names=, or leave it behind by without="
            )
        found |= dict(zip(names, free, strict=True))
        filled = filled | set(free)
    return found
