"""From a supernet, a task and a method to an architecture: the one path that the command line and a program share."""

from __future__ import annotations

import inspect
import itertools
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from supernet.costs.latency.predictor import Predictor
from supernet.costs.latency.table import LatencyTable
from supernet.costs.limits import Limits, missed
from supernet.costs.objective import Objective
from supernet.costs.passes import Passes, Uncounted
from supernet.decided import by_alphas, named
from supernet.derive import derive
from supernet.described import described, described_network
from supernet.errors import InputError, refuse_unknown
from supernet.estimators.shared import SharedWeights
from supernet.explore.workers import ALONE, Crew
from supernet.files.records import FORMAT
from supernet.files.typed import value_as
from supernet.finals import Finals, finals_of
from supernet.layers.base import Supernet, everything
from supernet.layers.blend import comparing
from supernet.mixture import Costing, Mix, Table
from supernet.randomness import seed_everything
from supernet.ranks import Ranks
from supernet.report.page import write_report
from supernet.run import Run
from supernet.searchers import Searcher, make_searcher
from supernet.searchers.assured import assured
from supernet.searchers.state import plain
from supernet.settings.given import keywords
from supernet.settings.quantities import Amount, Count, CountOrNone, Epochs, Seed
from supernet.space import SearchSpace
from supernet.stopping import one_at_a_time
from supernet.strategies import strategy as strategy_named
from supernet.strategies.weights import Weights
from supernet.task import Task
from supernet.train import Strategy, fit
from supernet.trying import Costs, Found, best_of, default_objective, objective_of, try_architectures

Watch = Callable[[Any, dict[str, Any]], dict[str, Any]]  # (strategy, a history line so far) -> further entries of it


@one_at_a_time()
def search(
    supernet: Supernet,
    task: Task,
    method: str | Strategy = "darts",
    *,
    epochs: int = 50,
    steps: int | None = None,
    out: str | Path | Run | None = None,
    resume: bool = False,
    seed: int = 0,
    searcher: str | Searcher | None = None,
    trials: int = 200,
    objective: Objective | None = None,
    limits: Mapping[str, float] | Limits | None = None,
    latency_table: LatencyTable | Predictor | str | Path | None = None,
    costs: Costs | None = None,
    calibration: int = 20,
    examples: int | None = None,
    finals: int | Finals = 1,
    save_every: float = 60.0,
    watch: Watch | None = None,
    count: bool = False,
    crew: Crew = ALONE,
    **settings: Any,
) -> Found:
    """Train ``supernet`` on ``task`` by ``method`` and return the architecture it finds.

    ``method``: a strategy's name, made with ``settings``, or a strategy, see ``SupernetStrategy``. One that ``decides`` is
    asked for its architecture, unless a ``searcher`` is named. A searcher, after other methods by default their own, tries ``trials``
    architectures by the shared weights, batch norms recalibrated on ``calibration`` batches each, and the best by ``objective`` (default:
    the loss, see ``SharedWeights``; of a method that could decide the task's first metric) within its limits on ``costs`` is taken.
    ``examples``: of how many validation examples, in whole batches, these scores are, the first of them; None: all. The score of what is
    found is of all.
    ``finals``: so many of the best are then trained for an epoch from the shared weights, and the best of them, by ``objective``
    (default: the task's first metric), is taken with its weights;
    or ``Finals``, which says how; 1: the best by shared weights is.
    ``limits``: the most that the derived network may have of "params", "macs", "activations" or "storage" (bytes), "bit_operations",
    "latency" (ms) or "energy" (mJ); the last two by ``latency_table``, which ``profile`` measures (latency less the table's
    ``underestimate``). A gradient method pays for what it expects to cost, ever more until the bound is kept, and derives within it; a
    searcher tries nothing beyond it. Found are ``costs`` too.
    ``watch(strategy, line)``: called at the end of every epoch with what the history line has so far, gives further entries of it.
    ``out``: a folder to write as a run, to be killed and resumed (``resume=True``, all else the same), saved every ``save_every`` seconds;
    ``supernet.load`` gives the derived network back. (A ``Run``: whoever opened it writes what was found.) The global seed is set where
    ``method`` is a name.
    ``count``: count the multiply-adds of every forward and backward pass that the search needs, while they are done: training, stages,
    tuning, calibration, scoring; not what only watches, nor the score of what was found in the end. Of long epochs one step in three
    or seven is looked at (``costs.passes.Passes``), so that methods whose steps draw what they run have it within some percent.
    ``crew``: who scores what a searcher asks for: this process, or workers at the same time, to whom supernet and task are pickled.
    Raises ``InputError`` for bad settings before any work, ``Interrupted`` after Ctrl-C or SIGTERM, ``RunError`` where another thread of
    this process searches: searches draw from random states that a process has once.
    """
    lengths = {"epochs": (Epochs, epochs), "steps": (Count | None, steps), "trials": (Count, trials), "seed": (Seed, seed)}
    lengths |= {"examples": (Count | None, examples)}
    for name, (kind, value) in {**lengths, "calibration": (CountOrNone, calibration), "save_every": (Amount, save_every)}.items():
        value_as(kind, value, name)
    if not isinstance(finals, Finals):
        finals = finals_of(value_as(Count, finals, "finals"), task, 1, seed)
    passes, own = Passes() if count else Uncounted(), not isinstance(out, Run)
    if limits is not None and not isinstance(limits, Limits):
        limits = limits_of(supernet, task, limits, latency_table)
    feasible = limits.check() if limits else None
    task.place(supernet)
    if isinstance(method, str):
        seed_everything(seed)
        known = strategy_named(method).load()
        check_names(method, known, settings)
        priced = limits.for_gradient(known.pricing) if limits and known.decides else {}
        strategy: Any = known(supernet, task, seed=seed, **priced, **settings)
    else:
        if settings:
            raise InputError(f"settings ({', '.join(settings)}) go to a strategy's name; a strategy that is made already takes none")
        strategy = method
    check_options(supernet, task)
    opinion = strategy.decides and searcher is None
    if not opinion:
        if strategy.narrows:
            raise InputError(f"{type(strategy).__name__} leaves out options while it trains: no searcher can choose among all of them")
        if not task.data.has("validation"):
            raise InputError("architectures are compared on validation data, and the task has none: give Task a validation loader")
        asked = searcher or strategy.searched_by
        asker = make_searcher(asked, supernet.space, seed, budget=trials) if isinstance(asked, str) else asked
        usual = default_objective(task)
        objective, last = objective or (usual if strategy.decides else objective_of(SharedWeights.judged)), objective or usual
        if limits:
            objective, last, costs = limits.on(objective), limits.on(last), costs or limits.costs
            asker = assured(asker, feasible)
    about = {"method": method if isinstance(method, str) else type(method).__name__, "seed": seed, "epochs": epochs, "steps": steps}
    given: dict[str, Any] = {"save_every": save_every, "calibration": calibration, "limits": limits, "costs": costs, "watch": watch}
    given |= {} if opinion else {"trials": trials, "searcher": asker, "objective": objective, "examples": examples, "finals": finals.number}
    given |= {"settings": settings, "strategy": strategy, "count": count}
    config = {**about, **{name: described(value) for name, value in given.items()}, **problem(supernet, task)}
    with opened(out, config, resume, task.ranks) as run:
        evaluated = strategy.decides and task.data.has("validation")

        def evaluate() -> dict[str, Any]:
            line = {"validation": strategy.evaluate()} if evaluated else {}
            return {**line, **(watch(strategy, line) if watch else {})}

        how: dict[str, Any] = {"steps": steps, "what": "searching", "save_every": save_every, "passes": passes, "ranks": task.ranks}
        history = fit(strategy, task.data, epochs, run, evaluate=evaluate, **how)
        with passes.counting():
            strategy.finish(task.data)
        supernet, space = strategy.supernet, strategy.supernet.space
        estimate = SharedWeights(supernet, task, batches=calibration, examples=None if opinion else examples)
        if opinion:
            arch = strategy.architecture()
            found = Found(space.matters(arch), estimate(arch) if evaluated else {}, supernet, history)
            if history and strategy.by_alphas:
                belief = {name: list(shares.values()) for name, shares in (history[-1].get("mixture") or {}).items()}
                found.decided |= named("alphas", by_alphas(belief))
        else:
            assert objective is not None
            best = try_architectures(space, asker, estimate, trials, objective, run, costs=costs, passes=passes, crew=crew)
            found = replace(best_of(best, space, objective, asker, estimate.compared), supernet=supernet, history=history)
            if estimate.compared is not task:
                found.scores = estimate.final(space.check(found.architecture))
            if finals.number > 1:
                found = finals.held(found, space, estimate.network, last, run, costs=costs, passes=passes, crew=crew)
                found.network = finals.winner(found, estimate.network)
        found.task, found.multiply_adds = task, passes.total
        hold(found, limits)
        if run:  # here, before anything else can train the supernet
            found.network = found.network or derive(supernet, found.architecture, *task.example)
            run.write_weights(found.network, *task.example)
        if own:
            deliver(found, about, run)
    return found


@contextmanager
def opened(out: str | Path | Run | None, config: Mapping[str, Any], resume: bool, ranks: Ranks) -> Iterator[Run | None]:
    """The run in a folder, which the first rank alone writes; one that is open, or none, as it is."""
    if not isinstance(out, str | Path):
        yield out
        return
    with ranks.folder(Path(out)) as own, Run(own, config, resume) as run:
        yield run


def check_names(method: str, made: Callable[..., Any], settings: Mapping[str, Any]) -> None:
    """Raise ``InputError``, with the name that was probably meant, for a setting that neither ``search`` nor the method has."""
    able, of_weights = keywords(made), keywords(Weights)
    strange = [name for name in settings if name not in able and name not in inspect.signature(made).parameters]
    for name in strange:
        if name in of_weights:
            raise InputError(f"{name} is a setting of how the weights are trained: give weights={{{name!r}: ...}}")
    refuse_unknown(f"setting of {method}", strange, {**able, **keywords(search)})


def check_options(supernet: Supernet, task: Task) -> None:
    """Run every option of every choice once on a few examples, before long work.

    Sizes are tried at their largest and at their smallest. Raises ``InputError`` for options whose outputs are unlike or that change what
    others get, with the choice's name, and for what ``Task.check`` refuses.
    """
    every = everything(supernet)
    sizes = {layer.choice.name: layer.choice.options[0] for layer in supernet.layers if layer.choice and not layer.structural}
    with comparing():
        task.check(supernet, every)
        if sizes:
            try:
                task.check(supernet, every | {name: Mix(None, (0,)) for name in sizes})
            except InputError as error:
                some = [f"{name} {size}" for name, size in itertools.islice(sizes.items(), 3)]
                raise InputError(f"with the smallest sizes ({', '.join(some)}{', ...' if len(sizes) > 3 else ''}) {error}") from error


def problem(supernet: Supernet, task: Task) -> dict[str, Any]:
    """What a search works on and where, to be compared when it is resumed."""
    return {
        "supernet": {**described_network(supernet), "choices": described(supernet.space)},
        "metrics": task.scores(),
        "task": {"loss": described(task.criterion), "autocast": described(task.autocast)},
        "data": task.data.lengths(),
        "device": str(task.device),
        "threads": torch.get_num_threads(),
    }


def limits_of(
    supernet: Supernet, task: Task, bounds: Mapping[str, float], latency_table: LatencyTable | Predictor | str | Path | None = None
) -> Limits:
    """Bounds on networks derived from ``supernet``, as ``search`` takes them; raises ``InputError`` for one that cannot be known."""
    measured, margin = _measured(latency_table, supernet.space)
    return Limits.of(supernet, task.sample(1), bounds, measured, margin)


def _measured(table: LatencyTable | Predictor | str | Path | None, space: SearchSpace) -> tuple[dict[str, Table | Costing], float]:
    """The costs that a table or a predictor has, over ``space``, and by which share it is wrong."""
    if table is None:
        return {}, 0.0
    if isinstance(table, Predictor):
        return {"latency": table}, 0.0
    read = table if isinstance(table, LatencyTable) else LatencyTable.read(Path(table))
    return {name: read.table(space, name) for name in read.costs}, read.underestimate


def hold(found: Found, limits: Limits | None) -> None:
    """Note in ``found`` what its architecture costs, and which of the ``limits`` hold of it."""
    if limits:
        found.costs = limits.costs(found.architecture)
        found.limits = limits.judged(found.costs)


def deliver(found: Found, about: Mapping[str, Any], run: Run | None) -> None:
    """Say which bounds are missed; write architecture and report into a run. Commands write theirs with the sizes of a built-in space."""
    for sentence in missed(found.limits, found.costs):
        print(f"warning: {sentence}", file=sys.stderr)
    if run is None:
        return
    stored = {"format": FORMAT, "space": "own", "settings": {}, "choices": plain(found.architecture), "found_by": about}
    stored |= {"scores": {f"validation_{k}": v for k, v in found.scores.items()}, "costs": found.costs}
    further = {"limits": found.limits, "finals": found.finals, "decided": found.decided}
    run.write_json("architecture.json", {**stored, **{name: entry for name, entry in further.items() if entry}})
    write_report(run.folder)
