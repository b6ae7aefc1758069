"""Several methods on the same problem, over the same seeds, with random search always among them.

Why: Li, Talwalkar 2019, https://arxiv.org/abs/1902.07638; Yang et al. 2020, https://arxiv.org/abs/1912.12522
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from statistics import fmean, stdev
from time import perf_counter
from typing import Any

from supernet.costs.objective import Objective
from supernet.decided import by_seeds
from supernet.errors import InputError, RunError
from supernet.estimators.tabular import Table
from supernet.explore.loop import explore
from supernet.files.readers import read_text
from supernet.files.records import result_of
from supernet.files.whole import write_whole
from supernet.metrics import Score
from supernet.run import held
from supernet.searchers import make_searcher
from supernet.searchers.assured import Assured

Result = Mapping[str, Any]  # {"validation", "test"?, "evaluations", ...} of one method and seed
SCORES = ("validation", "test")


def compare(
    names: Iterable[str],
    method: Callable[[str], Callable[[int], Result]],
    seeds: Sequence[int],
    out: Path,
    *,
    space: str,
    budget: str,
    settings: Mapping[str, Any] | None = None,
    metric: Score | None = None,
    progress: Callable[[str, int], None] | None = None,
    workers: int = 1,
    stop: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Run every method with every seed and sum up: the document of ``supernet compare --json``.

    names: the methods; "random" is added where it is missing. method: name -> what runs it, seed -> result.
    out: a folder; each result is a line of its ``results.jsonl``, and what is there already is not run again. The document itself is
    ``compare.json``. space, budget: as text, for the document. settings: what else the results depend on (data, columns), plain data.
    metric: what the scores are, where that is known; larger is better otherwise.
    progress: called with method and seed before each run. workers: how many runs at once, in threads (a run should be a process).
    stop: called where one of them failed or Ctrl-C was pressed, to end those that still run.

    ``std`` is the sample standard deviation over seeds (n - 1 in the denominator; 0 of one seed). ``over_random`` is the mean paired
    difference from random search with its 95 % confidence interval by Student's t (none of fewer than three seeds); ``decided`` says
    of each score whether the method and random search differ.
    Raises ``InputError`` where ``out`` holds something else, ``RunError`` where another process compares there or it cannot be written.
    """
    if not seeds:
        raise InputError("a comparison needs at least one seed")
    wanted = list(dict.fromkeys(names))
    wanted += [] if "random" in wanted else ["random"]
    runs = {name: method(name) for name in wanted}  # so that an unknown name ends it before work starts
    of = json.loads(json.dumps({"space": space, "budget": budget, "settings": settings or {}}))

    def one(place: tuple[str, int]) -> dict[str, Any]:
        name, seed = place
        if progress:
            progress(name, seed)
        start = perf_counter()
        line = {"method": name, "seed": seed, **of, **runs[name](seed)}
        return {**line, "measured": {"seconds": perf_counter() - start, **line.get("measured", {})}}

    try:
        out.mkdir(parents=True, exist_ok=True)
        if (out / "config.yaml").exists():
            raise InputError(f"{out} holds a run; give another folder")
        lock = held(out)
        try:
            found = _found(out / "results.jsonl", of)
            missing = [(name, seed) for name in runs for seed in seeds if (name, seed) not in found]
            for line in _each(one, missing, workers, stop):
                found[line["method"], line["seed"]] = line
                _append(out / "results.jsonl", line)
            document = summary({name: [found[name, seed] for seed in seeds] for name in wanted}, metric is None or metric.larger)
            document |= {"metric": {"name": metric.name, **metric.facts()}} if metric else {}
            document |= {"space": space, "seeds": len(seeds), "budget": budget}
            write_whole(out / "compare.json", json.dumps(document, indent=2) + "\n")
        finally:
            lock.release()
    except OSError as error:
        raise RunError(f"cannot write the comparison to {out}: {error}") from error
    return document


def _each(
    run: Callable[[tuple[str, int]], dict[str, Any]], places: Sequence[tuple[str, int]], workers: int, stop: Callable[[], None]
) -> Iterator[dict[str, Any]]:
    """The results of all ``places``, in their order, so many at once."""
    if workers == 1:
        yield from map(run, places)
        return
    with ThreadPoolExecutor(workers) as pool:
        try:
            yield from pool.map(run, places)
        except BaseException:
            stop()  # the pool waits for what it has begun
            raise


def _append(path: Path, line: Mapping[str, Any]) -> None:
    """Add a line, and see it on the disk."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())


def on_table(
    table: Table,
    evaluations: int,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    limits: Mapping[str, float] | None = None,
) -> Callable[[str], Callable[[int], Result]]:
    """Methods for ``compare``: searchers by name on a table, each with so many evaluations; ``settings`` by searcher.

    ``limits``: bounds on "params" and "macs". Raises ``InputError`` where nothing in the table keeps them.
    """
    space, feasible = table.space(), table.check(limits or {})
    objective = Objective(("validation",), limits=limits or {})

    def method(name: str) -> Callable[[int], Result]:
        chosen = (settings or {}).get(name, {})
        make_searcher(name, space, **chosen)  # refuses unknown names and settings

        def run(seed: int) -> Result:
            searcher = make_searcher(name, space, seed, budget=evaluations, **chosen)
            asked = searcher if feasible is None else Assured(searcher, feasible)
            how: dict[str, Any] = {"costs": table.costs if limits else None, "shares": table.shares}
            trials = explore(space, asked, table.estimate, evaluations, objective, **how)
            best = trials[0].architecture
            holds = {"holds": objective.feasible(table.costs(best))} if limits else {}
            scores = {**table.estimate(best), "test": table.report(best)["test"]}
            return {**scores, "evaluations": len(trials), "architecture": best, **holds}

        return run

    return method


def summary(results: Mapping[str, Sequence[Result]], larger: bool = True) -> dict[str, Any]:
    """Mean and deviation of each method, and its paired difference from "random"; results of all methods in the same order of seeds.

    ``larger``: whether larger scores are better.
    """
    methods: dict[str, Any] = {}
    for name, lines in results.items():
        entry: dict[str, Any] = {}
        for score in (s for s in SCORES if all(s in line for line in lines)):
            entry[score] = _spread([line[score] for line in lines])
        evaluations = fmean(line["evaluations"] for line in lines)
        entry["evaluations"] = int(evaluations) if evaluations == int(evaluations) else evaluations
        for cost in (c for c in ("params", "macs") if all(c in line for line in lines)):
            entry[cost] = _spread([line[cost] for line in lines])
        if all("holds" in line for line in lines):
            entry["holds"] = all(line["holds"] for line in lines)
        entry["measured"] = {"seconds": sum(line["measured"]["seconds"] for line in lines)}
        for measure, what in (("seconds_per_step", fmean), ("peak_memory_mb", max)):
            if all(measure in line["measured"] for line in lines):
                entry["measured"][measure] = what([line["measured"][measure] for line in lines])
        if name != "random":
            entry["over_random"] = {
                score: _paired([line[score] - base[score] for line, base in zip(lines, results["random"], strict=True)])
                for score in SCORES
                if score in entry and all(score in line for line in results["random"])
            }
            over = entry["over_random"].items()
            entry["decided"] = {score: by_seeds(**paired, seeds=len(lines), larger=larger) for score, paired in over}
        methods[name] = entry
    return {"methods": methods}


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"mean": fmean(values), "std": stdev(values) if len(values) > 1 else 0.0}


def _paired(differences: Sequence[float]) -> dict[str, float | None]:
    """The mean difference and its 95 % confidence interval; none of two, whose quantile of 12.7 makes it say nothing."""
    mean, n = fmean(differences), len(differences)
    if n < 3:
        return {"mean": mean, "low": None, "high": None}
    stdtrit = import_module("scipy.special").stdtrit  # slow to import, and needed here only
    half = float(stdtrit(n - 1, 0.975)) * stdev(differences) / math.sqrt(n)
    return {"mean": mean, "low": mean - half, "high": mean + half}


def _found(path: Path, of: Mapping[str, Any]) -> dict[tuple[str, int], Result]:
    """The results there are; a last line cut short by a kill is removed from the file."""
    if not path.exists():
        return {}
    text = read_text(path)
    if not text.endswith("\n"):
        text = text[: text.rfind("\n") + 1]
        write_whole(path, text)
    found: dict[tuple[str, int], Result] = {}
    for i, written in enumerate(text.splitlines(), start=1):
        line = result_of(written, f"line {i} of {path} is not a result of a comparison")
        found[line["method"], line["seed"]] = line
        for key, value in of.items():
            if line.get(key) != value:
                raise InputError(f"{path.parent} holds a comparison with the {key} {line.get(key)!r}, not {value!r}; give another folder")
    return found
