"""The way to an architecture over a supernet."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from supernet.costs.limits import Limits
from supernet.costs.objective import Objective
from supernet.estimators.shared import SharedWeights
from supernet.explore.workers import ALONE, Crew
from supernet.finals import Finals
from supernet.layers.base import Supernet
from supernet.randomness import seed_everything
from supernet.run import Run
from supernet.search import Watch, search
from supernet.searchers import Searcher
from supernet.settings.given import Settings
from supernet.space import SearchSpace
from supernet.tasks.kind import Kind
from supernet.trying import Found
from supernet.ways.ahead import Ahead, Batches, ahead
from supernet.ways.baseline import Baseline
from supernet.ways.pace import Length


@dataclass(frozen=True)
class OverSupernet:
    """Train a supernet by a method, and ask the method or a searcher.

    ``build``: makes the supernet, which was seeded; ``sizes``: what it is built with. ``strategy``: the method on a supernet and a task;
    prices adapt, so each call makes one of its own. ``searcher``: what tries architectures; None: the method decides by itself;
    ``searched_by``: the name of that which the method has of its own. ``watch``: what looks on, told which epoch is the last.
    ``objective``: what the searcher is after, where the user says it.
    ``examples``: of how many validation examples the scores are by which a searcher compares; None: all.
    ``finals``: which of the best are trained further in the end, and how.
    ``crew``: who makes the estimates. ``baseline``: random search of equal cost, where it is to stand beside.
    ``count``: whether multiply-adds are counted, as they are beside a baseline.
    ``limits``: where anything is bound or priced.
    """

    task: Kind
    build: Callable[[], Supernet]
    sizes: Settings
    strategy: Callable[[Supernet, Kind], Any]
    searcher: Callable[[SearchSpace], Searcher] | None
    searched_by: str
    length: Length
    trials: int
    calibration: int
    save_every: float
    seed: int
    watch: Callable[[Run, Supernet, int], Watch]
    objective: Objective | None = None
    limits: Limits | None = None
    baseline: Baseline | None = None
    examples: int | None = None
    finals: int | Finals = 1
    crew: Crew = ALONE
    count: bool = False

    def ahead(self, batches: Batches) -> Ahead:
        """What the training of the supernet takes."""

        def begin(task: Kind) -> Any:
            supernet = self.build()
            task.place(supernet)
            return self.strategy(supernet, task)

        return ahead(begin, self.task, batches)

    def find(self, run: Run) -> Found:
        """Search in a run; what was found, with its baseline."""
        task, start = self.task, self.task.data.state_dict()
        task.keep(run)
        supernet = self.build()
        task.place(supernet)
        steps = self.length.in_steps(lambda: self.strategy(deepcopy(supernet), task), task, run)
        seed_everything(self.seed)
        strategy = self.strategy(supernet, task)
        last = self.length.epochs if steps is None else -(-steps // strategy.steps(task.data))
        found = search(
            supernet,
            task,
            strategy,
            epochs=self.length.epochs,
            steps=steps,
            out=run,
            searcher=self.searcher(supernet.space) if self.searcher else None,
            trials=self.trials,
            objective=self.objective,
            limits=self.limits,
            calibration=self.calibration,
            examples=self.examples,
            finals=self.finals,
            save_every=self.save_every,
            watch=self.watch(run, supernet, last),
            count=self.count or self.baseline is not None,
            crew=self.crew,
        )
        assert found.supernet
        if not found.finals or found.network is None:
            found.network = SharedWeights(found.supernet, task, batches=self.calibration).network(found.architecture)
        run.write_weights(found.network, *task.example)  # so that what is delivered scores what is said
        found.data = {"preprocessing": task.preprocessing, **task.about}
        found.built = {**self.sizes, **strategy.built}
        if self.baseline:
            task.forget(start)
            self.baseline.beside(found, supernet.space, run)
        return found
