"""The command ``specialise``: its flags and what runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from supernet.commands.call import Planned
from supernet.commands.command import Command
from supernet.commands.stored import search_in
from supernet.settings.commands import Specialise
from supernet.settings.flags import Flag
from supernet.settings.quantities import milliseconds
from supernet.settings.sections import Device


class SpecialiseCall(Planned):
    """What is said of one call of ``specialise``."""

    run: Annotated[Path, Flag(required=True)] = Field(description="the folder of a search that trained a supernet")
    out: Annotated[Path, Flag("--out", required=True)] = Field(description="the folder to write, with a folder for each network")
    latency: Annotated[list[str] | None, Flag("--max-latency")] = Field(
        default=None, description="the highest latency, such as 12ms; may be repeated, as all bounds: a network for each combination"
    )
    macs: Annotated[list[float] | None, Flag("--max-macs")] = Field(default=None, description="the most multiply-adds of one image")
    params: Annotated[list[float] | None, Flag("--max-params")] = Field(default=None, description="the most parameters")
    tables: Annotated[list[str] | None, Flag("--latency-table")] = Field(
        default=None, description="latencies that supernet profile measured, or a published table; may be repeated, one a device"
    )
    device: Annotated[Device | None, Flag("--device")] = Field(
        default=None, description="where it runs: cpu, cuda, cuda:1, mps; none: as the search"
    )


def run(call: SpecialiseCall) -> list[dict[str, Any]] | dict[str, Any]:
    """Take networks for several bounds and devices out of a trained supernet, without training.

    An architecture is scored once, whatever number of bounds it is tried for, and its score is kept in the run of the supernet.
    """
    from supernet.plan.search import plan_search
    from supernet.plan.specialise import plan_specialise
    from supernet.run import check_writable
    from supernet.workflow.specialising import specialise_run
    from supernet.workflow.trained import trained_run

    settings = call.settled(Specialise)
    latencies = [milliseconds(text) for text in call.latency or ()]
    bounds = {"latency_table": call.tables or (), "latency": latencies, "macs": call.macs or (), "params": call.params or ()}
    check_writable(call.out)
    plan = plan_specialise(plan_search(search_in(call.run, call.device)), settings, bounds)
    with trained_run(call.run, plan.search) as trained:
        return plan.document if call.dry_run else specialise_run(trained, plan, call.out)


def holds(result: list[dict[str, Any]] | dict[str, Any]) -> bool:
    """Whether every network keeps its bounds; a dry run has none."""
    return not isinstance(result, list) or all(entry["holds"] for entry in result)


COMMAND = Command(
    run,
    SpecialiseCall,
    "supernet specialise runs/ofa --latency-table pixel.json --max-latency 8ms --out networks --json",
    Specialise,
    holds=holds,
)
