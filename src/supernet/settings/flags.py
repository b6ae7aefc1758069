"""What a settings model says of a setting: its name, type, default, what it is, and the flag of the command line that gives it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A group of settings; names that it has not are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Flag:
    """How a field is given: by ``name``, such as --batch-size, or by its place where that is empty.

    ``metavar``: what stands for the value in the help. ``read``: the value of a text such as 12ms. An open section has no fields: a flag
    that sets one of its keys says which key, of which type and what it is by ``key``, ``kind`` and ``about``.
    """

    name: str = ""
    metavar: str | None = None
    read: Callable[[str], Any] | None = None
    required: bool = False
    key: str = ""
    kind: Any = str
    about: str = ""


@dataclass(frozen=True)
class Setting:
    """A setting of a model by its dotted name, such as data.batch_size."""

    name: str
    kind: Any
    default: Any
    about: str
    flag: Flag | None


def settings_of(model: type[Section], path: str = "") -> Iterator[Setting]:
    """The settings of a model and of its sections, first those that it adds to its base; keys with flags follow their open section."""
    for name in sorted(model.model_fields, key=lambda name: name not in inspect.get_annotations(model)):
        field = model.model_fields[name]
        kind: Any = field.annotation
        if inspect.isclass(kind) and issubclass(kind, Section):
            yield from settings_of(kind, f"{path}{name}.")
            continue
        flags = [mark for mark in field.metadata if isinstance(mark, Flag)]
        own = next((flag for flag in flags if not flag.key), None)
        yield Setting(f"{path}{name}", kind, None if field.is_required() else field.default, field.description or "", own)
        yield from (Setting(f"{path}{name}.{flag.key}", flag.kind, None, flag.about, flag) for flag in flags if flag.key)


def plain(kind: Any) -> Any:
    """The type of a field as the command line reads it: int of ``Count | None``, str of a ``Literal``."""
    if get_origin(kind) in (Union, UnionType):
        (kind,) = (arm for arm in get_args(kind) if arm is not NoneType)
    if get_origin(kind) is Annotated:
        return plain(get_args(kind)[0])
    return str if get_origin(kind) is Literal else kind
