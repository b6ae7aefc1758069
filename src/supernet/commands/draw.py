"""The command ``draw``: its flags and what runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import Field

from supernet.commands.command import Command
from supernet.settings.flags import Flag, Section
from supernet.settings.sections import Notation


class Draw(Section):
    """What is said of one call of ``draw``."""

    architecture: Annotated[Notation, Flag(required=True)] = Field(description="a run, a file, a published name or a notation")
    out: Annotated[Path, Flag("--out", required=True)] = Field(description="the SVG file to write")


def run(call: Draw) -> str:
    """Draw an architecture as SVG."""
    from supernet.workflow.delivery import draw_design

    return draw_design(call.architecture, call.out)


def told(call: Draw, result: str) -> None:
    """Say what was written."""
    typer.echo(result, err=True)


COMMAND = Command(run, Draw, "supernet draw darts-v2 --out cell.svg", show=told)
