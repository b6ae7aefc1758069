"""What is said of one call of a command, beside settings: how to answer, where to write, whether to go on. None of it is stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from pydantic import Field

from supernet.settings.flags import Flag, Section
from supernet.settings.given import Settings, checked, resolve


class Call(Section):
    """A command that answers with a document."""

    as_json: Annotated[bool, Flag("--json")] = Field(
        default=False, description="print one JSON document on standard output and nothing else there"
    )


def document(call: Call, result: Any) -> None:
    """Print a result for a program, or for a person."""
    if call.as_json:
        typer.echo(json.dumps(result, allow_nan=False, default=str))
    else:
        plain = json.loads(json.dumps(result, default=str))
        typer.echo(yaml.safe_dump(plain, sort_keys=False, default_flow_style=None, width=120).rstrip())


class Settable(Call):
    """A command whose settings can be set by name; ``flags``: those that flags gave, by dotted names."""

    sets: Annotated[list[str] | None, Flag("--set", "a.b=c")] = Field(
        default=None, description="set any setting, for example weights.lr=0.05"
    )
    flags: Settings = Field(default={}, description="settings that flags gave")


class Planned(Settable):
    """A command whose settings can come from a file, and that can say what it would do."""

    config: Annotated[Path | None, Flag("--config")] = Field(
        default=None, description="settings from a YAML file, such as a run's config.yaml"
    )
    dry_run: Annotated[bool, Flag("--dry-run")] = Field(
        default=False, description="check everything and print all settings with their values; do nothing"
    )

    def settled(self, model: type[Section], defaults: Settings | None = None, config: Path | None = None) -> Settings:
        """The settings of a model: its defaults or ``defaults``, the file (``config`` or that of the call), ``--set``, flags.

        Raises ``InputError`` for a name that the model has not and a value that it does not allow.
        """
        base = model().model_dump() if defaults is None else defaults
        return checked(model, resolve(base, config or self.config, self.sets or [], self.flags))


class Resumable(Planned):
    """A command that writes a run, and can go on with one."""

    out: Annotated[Path | None, Flag("--out")] = Field(default=None, description="the folder of the run")
    resume: Annotated[bool, Flag("--resume")] = Field(default=False, description="go on with a run that was stopped")

    def stored(self, folder: Path) -> Path | None:
        """The settings that a run to be resumed was begun with; those of ``--config`` are for one that has not begun."""
        there = folder / "config.yaml"
        return there if self.resume and there.exists() else None
