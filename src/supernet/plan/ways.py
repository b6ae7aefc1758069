"""The three ways to an architecture, made of what a search chose."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from supernet.costs.limits import Limits, bound_by
from supernet.costs.passes import Passes, Uncounted
from supernet.estimators import ESTIMATORS
from supernet.estimators.curves import MedianStop
from supernet.estimators.scratch import FromScratch
from supernet.estimators.states import InFolder
from supernet.estimators.tabular import Table
from supernet.finals import Finals
from supernet.plan.bounds import bounds_of
from supernet.plan.chosen import Chosen
from supernet.plan.crew import crew_of
from supernet.plan.goals import goals_of
from supernet.plan.scoring import OnDataOf
from supernet.plan.supernets import Trained, build_supernet
from supernet.plan.watching import Watching
from supernet.searchers.lineage import LIVING, Followed, Lineage
from supernet.settings.commands import Search
from supernet.settings.given import keywords
from supernet.space import SearchSpace
from supernet.trying import default_objective
from supernet.ways.baseline import Baseline
from supernet.ways.on_data import OnData
from supernet.ways.on_table import OnTable
from supernet.ways.over_supernet import OverSupernet
from supernet.ways.pace import Length


def over_supernet(settings: Search, chosen: Chosen, trained: Trained, scorer: OnDataOf) -> OverSupernet:
    """Train a supernet on data."""
    limits = trained.limits
    if limits:
        limits.check()
    watching = Watching(trained.space, trained.method.decides, settings.alarm, chosen.judge, settings.judge.every)
    return OverSupernet(
        trained.task,
        build=lambda: build_supernet(trained.space, trained.sizes, settings.seed, settings.initial),
        sizes=trained.sizes,
        strategy=trained.on,
        searcher=None if chosen.opinion else chosen.asking.on,
        searched_by=trained.method.searched_by,
        length=length_of(settings),
        trials=settings.trials,
        calibration=settings.estimator.calibration,
        save_every=settings.save_every,
        seed=settings.seed,
        watch=watching.over,
        objective=goals_of(settings.objective, chosen.scored, trained.task) if settings.objective else None,
        limits=limits,
        baseline=baseline_of(settings, chosen, scorer, limits),
        examples=settings.estimator.examples,
        finals=finals_of(settings, scorer, "shared"),
        crew=crew_of(settings, chosen.opinion),
        count=settings.estimator.count,
    )


def on_data(settings: Search, chosen: Chosen, scorer: OnDataOf, space: SearchSpace, limits: Limits | None) -> OnData:
    """Score single architectures on data; refuses networks that the estimator cannot score."""
    known, lineage = chosen.scored.known, Lineage(space, settings.estimator.living or LIVING)
    score = partial(scorer.by, known, lineage=lineage)
    score()
    searcher = chosen.asking.on(space, limits.check() if limits else None)

    def kept_in(run: Path) -> dict[str, Any]:
        stop = {"stop": MedianStop(scorer.task.judged, run / "curves.jsonl")} if settings.estimator.stop else {}
        return {"states": InFolder(run.absolute() / "inherited"), **stop}

    return OnData(
        scorer.task,
        space,
        searcher=Followed(searcher, lineage) if known.inherits else searcher,
        estimate=lambda steps, run: score(epochs=settings.estimator.epochs, steps=steps, **kept_in(run)),
        train=lambda task: replace(scorer, task=task).by(ESTIMATORS["scratch"], epochs=1),
        objective=bound_by(limits, goals_of(settings.objective, chosen.scored, scorer.task)),
        judged=bound_by(limits, default_objective(scorer.task)),
        finals=partial(finals_of, settings, scorer, "nothing"),
        build=scorer.network,
        sizes=scorer.sizes,
        length=length_of(settings),
        trials=settings.trials,
        seed=settings.seed,
        limits=limits,
        passes=Passes() if known.inherits or settings.estimator.count or settings.baseline.name else Uncounted(),
        crew=crew_of(settings, decides=False),
        along=lambda architecture: {"origin": lineage.origin(architecture)} if known.inherits else {},
        at_once=1 if settings.estimator.ray or settings.estimator.slurm else settings.estimator.workers or 1,
        trains="steps" in keywords(known.load()),
        baseline=baseline_of(settings, chosen, scorer, limits),
    )


def on_table(settings: Search, chosen: Chosen, space: SearchSpace, table: Table, limits: Limits | None) -> OnTable:
    """Look architectures up; what the table tells is bound by its own numbers, ``limits`` are on other costs."""
    if not table.shares:
        chosen.asking.check_parts(space, "table", "name a column of shorter trainings, such as --set table.cheaper.val12=0.06")
    told = {name: most for name, most in bounds_of(settings.limits).items() if name in table.priced}
    objective = replace(goals_of(settings.objective, chosen.scored, None), limits={**(limits.aims if limits else {}), **told})
    way = OnTable(space, table, chosen.asking.on(space), objective, settings.trials, limits, crew_of(settings, decides=False))
    known = [one for one in (table.check(told), limits.check() if limits else None) if one is not None]
    feasible = next((one for one in known if objective.feasible(way.costs(one))), None)
    return replace(way, searcher=chosen.asking.on(space, feasible))


def finals_of(settings: Search, scorer: OnDataOf, start: Literal["shared", "nothing"], steps: int | None = None) -> Finals:
    """Which of the best are trained in the end, from what, and how long: in so many ``steps`` each, else for estimator.epochs."""
    return Finals(settings.estimator.finals, partial(scorer.further, settings.estimator.epochs, steps), start)


def baseline_of(settings: Search, chosen: Chosen, scorer: OnDataOf, limits: Limits | None) -> Baseline | None:
    """Random search of equal cost, where it was asked for."""
    if settings.baseline.name is None:
        return None

    def train(steps: int | None) -> FromScratch:
        trained: FromScratch = scorer.by(ESTIMATORS["scratch"], epochs=1, steps=steps)
        return trained

    feasible, crew = limits.check() if limits else None, crew_of(settings, chosen.opinion)
    return Baseline(scorer.task, settings.baseline.trials, train, settings.seed, limits, feasible, crew)


def length_of(settings: Search) -> Length:
    """How long a search trains."""
    return Length(settings.epochs, settings.steps, settings.seconds)
