"""The size of images as a choice of a whole network, ``resolution``: Cai et al. 2020 (Once-for-All), https://arxiv.org/abs/1908.09791

Images come in one size, that of the settings, and are resized before anything else. In a notation the size stands first: ``r192 | ...``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from supernet.errors import InputError
from supernet.layers.base import Supernet
from supernet.layers.input_size import InputSize
from supernet.space import Architecture

NAME = "resolution"


def open_size(network: nn.Module, sizes: Sequence[int] | None) -> Supernet:
    """The supernet of a network with open choices, and of one of ``sizes`` where there are any."""
    return Supernet(nn.Sequential(InputSize(sizes, name=NAME), network) if sizes else network)


def at_size(network: nn.Module, architecture: Mapping[str, Any], sizes: Sequence[int] | None, shape: Sequence[int]) -> nn.Module:
    """``network`` on images of the size that an architecture takes of ``sizes``; raises ``InputError`` for another, or none."""
    if NAME not in architecture and not sizes:
        return network
    taken: Any = architecture.get(NAME)
    if sizes and taken not in sizes:
        raise InputError(f"{NAME} cannot be {taken}; the sizes of images are {', '.join(map(str, sizes))}")
    layer = InputSize([taken], name=NAME)
    layer.seen = (shape[1], shape[2])
    return nn.Sequential(layer.derive(taken), network)


def split(text: str) -> tuple[Architecture, str]:
    """The size that a notation says, and the rest of it."""
    found = re.match(r"([^:]*:)\s*r([1-9]\d{0,4})\s*\|", text)
    return ({NAME: int(found[2])}, f"{found[1]} {text[found.end() :]}") if found else ({}, text)


def said(architecture: Mapping[str, Any]) -> str:
    """What stands first in a notation."""
    return f"r{architecture[NAME]} | " if NAME in architecture else ""
