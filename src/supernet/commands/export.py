"""The command ``export``: its flags and what runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from supernet.commands.call import Call
from supernet.commands.command import Command
from supernet.commands.stored import recipe_in
from supernet.settings.flags import Flag


class Export(Call):
    """What is said of one call of ``export``."""

    run: Annotated[Path, Flag(required=True)] = Field(description="the folder of a run with weights")
    out: Annotated[Path, Flag("--out", required=True)] = Field(description="the folder to write")
    formats: Annotated[list[str] | None, Flag("--format")] = Field(
        default=None, description="a format: onnx, torch or safetensors; may be repeated; none: all three"
    )


def run(call: Export) -> dict[str, Any]:
    """Write a run's network in formats that run without Supernet, each checked against its outputs."""
    from supernet.workflow.delivery import export_run, load

    network, (recipe, _) = load(call.run), recipe_in(call.run)
    formats = tuple(call.formats or ("onnx", "torch", "safetensors"))
    return export_run(call.run, network, recipe.kind, recipe.data, call.out, formats)


COMMAND = Command(run, Export, "supernet export runs/final --out exported --format onnx --format safetensors")
