"""The command ``describe``: its flags and what runs it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from supernet.commands.call import Settable
from supernet.commands.command import Command
from supernet.errors import InputError, without_effect
from supernet.settings.flags import Flag
from supernet.settings.sections import CELLS, CHANNELS, CLASSES, SHAPE, STEM, Notation, Open, Text


class Describe(Settable):
    """What is said of one call of ``describe``."""

    architecture: Annotated[Notation | None, Flag()] = Field(default=None, description="a run, a file, a published name or a notation")
    space: Annotated[Text | None, Flag("--space")] = Field(default=None, description="a search space (supernet list spaces)")
    method: Annotated[Text | None, Flag("--method")] = Field(
        default=None, description="with --space: the supernet as this method builds it"
    )
    network: Annotated[Open, CHANNELS, CELLS, STEM, SHAPE, CLASSES] = Field(default={}, description="of what is described")
    auxiliary: Annotated[bool, Flag("--auxiliary")] = Field(default=False, description="count the auxiliary head too")


def run(call: Describe) -> dict[str, Any]:
    """Parameters and multiply-adds of an architecture's evaluation network, or of a space's supernet."""
    from supernet.naming.lookup import design
    from supernet.naming.supernets import describe_space
    from supernet.settings.given import resolve

    if (call.architecture is None) == (call.space is None):
        raise InputError("describe takes an architecture or --space, one of them")
    if call.space is not None and call.auxiliary:
        raise without_effect("--auxiliary", "a supernet has no auxiliary head")
    if call.space is None and call.method is not None:
        raise without_effect("--method", "an architecture's network is the same whatever found it; --space describes a method's supernet")
    section = "network" if call.space is None else "supernet"
    flags = {f"{section}.{name}": value for name, value in call.network.items()}
    given = resolve({section: {}}, None, call.sets or [], flags)[section]
    if call.space is not None:
        return describe_space(call.space, call.method, given)
    return design(str(call.architecture)).describe({**given, "auxiliary": True if call.auxiliary else None})


COMMAND = Command(run, Describe, "supernet describe darts-v2 --json")
