"""Tables of names: what a name stands for is said by its place, "module:attribute", which is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, TypeVar

from supernet.errors import unknown

Entry = TypeVar("Entry")


def at(place: str) -> Any:
    """What stands at a place, "module:attribute"."""
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)


def named(table: Mapping[str, Entry], name: str, kind: str) -> Entry:
    """The entry of a name; raises ``InputError`` with the nearest name where there is none. ``kind``: what it is a table of."""
    if name not in table:
        raise unknown(kind, name, table)
    return table[name]
