"""A ranking by estimators before it is made: what they score, and on which data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from supernet.errors import InputError
from supernet.estimators import ESTIMATORS, Known, estimator_named
from supernet.estimators.compared import Scorer
from supernet.explore.executor import Metrics
from supernet.plan.recipe import recipe_of
from supernet.plan.resolved import config_of, use_threads
from supernet.plan.scoring import OnDataOf
from supernet.plan.supernets import sizes_of, sketch
from supernet.settings.commands import RankEstimators, Search
from supernet.settings.given import Settings, checked, keywords
from supernet.space import SearchSpace
from supernet.spaces import space as space_named
from supernet.spaces.record import Space
from supernet.task import usable
from supernet.tasks.kind import Kind


@dataclass(frozen=True)
class EstimatorsPlan:
    """Estimators of networks of a space, each scored as in a search on the same data; ``choices``: the architectures of the space.

    ``config``: all that a score depends on, as config.yaml of the folder holds it.
    """

    space: Space
    choices: SearchSpace
    task: Kind
    scorers: list[Scorer]
    config: Settings


def plan_estimators(settings: RankEstimators, device: str) -> EstimatorsPlan:
    """Read the data and make the estimators; refuses what they refuse. Raises ``InputError``; sets the number of threads."""
    if settings.space is None:
        raise InputError("what is to be ranked? give the folder of a search, or --space and --estimator (supernet list spaces, estimators)")
    known = estimators_of(settings)
    given = settings.model_dump(include={"space", "task", "seed", "supernet", "data"})
    search = checked(Search, {"method": "random", "device": str(usable(device)), **given})
    space, threads = space_named(settings.space), use_threads(settings.threads)
    recipe = recipe_of(search, space)
    task = recipe.kind.read(recipe.data, search)
    sizes = sizes_of(space, None, task.sizes, settings.supernet)
    choices = sketch(space, sizes).space
    scorer = OnDataOf(space, choices, task, sizes, recipe.weights, settings.seed)

    def scoring(name: str, each: Known) -> Scorer:
        def worth(metrics: Metrics) -> float:
            return metrics[each.raised] if each.raised else task.judged.worth(metrics[task.judged.name])

        return Scorer(name, scorer.by(each, epochs=settings.estimator.epochs), worth)

    decided = {"task": recipe.kind.name, "threads": threads, "device": device, "data": recipe.data}
    config = config_of(settings, decided, {"supernet": sizes, "weights": recipe.weights})
    config["estimator"] = {"epochs": settings.estimator.epochs}
    del config["samples"]  # on which no score depends: more can be scored later
    return EstimatorsPlan(space, choices, task, [scoring(name, each) for name, each in known.items()], config)


def estimators_of(settings: RankEstimators) -> Mapping[str, Known]:
    """The estimators that are named; refuses those that score nothing on data, and settings that none of them takes."""
    own = settings.estimator
    names = [name.strip() for name in (own.name or "").split(",") if name.strip()]
    if not names or len(set(names)) < len(names):
        raise InputError("give --estimator with names that differ, such as naswot,synflow (supernet list estimators)")
    known = {name: estimator_named(name) for name in names}
    able = ", ".join(name for name, each in ESTIMATORS.items() if each.needs == "data" and not each.inherits)
    for name in (name for name, each in known.items() if each.needs != "data" or each.inherits):
        raise InputError(f"{name} scores no networks on data alone: without a run, rank takes some of {able}")
    for idle in (name for name in ("calibration", "examples") if getattr(own, name) is not None):
        raise InputError(f"estimator.{idle} would have no effect: it is of shared weights, and without a run there are none")
    if own.epochs != 1 and not any("epochs" in keywords(each.load()) for each in known.values()):
        raise InputError(f"estimator.epochs would have no effect: {' and '.join(known)} train nothing")
    return known
