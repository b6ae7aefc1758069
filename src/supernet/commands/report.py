"""The command ``report``: its flags and what runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import Field

from supernet.commands.command import Command
from supernet.errors import InputError
from supernet.settings.flags import Flag, Section


class Report(Section):
    """What is said of one call of ``report``."""

    run: Annotated[Path, Flag(required=True)] = Field(description="the folder of a run")


def run(call: Report) -> Path:
    """Write a run's report.html anew."""
    from supernet.report.page import write_report

    if not call.run.is_dir():
        raise InputError(f"{call.run} is not the folder of a run")
    return write_report(call.run)


def told(call: Report, result: Path) -> None:
    """Say where it is."""
    typer.echo(result)


COMMAND = Command(run, Report, "supernet report runs/first", show=told)
