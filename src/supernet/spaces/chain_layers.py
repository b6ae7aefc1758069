"""Chains of layers that each take one of their options: open, or taken by an architecture; and their notation.

Layer i chooses as ``layer.i``. The notation is the name of the space, a colon and the options of its layers in order, with ``|`` between
stages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from supernet.errors import InputError, unknown
from supernet.layers.one_of import OneOf
from supernet.space import Architecture
from supernet.spaces.chain_network import Place

Layers = Callable[[Sequence[Place]], list[nn.Module]]  # where the layers of a chain stand -> they, open or taken
Able = Callable[[Place], Sequence[str]]  # where a layer stands -> its options
Option = Callable[[str, Place], nn.Module]  # an option of a layer, and where that stands -> the module


def everywhere(options: Sequence[str]) -> Able:
    """The same options for every layer."""
    return lambda place: options


def open_layers(able: Able, build: Option) -> Layers:
    """The layers of a supernet, each with all its options."""

    def layers(at: Sequence[Place]) -> list[nn.Module]:
        return [OneOf({option: build(option, place) for option in able(place)}, name=f"layer.{i}") for i, place in enumerate(at)]

    return layers


def taken_layers(architecture: Mapping[str, Any], able: Able, build: Option) -> Layers:
    """The layers of an architecture; making them raises ``InputError`` where it does not decide each of them, and no other."""

    def layers(at: Sequence[Place]) -> list[nn.Module]:
        taken = decided(architecture, [able(place) for place in at])
        return [build(option, place) for option, place in zip(taken, at, strict=True)]

    return layers


def parse_chain(space: str, options: Sequence[str], text: str) -> Architecture:
    """Read the notation of a chain, any number of layers; raises ``InputError``."""
    found = re.fullmatch(rf"\s*{re.escape(space)}\s*(\(.*?\))?\s*:(.+)", text, re.DOTALL)
    if found and found[1]:
        raise InputError(f"the settings {found[1][:80]} are not part of the choices: design(text).network() builds {space} with them")
    taken = re.split(r"[\s|]+", found[2].strip(" |\t\r\n")) if found else []
    if not any(taken):
        what = f"expected '{space}:' and an option for each layer ({', '.join(options)}), with | between stages"
        raise InputError(f"not a network of {space}: {' '.join(text.split())[:80]!r}; {what}")
    for option in taken:
        if option not in options:
            raise unknown(f"option of {space}", option, options)
    return {f"layer.{i}": option for i, option in enumerate(taken)}


def chain_notation(space: str, architecture: Mapping[str, Any], depths: Sequence[int]) -> str:
    """The notation of a chain with ``depths`` layers in its stages; without ``|`` where it has another number of layers."""
    stages = list(depths) if sum(depths) == len(architecture) else [len(architecture)]
    taken = iter([architecture.get(f"layer.{i}") for i in range(len(architecture))])
    texts = [[next(taken) for _ in range(depth)] for depth in stages]
    if any(option is None for stage in texts for option in stage):
        raise InputError(f"the layers of {space} are layer.0 to layer.{len(architecture) - 1}; got {', '.join(architecture)[:80]}")
    return f"{space}: " + " | ".join(" ".join(map(str, stage)) for stage in texts)


def decided(architecture: Mapping[str, Any], options: Sequence[Sequence[str]]) -> list[str]:
    """The option of each layer, in order, where layer i may take ``options[i]``; raises ``InputError``."""
    names = [f"layer.{i}" for i in range(len(options))]
    if set(architecture) != set(names):
        say = "say the depths that it has, in brackets behind the space's name or as --set network.depths=[...]"
        raise InputError(f"the architecture decides {len(architecture)} layers; with these depths there are {len(names)}: {say}")
    for name, able in zip(names, options, strict=True):
        if architecture[name] not in able:
            raise InputError(f"{name} cannot take {architecture[name]!r}; its options: {', '.join(able)}")
    return [architecture[name] for name in names]
