"""The command ``compare``: its settings, its flags, the searches that it is made of and what runs it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from supernet.commands.call import Planned
from supernet.commands.command import Command
from supernet.commands.retrain import Retrain
from supernet.commands.search import SEARCH, Search
from supernet.settings.flags import Flag, Section
from supernet.settings.given import Settings, checked, overlaid
from supernet.settings.quantities import Count, Epochs
from supernet.settings.sections import Machine, Open, Text

if TYPE_CHECKING:
    from supernet.workflow.comparing import Comparison


class Final(Section):
    """The training of each network that a comparison found."""

    epochs: Epochs = Field(default=10, description="of the training of each network that was found")
    weights: Open = Field(default={}, description="of that training: those of retrain")


class Compare(Search):
    """Settings of a comparison; a run's config.yaml of a search says what its searches are like."""

    command: Literal["compare", "search"] = "compare"  # type: ignore[assignment]
    trials: Count = Field(default=4, description="of searchers on data, where the budget is not in evals")
    workers: Annotated[Count, Field(le=256), Flag("--workers")] = Field(default=1, description="how many run at once; each is a process")
    final: Final = Final()
    methods: dict[str, Open] = Field(default={}, description="settings of one of the methods, by its name")


COMPARE: Settings = Compare().model_dump()


class CompareCall(Planned):
    """What is said of one call of ``compare``."""

    methods: Annotated[Text, Flag(required=True)] = Field(description="methods, separated by commas; random is always among them")
    budget: Annotated[Text, Flag("--budget")] = Field(
        default="300evals", description="a number with a unit: 300evals, 10epochs, 500steps, 120s"
    )
    seeds: Annotated[int, Flag("--seeds")] = Field(default=3, description="how many seeds, which count from 0")
    out: Annotated[Path | None, Flag("--out")] = Field(default=None, description="the folder of the run")


def run(call: CompareCall) -> dict[str, Any]:
    """Run several methods on the same space and budget over several seeds, and compare them with random search."""
    from supernet.workflow.comparing import compare_run, plan_of

    names = [name.strip() for name in call.methods.split(",") if name.strip()]
    return (plan_of if call.dry_run else compare_run)(comparison(names, call.settled(Compare), call.budget, call.seeds), call.out)


def comparison(names: list[str], settings: Settings, budget: str, seeds: int) -> Comparison:
    """What is compared, with the settings of each method's search and of the training of what it finds."""
    from supernet.searchers import SEARCHERS
    from supernet.workflow.comparing import UNITS, Comparison, budget_of

    amount, unit = budget_of(budget)
    wanted = list(dict.fromkeys(names)) + ([] if "random" in names else ["random"])
    searches, finals = {}, {}
    for name in wanted:
        own = {k: v for k, v in settings.items() if k in SEARCH}
        own |= {"command": "search", "method": name, UNITS[unit]: amount}
        if unit == "epochs" and name in SEARCHERS:
            own["estimator"] = {**own["estimator"], "epochs": max(amount // own["trials"], 1)}
        own = checked(Search, overlaid(own, settings["methods"].get(name, {})))
        searches[name], finals[name] = own, checked(Retrain, {**{k: own[k] for k in Machine.model_fields}, **settings["final"]})
    return Comparison(settings, searches, finals, budget, amount, unit, seeds)


def holds(result: dict[str, Any]) -> bool:
    """Whether what each method found keeps the bounds that were asked for."""
    return all(entry.get("holds", True) for entry in result.get("methods", {}).values())


COMMAND = Command(
    run,
    CompareCall,
    "supernet compare evolution,local --space nasbench201 --table nb201.npz --budget 300evals --seeds 10",
    Compare,
    without=(
        *("method", "epochs", "steps", "seed"),  # which the comparison decides
        *("searcher.name", "estimator.name", "baseline.name", "judge.file"),
        *("limits.latency_table", "limits.latency", "limits.macs", "limits.params"),
    ),
    holds=holds,
)
