"""Commands as data: which flags each has, and that a field of a model is all that a setting needs."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
import typer
from pydantic import Field
from typer.testing import CliRunner

from supernet.commands import COMMANDS
from supernet.commands.call import Planned, document
from supernet.commands.command import Command, function_of, parameter_of
from supernet.errors import InputError
from supernet.settings.flags import Flag, Section, settings_of
from supernet.settings.quantities import Count
from supernet.settings.sections import CHANNELS, Open

MACHINE = {"--seed", "--device", "--threads"}
DATA = {"--data", "--limit-data", "--batch-size", "--channels", "--cells"}
PLANNED = {"--config", "--set", "--dry-run", "--json"}
FLAGS = {  # what scripts of users rely on
    "search": {
        *(MACHINE | DATA | PLANNED | {"METHOD", "--space", "--table", "--out", "--resume", "--recipe", "--epochs", "--steps", "--trials"}),
        *("--estimator", "--searcher", "--baseline", "--max-params", "--max-macs", "--max-latency", "--latency-table", "--judge"),
        *("--budget", "--objective", "--workers", "--ray", "--slurm"),
    },
    "retrain": MACHINE | DATA | PLANNED | {"ARCHITECTURE", "--out", "--resume", "--epochs", "--auxiliary", "--from"},
    "evaluate": {"RUN", "--data", "--split", "--batch-size", "--device", "--json"},
    "describe": {
        *(
            "ARCHITECTURE",
            "--space",
            "--method",
            "--channels",
            "--cells",
            "--stem",
            "--input",
            "--classes",
            "--auxiliary",
            "--set",
            "--json",
        ),
    },
    "export": {"RUN", "--out", "--format", "--json"},
    "draw": {"ARCHITECTURE", "--out"},
    "report": {"RUN"},
    "compare": {
        *(DATA | PLANNED | {"METHODS", "--space", "--table", "--budget", "--seeds", "--out", "--device", "--threads", "--workers"}),
        *("--at", "--objective", "--max-latency", "--max-macs", "--max-params", "--latency-table"),
    },
    "profile": {
        *(PLANNED | MACHINE | {"--space", "--out", "--backend", "--batch-size", "--channels", "--cells", "--stem", "--input", "--classes"}),
        *("--emit", "--collect"),
    },
    "rank": {"RUN", "--table", "--runs", "--samples", "--seed", "--device", "--json"},
    "specialise": {
        *("RUN", "--out", "--max-latency", "--max-macs", "--max-params", "--latency-table", "--searcher", "--trials", "--device", "--json"),
    },
    "list": {"WHAT", "--cite", "--json"},
}


def flags(command: Command) -> set[str]:
    """The flags of a command, and in capitals what is given by its place."""
    of_run = settings_of(command.settings) if command.settings else ()
    every = [*settings_of(command.call), *(setting for setting in of_run if setting.name not in command.without)]
    return {setting.flag.name or setting.name.upper() for setting in every if setting.flag}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_flags_that_scripts_rely_on_are_there(name: str) -> None:
    assert flags(COMMANDS[name]) >= FLAGS[name]


def test_a_comparison_has_no_flags_for_what_it_decides() -> None:
    assert not flags(COMMANDS["compare"]) & {"--epochs", "--steps", "--seed", "--trials", "--seconds"}


class Walk(Section):
    """Settings of a command that is not there."""

    steps: Annotated[Count, Flag("--steps")] = Field(default=3, description="how far to go")
    network: Annotated[Open, CHANNELS] = Field(default={}, description="of the network")


class WalkCall(Planned):
    """What is said of one call of it."""


def walked(*words: str) -> Any:
    """The result of the command on a command line."""

    def run(call: WalkCall) -> dict[str, Any]:
        """Go some way."""
        return call.settled(Walk).model_dump()

    app = typer.Typer()
    app.command()(function_of(Command(run, WalkCall, "walk --steps 4", Walk, show=document)))
    return CliRunner().invoke(app, list(words))


def test_one_field_is_a_flag_with_its_type_its_default_its_bounds_and_its_help() -> None:
    assert "how far to go" in walked("--help").output.lower() and "3" in walked("--help").output
    assert "steps: 3" in walked().output and "steps: 5" in walked("--steps", "5").output and "steps: 6" in walked("--set", "steps=6").output
    assert "channels: 4" in walked("--channels", "4").output
    assert walked("--steps", "far").exit_code == 2
    refused = walked("--steps", "0").exception
    assert isinstance(refused, InputError) and str(refused) == "steps must be at least 1; got 0"


def test_two_settings_of_a_command_never_share_a_flag() -> None:
    class Double(Planned):
        other: Annotated[int | None, Flag("--steps")] = Field(default=None, description="another")

    with pytest.raises(AssertionError, match="share a flag"):
        function_of(Command(lambda call: call, Double, "walk", Walk))
    for command in COMMANDS.values():
        names = [parameter_of(s) for s in settings_of(command.call) if s.flag]
        assert len(names) == len(set(names))
