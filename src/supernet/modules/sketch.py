"""Networks without storage: whether settings make one, and whether this machine can hold it, before any memory is taken."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from supernet.errors import InputError


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
    size = sum(t.numel() * t.element_size() for t in [*network.parameters(), *network.buffers()])
    if size > memory():
        held = f"{memory() / 2**30:,.0f} GB of memory"
        raise InputError(f"{what} has {size / 2**30:,.0f} GB of weights, and this machine {held}: make it smaller")
    return network


def memory() -> int:
    """Bytes of this machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
