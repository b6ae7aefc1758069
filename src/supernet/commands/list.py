"""The command ``list``: its flags and what runs it."""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import Field

from supernet.commands.call import Call, document
from supernet.commands.command import Command
from supernet.settings.flags import Flag
from supernet.settings.sections import Text


class Listing(Call):
    """What is said of one call of ``list``."""

    what: Annotated[Text, Flag(required=True)] = Field(
        description="what to list: methods, searchers, estimators, spaces, tasks, data or architectures"
    )
    cite: Annotated[bool, Flag("--cite")] = Field(default=False, description="say whom to cite")


def run(call: Listing) -> list[dict[str, str]]:
    """What there is by name."""
    from supernet.naming.catalogue import catalogue

    return catalogue(call.what)


def lines(call: Listing, result: list[dict[str, str]]) -> None:
    """Print a line an entry, or one document."""
    if call.as_json:
        return document(call, result if call.cite else [entry["name"] for entry in result])
    for entry in result:
        typer.echo(f"{entry['name']}\t{entry['cite']}" if call.cite else entry["name"])


COMMAND = Command(run, Listing, "supernet list architectures", show=lines)
