"""The command ``search``: its flags and what runs it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from supernet.commands.call import Resumable
from supernet.commands.command import Command
from supernet.errors import InputError, without_effect
from supernet.files.readers import read_yaml
from supernet.settings.commands import Search
from supernet.settings.flags import Flag
from supernet.settings.sections import Text


class SearchCall(Resumable):
    """What is said of one call of ``search``."""

    recipe: Annotated[Text | None, Flag("--recipe")] = Field(
        default=None, description="lengths and sizes: paper, those of the paper of the method; short, minutes on two cores"
    )
    budget: Annotated[Text | None, Flag("--budget")] = Field(
        default=None, description="how long a supernet is trained, by a number with a unit: 10epochs, 500steps, 120s"
    )


def run(call: SearchCall) -> dict[str, Any]:
    """Search for an architecture on data, or on a benchmark table."""
    from supernet.auto import AUTO
    from supernet.plan.search import plan_search
    from supernet.recipes import recipe
    from supernet.workflow.searching import search_run

    method = call.flags["method"]
    if method == AUTO:
        return advised(call)
    call = lengthened(call, method)
    check_flags(call, method)
    settings = call.settled(Search, recipe(call.recipe, method, call.flags["space"]) if call.recipe else None)
    folder = call.out or Path("runs") / f"{method}-{settings.space}-{settings.seed}"
    if call.resume:
        settings = call.settled(Search, config=call.stored(folder))
    if settings.space is None:
        raise InputError("no search space: give --space (supernet list spaces)")
    return call.carried_out(folder, lambda: plan_search(settings), search_run)


def advised(call: SearchCall) -> dict[str, Any]:
    """Search by the first method of ``supernet.plan.auto`` that space and data allow; a run that was begun goes on by its own."""
    from supernet.plan.auto import ADVICE, BUDGET, Advice, first
    from supernet.plan.budget import OF_TRAINING, budget_of
    from supernet.plan.search import SearchPlan, plan_search
    from supernet.workflow.searching import search_run

    idle = {"epochs": "auto takes --budget 10epochs", "steps": "auto takes --budget 500steps"}
    refuse(call, {**idle, "table.file": "auto trains on data; on a table name a searcher"})
    if call.recipe:
        raise without_effect("--recipe", "auto takes a method as it was best")
    folder = call.out or Path("runs") / f"auto-{call.flags['space']}-{call.flags['seed'] or 0}"
    amount, unit = budget_of(call.budget or BUDGET, OF_TRAINING)
    stored = call.stored(folder)
    able = [advice for advice in ADVICE if stored is None or advice.method == read_yaml(stored).get("method")]
    if not able:
        raise InputError(f"{folder} is a run of another method than auto takes: go on with the command that began it")

    def plan(advice: Advice) -> SearchPlan:
        length = advice.length(amount, unit) if call.budget or stored is None else {}
        own = call.model_copy(update={"flags": {**call.flags, **length, "method": advice.method}})
        check_flags(own, advice.method)
        made = plan_search(advice.settled(lambda under: own.settled(Search, under, stored)))
        print(f"note: {advice.said}", file=sys.stderr)
        return made

    return call.carried_out(folder, lambda: first(plan, able), search_run)


def lengthened(call: SearchCall, method: str) -> SearchCall:
    """The call with the length that its budget says, and no other.

    Raises ``InputError`` where a flag says another, and where no supernet is trained.
    """
    from supernet.plan.budget import OF_TRAINING, UNITS, budget_of
    from supernet.searchers import SEARCHERS

    if call.budget is None:
        return call
    amount, unit = budget_of(call.budget, OF_TRAINING)
    if other := next((name for name in ("epochs", "steps") if call.flags[name] is not None), None):
        raise InputError(f"--budget and --{other} both say how long the training is: give one of them")
    if method in SEARCHERS:
        raise without_effect("--budget", f"{method} trains no supernet; --trials says how many architectures it tries")
    others = [f"{name}=null" for name in ("steps", "seconds") if name != UNITS[unit]]  # of a file of settings
    return call.model_copy(update={"flags": {**call.flags, UNITS[unit]: amount}, "sets": [*(call.sets or []), *others]})


def check_flags(call: SearchCall, method: str) -> None:
    """Refuse flags of data beside a table, of a supernet beside a searcher alone, and of a searcher beside a method that needs none."""
    from supernet.launched import launched
    from supernet.searchers import SEARCHERS
    from supernet.strategies import STRATEGIES

    if method in SEARCHERS:
        if launched():
            raise InputError(f"ranks train one network together, and {method} tries many, each by itself: leave torchrun out")
        call.check_table()
        alone = {"searcher.name": f"{method} is a searcher itself"}
        alone["epochs"] = f"{method} trains no supernet; --set estimator.epochs=N says how long each architecture is trained"
        refuse(call, alone)
    elif method in STRATEGIES and call.flags["searcher.name"] is None and STRATEGIES[method].load(call.flags["space"]).decides:
        refuse(call, {"trials": f"{method} decides on an architecture by itself, and tries none unless --searcher names what does"})


def refuse(call: SearchCall, idle: Mapping[str, str]) -> None:
    """Refuse the flags of settings that would change nothing; ``idle``: why not, by setting."""
    for name, reason in idle.items():
        if call.flags[name] is not None:
            raise without_effect(f"--{name.removesuffix('.name').removesuffix('.file')}", reason)


def holds(result: dict[str, Any]) -> bool:
    """Whether what was found keeps the bounds that were asked for."""
    from supernet.workflow.finishing import keeps_bounds

    return keeps_bounds(result)


COMMAND = Command(run, SearchCall, "supernet search darts --space darts --data digits --epochs 5 --out runs/first", Search, holds=holds)
