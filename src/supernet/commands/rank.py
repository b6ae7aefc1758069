"""The command ``rank``: its flags and what runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from supernet.commands.call import Planned
from supernet.commands.command import Command
from supernet.commands.stored import search_in
from supernet.errors import InputError
from supernet.settings.commands import Rank
from supernet.settings.flags import Flag
from supernet.settings.sections import Device, File, Text


class RankCall(Planned):
    """What is said of one call of ``rank``."""

    run: Annotated[Path, Flag(required=True)] = Field(description="the folder of a search that trained a supernet")
    table: Annotated[File | None, Flag("--table", "PATH")] = Field(default=None, description="a benchmark table of the space, an .npz file")
    column: Annotated[Text | None, Flag("--column")] = Field(default=None, description="the table's column that counts; none: by the table")
    dataset: Annotated[Text | None, Flag("--dataset")] = Field(default=None, description="the data set of the table; none: cifar10")
    runs: Annotated[Path | None, Flag("--runs", "DIR")] = Field(
        default=None, description="in the place of a table, a folder of retrainings, or of searches that train each architecture"
    )
    device: Annotated[Device | None, Flag("--device")] = Field(
        default=None, description="where it runs: cpu, cuda, cuda:1, mps; none: as the search"
    )


def run(call: RankCall) -> dict[str, Any]:
    """Compare how a search's shared weights rank architectures with how training on their own ranks them.

    A score is computed once and kept in the run: the same command goes on where it was stopped.
    """
    from supernet.estimators.tabular import Table
    from supernet.plan.search import plan_search
    from supernet.workflow.ranking import Against, rank_run, stand_alone
    from supernet.workflow.trained import trained_run

    if (call.table is None) == (call.runs is None):
        raise InputError("rank compares with --table FILE or with --runs DIR, one of them")
    if call.runs is not None and (call.column or call.dataset):
        raise InputError("--column and --dataset are of a table: give --table, or leave them out")
    settings = call.settled(Rank)
    plan = plan_search(search_in(call.run, call.device)).scored_as(settings.estimator)
    with trained_run(call.run, plan) as trained:
        if call.table is not None:
            table = Table.read(call.table, call.column, None, call.dataset, trained.supernet.space)
            against = Against(table, f"{table.search_column} of {Path(call.table).name}")
        else:
            against = stand_alone(Path(str(call.runs)), plan.space.name, trained.supernet, trained.task.judged)
        if call.dry_run:
            scoring = {"calibration": trained.calibration, "examples": trained.examples}
            return {"settings": {**settings.model_dump(), "estimator": scoring}, "against": against.said}
        return rank_run(trained, against, settings.samples, settings.seed)


COMMAND = Command(run, RankCall, "supernet rank runs/one-shot --table nb201.npz --samples 200 --json", Rank)
