"""Networks without storage: whether settings make one, and whether this machine can hold it, before any memory is taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from supernet.errors import InputError
from supernet.memory import memory


def sketched(what: str, build: Callable[[], nn.Module]) -> Any:
    """What ``build`` makes, without storage; raises ``InputError`` that begins with ``what`` where it makes none."""
    try:
        with torch.device("meta"):
            network = build()
    except InputError as error:
        raise InputError(f"{what}: {error}") from error
    except (RuntimeError, ValueError, TypeError, ArithmeticError, LookupError, AssertionError) as error:
        raise InputError(f"{what} cannot be built with these settings: {str(error).splitlines()[0] if str(error) else error!r}") from error
    return network


def fitting(what: str, build: Callable[[], nn.Module]) -> Any:
    """As ``sketched``; also raises ``InputError`` where this machine's memory does not hold the weights."""
    network = sketched(what, build)
    if (size := megabytes(network)) > memory() / 2**20:
        held = f"{memory() / 2**30:,.0f} GB of memory"
        raise InputError(f"{what} has {size / 1024:,.0f} GB of weights, and this machine {held}: make it smaller")
    return network


def megabytes(network: nn.Module) -> float:
    """How much a network's weights and buffers are, in MB."""
    return round(sum(t.numel() * t.element_size() for t in [*network.parameters(), *network.buffers()]) / 2**20, 3)
