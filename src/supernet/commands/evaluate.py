"""The command ``evaluate``: its flags and what runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from supernet.commands.call import Call
from supernet.commands.command import Command
from supernet.commands.stored import recipe_in
from supernet.settings.flags import Flag
from supernet.settings.quantities import BatchSize
from supernet.settings.sections import Device, Machine, Text


class Evaluate(Call):
    """What is said of one call of ``evaluate``."""

    run: Annotated[Path, Flag(required=True)] = Field(description="the folder of a run with weights")
    data: Annotated[Text | None, Flag("--data")] = Field(default=None, description="a data set's name (supernet list data) or path")
    split: Annotated[Literal["test", "validation"], Flag("--split")] = Field(default="test", description="the split: test or validation")
    batch_size: Annotated[BatchSize | None, Flag("--batch-size")] = Field(
        default=None, description="examples a batch, not of text; none: 256"
    )
    device: Annotated[Device, Flag("--device")] = Field(default="cpu", description="where it runs: cpu, cuda, cuda:1, mps")


def run(call: Evaluate) -> dict[str, Any]:
    """Measure a run's network on a split of its data."""
    from supernet.workflow.delivery import evaluate_run, load

    network, (recipe, seed) = load(call.run), recipe_in(call.run)
    data = {**recipe.data, "source": call.data or recipe.data["source"]}
    return evaluate_run(call.run, network, recipe.kind, data, call.split, call.batch_size, Machine(seed=seed, device=call.device))


COMMAND = Command(run, Evaluate, "supernet evaluate runs/final --split test")
