"""What a search for several goals found: the networks that no other beats in all of them."""

from __future__ import annotations

from typing import Any

from supernet.costs.objective import Objective, covered
from supernet.naming.design import of_choices
from supernet.plan.search import SearchPlan
from supernet.run import Run
from supernet.searchers.state import plain
from supernet.trying import Found


def write_front(plan: SearchPlan, run: Run, found: Found) -> dict[str, Any]:
    """Write front.json, and give what it holds; nothing of a search with one goal.

    The hypervolume is the share of the box between the worst and the best of each goal, among the trials of the run, that the front
    dominates; None where a goal has one value throughout.
    """
    goals: Objective | None = plan.way.objective
    if goals is None or len(goals.maximise) + len(goals.minimise) < 2 or not found.trials:
        return {}
    networks = []
    for trial in found.front:
        there = of_choices(plan.space.name, plan.supernet.space.matters(trial.architecture), plan.network)
        networks.append({"choices": plain(there.choices or {}), "genotype": there.written(), "scores": trial.scores, "costs": trial.costs})
    largest = max((trial.fidelity for trial in found.trials), default=1.0)
    share = covered([trial.score for trial in found.trials if trial.score and trial.fidelity == largest])
    document = {"goals": {"maximise": list(goals.maximise), "minimise": list(goals.minimise)}, "hypervolume": share, "front": networks}
    run.write_json("front.json", document)
    return document
