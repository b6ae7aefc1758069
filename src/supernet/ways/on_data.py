"""The way to an architecture by scoring single ones on data: trained from nothing, or without any training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from supernet.costs.limits import Limits
from supernet.costs.objective import Objective
from supernet.costs.passes import Passes, Uncounted
from supernet.estimators.scratch import FromScratch
from supernet.explore.executor import Estimate
from supernet.explore.workers import ALONE, Along, Crew, nothing
from supernet.finals import Build, Finals, selected, trainings
from supernet.randomness import seed_everything
from supernet.run import Run
from supernet.searchers import Searcher
from supernet.settings.given import Settings
from supernet.space import SearchSpace
from supernet.tasks.kind import Kind
from supernet.trying import Found
from supernet.ways.ahead import Ahead, Batches, ahead
from supernet.ways.baseline import Baseline
from supernet.ways.pace import Length


@dataclass(frozen=True)
class OnData:
    """Ask a searcher, score what it asks for, tell it.

    ``estimate``: what scores an architecture, in so many steps where it trains, as ``trains`` says, and may keep files in a folder.
    ``train``: one training on a task, by which a budget in seconds is timed. ``objective``: with its limits; ``limits``: what
    architectures cost, where anything is bound or priced. ``finals``: which of the best are trained in the end, each in so many steps;
    ``build``: their fresh networks, of ``sizes``, which are compared by ``judged``. ``passes``: counts what the estimates compute, or
    nothing. ``crew``: who makes the estimates; ``along``: what a worker is sent with an architecture; ``at_once``: estimates that share
    this machine's memory. ``baseline``: random search of equal cost, where it is to stand beside.
    """

    task: Kind
    space: SearchSpace
    searcher: Searcher
    estimate: Callable[[int | None, Path], Estimate]
    train: Callable[[Kind], FromScratch]
    objective: Objective
    judged: Objective
    finals: Callable[[int | None], Finals]
    build: Build
    sizes: Settings
    length: Length
    trials: int
    seed: int
    limits: Limits | None = None
    passes: Passes = field(default_factory=Uncounted)
    crew: Crew = ALONE
    along: Along = nothing
    at_once: int = 1
    trains: bool = True
    baseline: Baseline | None = None

    def ahead(self, batches: Batches) -> Ahead | None:
        """What the training of one architecture takes, drawn at random; None where none is trained."""
        if not self.trains and self.finals(None).number == 1:
            return None
        drawn = self.space.sample(Random(self.seed))
        return ahead(lambda task: self.train(task).begin(drawn), self.task, replace(batches, processes=self.at_once))

    def find(self, run: Run) -> Found:
        """Search in a run; the best of the trials, or of the finals among them, and all trials."""
        start = self.task.data.state_dict()
        seed_everything(self.seed)
        drawn = self.space.sample(Random(self.seed))
        steps = self.length.in_steps(lambda: self.train(self.task).begin(drawn), self.task, run)
        trained = self.trials if self.trains else trainings(self.finals(None).number)
        each = None if steps is None else max(steps // trained, 1)
        finals = self.finals(each)
        found = selected(
            self.space,
            self.searcher,
            self.estimate(each, run.folder),
            self.trials,
            self.objective,
            finals if finals.number > 1 else None,
            self.build,
            self.judged,
            run,
            self.task,
            costs=self.limits.costs if self.limits else None,
            passes=self.passes,
            crew=self.crew,
            along=self.along,
        )
        if found.network is not None:
            run.write_weights(found.network, *self.task.example)
            found.built = dict(self.sizes)
        found.data = {"preprocessing": self.task.preprocessing, **self.task.about}
        if self.baseline:
            self.task.forget(start)
            self.baseline.beside(found, self.space, run)
        return found
