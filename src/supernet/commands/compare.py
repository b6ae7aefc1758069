"""The command ``compare``: its flags and what runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from supernet.commands.call import Planned
from supernet.commands.command import Command
from supernet.settings.commands import Compare
from supernet.settings.flags import Flag
from supernet.settings.sections import Text


class CompareCall(Planned):
    """What is said of one call of ``compare``."""

    methods: Annotated[Text, Flag(required=True)] = Field(
        description="methods, separated by commas; random is always among them; all: every searcher that fits the table"
    )
    budget: Annotated[Text, Flag("--budget")] = Field(
        default="300evals", description="a number with a unit: 300evals, 10epochs, 500steps, 120s"
    )
    seeds: Annotated[int, Flag("--seeds")] = Field(default=3, description="how many seeds, which count from 0")
    out: Annotated[Path | None, Flag("--out")] = Field(default=None, description="the folder of the run")


def run(call: CompareCall) -> dict[str, Any]:
    """Run several methods on the same space and budget over several seeds, and compare them with random search."""
    from supernet.plan.compare import plan_compare
    from supernet.recipes import recipe
    from supernet.run import check_writable
    from supernet.workflow.comparing import compare_run

    call.check_table()
    names = [name.strip() for name in call.methods.split(",") if name.strip()]
    if call.out:
        check_writable(call.out)
    settings = call.settled(Compare)

    def under(method: str) -> Compare:
        return call.settled(Compare, recipe(settings.recipe, method, settings.space)) if settings.recipe else settings

    plan = plan_compare(settings, names, call.budget, call.seeds, under)
    return plan.document if call.dry_run else compare_run(plan, call.out)


def holds(result: dict[str, Any]) -> bool:
    """Whether what each method found keeps the bounds that were asked for."""
    return all(entry.get("holds", True) for entry in result.get("methods", {}).values())


COMMAND = Command(
    run,
    CompareCall,
    "supernet compare evolution,local --space nasbench201 --table nb201.npz --budget 300evals --seeds 10",
    Compare,
    without=(
        *("method", "epochs", "steps", "seed", "batch_norms"),  # which the comparison decides
        *("estimator.workers", "estimator.ray", "estimator.slurm"),
        *("searcher.name", "estimator.name", "baseline.name"),
    ),
    holds=holds,
)
