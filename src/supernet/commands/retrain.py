"""The command ``retrain``: its settings, its flags and what runs it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from supernet.commands.call import Resumable
from supernet.commands.command import Command
from supernet.settings.flags import Flag
from supernet.settings.given import Settings
from supernet.settings.quantities import Epochs
from supernet.settings.sections import AUXILIARY, CELLS, CHANNELS, Machine, Notation, Open, RetrainDataSettings, Text


class Retrain(Machine):
    """Settings of a retraining."""

    command: Literal["retrain"] = "retrain"
    architecture: Annotated[Notation | None, Flag(required=True)] = Field(
        default=None, description="a run, a file, a published name or a notation"
    )
    task: Annotated[Text | None, Flag("--task")] = Field(
        default=None, description="what is learnt (supernet list tasks); none: as the run has it, or the first task that the space is for"
    )
    epochs: Annotated[Epochs, Flag("--epochs")] = Field(default=600, description="passes over the training data")
    data: RetrainDataSettings = RetrainDataSettings()
    network: Annotated[Open, CELLS, CHANNELS, AUXILIARY] = Field(
        default={}, description="of the evaluation network: those of the source, then of the space"
    )
    retrain: Open = Field(default={}, description="drop path, auxiliary loss; of text, when to average")
    beside: bool = Field(default=True, description="train what stands beside too: of text, an LSTM as large")
    weights: Open = Field(default={}, description="of the training of the weights")
    initial: Text | None = Field(default=None, description="a safetensors file that the network starts from, where names and shapes fit")


RETRAIN: Settings = Retrain().model_dump()


def run(call: Resumable) -> dict[str, Any]:
    """Train the evaluation network of an architecture from nothing."""
    from supernet.workflow.retraining import plan_of, retrain_run

    name = re.sub(r"[^\w.-]+", "-", Path(call.flags["architecture"]).name)[:40].strip("-") or "network"
    folder = call.out or Path("runs") / f"{name}-retrained"
    settings = call.settled(Retrain, config=call.stored(folder))
    return (plan_of if call.dry_run else retrain_run)(settings, folder, call.resume)


COMMAND = Command(run, Resumable, "supernet retrain runs/first --data digits --epochs 30 --out runs/final", Retrain)
