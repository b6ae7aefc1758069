"""The command ``search``: its settings, its flags and what runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from supernet.commands.call import Resumable
from supernet.commands.command import Command
from supernet.errors import InputError
from supernet.settings.flags import Flag
from supernet.settings.given import Settings
from supernet.settings.quantities import Count, Epochs, Seconds
from supernet.settings.sections import (
    CELLS,
    CHANNELS,
    AlarmSettings,
    Baseline,
    Bounds,
    DataSettings,
    Estimator,
    JudgeSettings,
    Machine,
    Open,
    PriceSettings,
    SearcherSettings,
    TableFile,
    Text,
)


class Search(Machine):
    """Settings of a search."""

    command: Literal["search"] = "search"
    method: Annotated[Text | None, Flag(required=True)] = Field(
        default=None, description="a strategy or a searcher (supernet list methods)"
    )
    space: Annotated[Text | None, Flag("--space")] = Field(default=None, description="a search space (supernet list spaces)")
    task: Annotated[Text | None, Flag("--task")] = Field(
        default=None, description="what is learnt (supernet list tasks); none: the first task that the space is for"
    )
    epochs: Annotated[Epochs, Flag("--epochs")] = Field(default=50, description="passes over the training data")
    steps: Annotated[Count | None, Flag("--steps")] = Field(default=None, description="training steps in all, instead of epochs")
    seconds: Seconds | None = Field(
        default=None, description="a budget instead of epochs: a few steps are timed, and the number that fits is kept in budget.json"
    )
    data: DataSettings = DataSettings()
    table: TableFile = TableFile()
    supernet: Annotated[Open, CHANNELS, CELLS] = Field(default={}, description="of the network that is searched: those of the space")
    network: Open = Field(default={}, description="of the evaluation network that is described and limited: those of the space")
    strategy: Open = Field(default={}, description="of the method: those of its paper")
    weights: Open = Field(default={}, description="of the training of the weights")
    initial: Text | None = Field(default=None, description="a safetensors file that the supernet starts from, where names and shapes fit")
    searcher: SearcherSettings = SearcherSettings()
    trials: Annotated[Count, Flag("--trials")] = Field(default=200, description="architectures that a searcher tries, as whole estimates")
    estimator: Estimator = Estimator()
    limits: Bounds = Bounds()
    price: PriceSettings = PriceSettings()
    baseline: Baseline = Baseline()
    alarm: AlarmSettings = AlarmSettings()
    judge: JudgeSettings = JudgeSettings()


SEARCH: Settings = Search().model_dump()


class SearchCall(Resumable):
    """What is said of one call of ``search``."""

    recipe: Annotated[Text | None, Flag("--recipe")] = Field(
        default=None, description="lengths and sizes: paper, those of the paper of the method; short, minutes on two cores"
    )


def run(call: SearchCall) -> dict[str, Any]:
    """Search for an architecture on data, or on a benchmark table."""
    from supernet.recipes import under
    from supernet.workflow.searching import plan_of, search_run

    method = call.flags["method"]
    settings = call.settled(Search, under(SEARCH, call.recipe, method, call.flags["space"]))
    folder = call.out or Path("runs") / f"{method}-{settings['space']}-{settings['seed']}"
    if call.resume:
        settings = call.settled(Search, config=call.stored(folder))
    if settings["space"] is None:
        raise InputError("no search space: give --space (supernet list spaces)")
    return (plan_of if call.dry_run else search_run)(settings, folder, call.resume)


def holds(result: dict[str, Any]) -> bool:
    """Whether what was found keeps the bounds that were asked for."""
    from supernet.workflow.finishing import keeps_bounds

    return keeps_bounds(result)


COMMAND = Command(run, SearchCall, "supernet search darts --space darts --data digits --epochs 5 --out runs/first", Search, holds=holds)
