"""One searcher with one seed on a benchmark table, and what it had found after each of several numbers of estimates."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

from supernet.costs.objective import Objective
from supernet.decided import by_models, named
from supernet.estimators.tabular import Table
from supernet.explore.loop import explore
from supernet.searchers import make_searcher, searcher_class
from supernet.searchers.assured import assured
from supernet.searchers.trust import models
from supernet.study.trace import Timed, Trace
from supernet.study.truth import Truth


@dataclass(frozen=True)
class Study:
    """Searchers on ``table``, whose results are looked at after each of ``at`` estimates, the last of which is the budget of a search.

    searchers: by the name that it is compared under, a searcher with its settings; others are of their own name, and as they are.
    objective: what is searched for, with bounds on what the table knows.
    Raises ``InputError`` where nothing in the table keeps the bounds.
    """

    table: Table
    at: tuple[int, ...]
    objective: Objective = field(default_factory=partial(Objective, ("validation",)))
    searchers: Mapping[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.table.check(self.objective.limits)

    @cached_property
    def truth(self) -> Truth:
        """The best that there is to be found."""
        return Truth.of(self.table, self.objective)

    def plans(self, name: str) -> bool:
        """Whether a searcher plans by how many estimates there will be, so that each of ``at`` is a search of its own."""
        return "budget" in inspect.signature(searcher_class(self.searcher(name))).parameters

    def method(self, name: str) -> Callable[[int], dict[str, Any]]:
        """``run`` of a searcher; raises ``InputError`` for one that is not known or not made with its settings."""
        searcher, settings = self._searcher(name)
        make_searcher(searcher, self.table.space(), **settings)
        return partial(self.run, name)

    def run(self, name: str, seed: int) -> dict[str, Any]:
        """The result of a searcher with a seed: a line of ``supernet compare``."""
        searches = {budget: self._search(name, seed, budget) for budget in (self.at if self.plans(name) else self.at[-1:])}
        whole = searches[self.at[-1]]
        at = {str(estimates): searches.get(estimates, whole)["trace"].at(estimates) for estimates in self.at}
        trials, trace = whole["trials"], whole["trace"]
        best = trials[0].architecture
        holds = {"holds": self.objective.feasible(self.table.costs(best))} if self.objective.limits else {}
        scores = {name: at[str(self.at[-1])][name] for name in ("validation", "test")}
        measured = {"searcher_seconds": whole["seconds"]}
        ended = {"evaluations": len(trials), "architecture": best, **holds, **whole["model"]}
        return {**scores, **ended, "at": at, **trace.lines(), "measured": measured}

    def facts(self, names: list[str]) -> dict[str, Any]:
        """What the document says beside the methods: at which numbers, the best of the table, which searchers plan by the number."""
        planned = {"planned_by_budget": [name for name in names if self.plans(name)]}
        front = {"front": self.truth.facts(self.objective)} if len(self.truth.reference) > 1 else {}
        columns = {"search": self.table.search_column, "report": self.table.report_column}
        return {"at": list(self.at), "best": dict(self.truth.best), **front, **planned, "columns": columns}

    def searcher(self, name: str) -> str:
        """The searcher that is compared under a name."""
        return self._searcher(name)[0]

    def _searcher(self, name: str) -> tuple[str, Mapping[str, Any]]:
        return self.searchers.get(name, (name, {}))

    def _search(self, name: str, seed: int, budget: int) -> dict[str, Any]:
        """One search: its trials, its trace, the seconds of its searcher, and how its model did."""
        space, limits, table = self.table.space(), self.objective.limits, self.table
        its, settings = self._searcher(name)
        searcher = Timed(make_searcher(its, space, seed, budget=budget, **settings))
        trace = Trace(table, self.objective, self.truth)
        costs = table.costs if limits or self.objective.minimise or self.objective.maximise != ("validation",) else None
        how: dict[str, Any] = {"costs": costs, "shares": table.shares, "progress": trace}
        trials = explore(space, assured(searcher, table.check(limits)), table.estimate, budget, self.objective, **how)
        model = named("model", by_models(models(searcher.state_dict())))
        return {"trials": trials, "trace": trace, "seconds": searcher.seconds, "model": model}
