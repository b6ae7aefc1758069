"""The command ``rank``: its flags and what runs it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from supernet.commands.call import Planned
from supernet.commands.command import Command
from supernet.commands.stored import search_in
from supernet.errors import InputError, without_effect
from supernet.settings.commands import Rank, RankEstimators
from supernet.settings.flags import Flag
from supernet.settings.sections import Device, File, Text

if TYPE_CHECKING:
    from supernet.metrics import Score
    from supernet.space import SearchSpace
    from supernet.workflow.ranking import Against


class RankCall(Planned):
    """What is said of one call of ``rank``."""

    run: Annotated[Path | None, Flag()] = Field(
        default=None, description="the folder of a search that trained a supernet; none: estimators are ranked (--space, --estimator)"
    )
    table: Annotated[File | None, Flag("--table", "PATH")] = Field(default=None, description="a benchmark table of the space, an .npz file")
    column: Annotated[Text | None, Flag("--column")] = Field(default=None, description="the table's column that counts; none: by the table")
    dataset: Annotated[Text | None, Flag("--dataset")] = Field(default=None, description="the data set of the table; none: cifar10")
    runs: Annotated[Path | None, Flag("--runs", "DIR")] = Field(
        default=None, description="in the place of a table, a folder of retrainings, or of searches that train each architecture"
    )
    device: Annotated[Device | None, Flag("--device")] = Field(
        default=None, description="where it runs: cpu, cuda, cuda:1, mps; none: as the search, without one on the cpu"
    )
    out: Annotated[Path | None, Flag("--out")] = Field(default=None, description="without a run, the folder that keeps the scores")


def run(call: RankCall) -> dict[str, Any]:
    """Compare how shared weights, or estimators that need no supernet, rank architectures with how training on their own ranks them.

    A score is computed once and kept in the run, or in --out: the same command goes on where it was stopped.
    """
    if (call.table is None) == (call.runs is None):
        raise InputError("rank compares with --table FILE or with --runs DIR, one of them")
    if call.runs is not None and (call.column or call.dataset):
        raise InputError("--column and --dataset are of a table: give --table, or leave them out")
    return by_estimators(call) if call.run is None else by_weights(call, call.run)


def by_weights(call: RankCall, folder: Path) -> dict[str, Any]:
    """Rank by the shared weights of the run in ``folder``."""
    from supernet.plan.search import plan_search
    from supernet.workflow.ranking import rank_run
    from supernet.workflow.trained import trained_run

    own = ("samples", "seed")
    for idle in (name for name, value in {**call.flags, "out": call.out}.items() if value is not None and name not in own):
        raise without_effect(f"{idle} beside a run", "the run says what is ranked and by what")
    settings = call.settled(Rank)
    plan = plan_search(search_in(folder, call.device)).scored_as(settings.estimator)
    with trained_run(folder, plan) as trained:
        against = against_of(call, plan.space.name, trained.supernet.space, trained.task.judged)
        if call.dry_run:
            scoring = {"calibration": trained.calibration, "examples": trained.examples}
            return {"settings": {**settings.model_dump(), "estimator": scoring}, "against": against.said}
        return rank_run(trained, against, settings.samples, settings.seed)


def by_estimators(call: RankCall) -> dict[str, Any]:
    """Rank by estimators on data."""
    from supernet.plan.estimators import plan_estimators
    from supernet.run import check_writable
    from supernet.workflow.estimators import rank_estimators

    settings = call.settled(RankEstimators)
    plan = plan_estimators(settings, call.device or "cpu")
    out = call.out or Path("runs") / f"rank-{settings.space}-{settings.seed}"
    check_writable(out)
    against = against_of(call, plan.space.name, plan.choices, plan.task.judged)
    if call.dry_run:
        return {"settings": {**settings.model_dump(), **plan.config}, "against": against.said, "examples": plan.task.counts}
    return rank_estimators(plan, against, settings.samples, settings.seed, out)


def against_of(call: RankCall, name: str, space: SearchSpace, judged: Score) -> Against:
    """What is known of the architectures of a space by a table, or by the runs of a folder."""
    from supernet.estimators.tabular import Table
    from supernet.workflow.ranking import Against, stand_alone

    if call.table is None:
        return stand_alone(Path(str(call.runs)), name, space, judged)
    table = Table.read(call.table, call.column, None, call.dataset, space)
    return Against(table, f"{table.search_column} of {Path(call.table).name}")


COMMAND = Command(run, RankCall, "supernet rank runs/one-shot --table nb201.npz --samples 200 --json", RankEstimators)
