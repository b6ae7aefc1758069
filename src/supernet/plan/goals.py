"""What a search is after, by the names of scores and costs."""

from __future__ import annotations

from supernet.costs.limits import COSTS
from supernet.costs.objective import Objective
from supernet.errors import InputError, unknown
from supernet.metrics import LOSS
from supernet.plan.scoring import Scored
from supernet.searchers import FRONTS, LED_BY_NONE
from supernet.tasks.kind import Kind


def names_of(text: str | None) -> list[str]:
    """The names in a text such as accuracy,macs; raises ``InputError`` where one is missing or there twice."""
    names = [name.strip() for name in text.split(",")] if text else []
    if "" in names or len(set(names)) < len(names):
        raise InputError(f"--objective is names that differ, separated by commas, for example accuracy,macs; got {text!r}")
    return names


def priced_by(text: str | None) -> list[str]:
    """The goals that are costs."""
    return [name for name in names_of(text) if name in COSTS]


def goals_of(text: str | None, scored: Scored, task: Kind | None) -> Objective:
    """The goals that were named, scores before costs; where none were, what ``scored`` raises, else what the task is judged by.

    Raises ``InputError`` for a goal that nothing tells.
    """
    names, usual = names_of(text), scored.goal(task)
    if not names:
        return usual
    if scored.known.raised:
        larger = {scored.known.raised: True}
    else:
        assert task is not None, "a table raises a score of its own"
        larger = {name: metric.score(name).larger for name, metric in task.metrics.items()} | {LOSS.name: LOSS.larger}
    for name in names:
        if name not in larger and name not in COSTS:
            raise unknown("goal", name, [*larger, *COSTS])
    first = [name for name in names if name in larger]
    if not first:
        raise InputError(f"--objective {text} has costs alone: the cheapest network is known without a search; add {next(iter(larger))}")
    raised, lowered = ([name for name in first if larger[name] is way] for way in (True, False))
    return Objective(tuple(raised), (*lowered, *(name for name in names if name in COSTS)))


def led_by_first(searcher: str, objective: Objective | None) -> list[str]:
    """What is to be said of a searcher that looks at the first of several goals alone."""
    goals = (*objective.maximise, *objective.minimise) if objective else ()
    if len(goals) < 2 or searcher in (*FRONTS, *LED_BY_NONE):
        return []
    return [f"{searcher} is led by {goals[0]} alone, and only shows which trials are best by all; {', '.join(FRONTS)} search for these"]
