"""What is said of one call of a command, beside settings: how to answer, where to write, whether to go on. None of it is stored."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar

import typer
import yaml
from pydantic import Field

from supernet.errors import without_effect
from supernet.settings.flags import Flag, Section
from supernet.settings.given import Model, Settings, settled

if TYPE_CHECKING:  # it imports PyTorch
    from supernet.ways.ahead import Ahead


class Promised(Protocol):
    """A plan: ``document``, what a dry run prints of it; ``config``, what config.yaml of its run holds; ``remarks``, said before it.

    ``ahead()``: what its training takes, by a few steps of it; None where nothing is trained.
    """

    def ahead(self) -> Ahead | None: ...

    @property
    def config(self) -> Settings: ...

    @property
    def document(self) -> dict[str, Any]: ...

    @property
    def remarks(self) -> Sequence[str]: ...


Plan = TypeVar("Plan", bound=Promised)
OF_DATA = {"data.source": "--data", "data.limit": "--limit-data", "data.batch_size": "--batch-size"}


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
        default=False,
        description="check everything and print all settings with their values, and what memory and time a training takes; write nothing",
    )

    def settled(self, model: type[Model], recipe: Settings | None = None, config: Path | None = None) -> Model:
        """The settings of a model: its defaults, a recipe, the file (``config`` or that of the call), ``--set``, flags."""
        return settled(model, config or self.config, self.sets or [], self.flags, recipe)


    def check_table(self) -> None:
        """Refuse flags of data beside a benchmark table, which stands in the place of data."""
        for name, flag in OF_DATA.items():
            if self.flags["table.file"] and self.flags[name] is not None:
                raise without_effect(flag, "on a table nothing is learnt from data")


class Resumable(Planned):
    """A command that writes a run, and can go on with one."""

    out: Annotated[Path | None, Flag("--out")] = Field(default=None, description="the folder of the run")
    resume: Annotated[bool, Flag("--resume")] = Field(default=False, description="go on with a run that was stopped")

    def stored(self, folder: Path) -> Path | None:
        """The settings that a run to be resumed was begun with; those of ``--config`` are for one that has not begun."""
        there = folder / "config.yaml"
        return there if self.resume and there.exists() else None

    def carried_out(self, folder: Path, plan: Callable[[], Plan], run: Callable[[Plan, Path, bool], dict[str, Any]]) -> dict[str, Any]:
        """What ``run`` makes of a ``plan`` in a folder, or what ``--dry-run`` prints of it; neither begins where it could not write."""
        from supernet.ranks import here
        from supernet.run import check_folder, check_writable
        from supernet.ways.ahead import advised

        with here().folder(folder) as own:
            check_folder(own, {}, self.resume)
            made = plan()
            for remark in made.remarks:
                print(f"note: {remark}", file=sys.stderr)
            if not self.dry_run:
                return advised(lambda: run(made, own, self.resume), made.ahead)
            check_folder(own, made.config, self.resume)
            check_writable(own)
            told = made.ahead()
            if told and told.short:
                print(f"note: {told.short}", file=sys.stderr)
            return {**made.document, **({"measured": told.measured} if told else {})}
