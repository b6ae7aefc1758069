"""Several methods on the same problem, over the same seeds, with random search always among them.

Why: Li, Talwalkar 2019, https://arxiv.org/abs/1902.07638; Yang et al. 2020, https://arxiv.org/abs/1912.12522
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from supernet.errors import InputError, RunError
from supernet.explore.executor import LOST
from supernet.files.lines import Lines
from supernet.files.readers import read_text
from supernet.files.records import result_of
from supernet.files.whole import make_folder, write_whole
from supernet.metrics import Score
from supernet.run import held
from supernet.summary import Result, summary
from supernet.workers import Workers
from supernet.workers.within import InTurn

Run = Callable[[int], Result]  # of a method with a seed


def compare(
    names: Iterable[str],
    method: Callable[[str], Run],
    seeds: Sequence[int],
    out: Path,
    *,
    space: str,
    budget: str,
    settings: Callable[[str], Mapping[str, Any]] = lambda name: {},
    metric: Score | None = None,
    facts: Mapping[str, Any] | None = None,
    begin: Callable[[int, int], None] = lambda total, done: None,
    progress: Callable[[str, int], None] = lambda name, seed: None,
    workers: Callable[[Callable[[str, int], Result]], AbstractContextManager[Workers | InTurn]] = InTurn,
) -> dict[str, Any]:
    """Run every method with every seed and sum up: the document of ``supernet compare --json``.

    names: the methods; "random" is added where it is missing. method: name -> what runs it, seed -> result.
    out: a folder; each result is a line of its ``results.jsonl``, and what is there already is not run again. The document itself is
    ``compare.json``. space, budget: as text, for the document. settings: method -> what else its results depend on (data, columns), as
    plain data.
    metric: what the scores are, where that is known; larger is better otherwise. facts: further entries of the document.
    begin: called with the number of runs, and how many of them are known. progress: called with method and seed after each other.
    workers: makes of (method, seed) -> result what makes such calls; it is left, and ends them, where one failed or Ctrl-C was pressed.

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
    of = {name: json.loads(json.dumps({"space": space, "budget": budget, "settings": settings(name)})) for name in wanted}

    try:
        make_folder(out)
        if (out / "config.yaml").exists():
            raise InputError(f"{out} holds a run; give another folder")
        lock = held(out)
        try:
            found = _found(out / "results.jsonl", of)
            kept = Lines(out / "results.jsonl")
            missing = [(name, seed) for seed in seeds for name in runs if (name, seed) not in found]
            begin(len(runs) * len(seeds), len(runs) * len(seeds) - len(missing))
            with workers(partial(_timed, runs)) as made:
                sent = {(name, seed): made.submit(name, seed) for name, seed in missing}
                for (name, seed), handle in sent.items():
                    result, lost = handle.result()
                    result["measured"] |= {LOST: lost} if lost else {}
                    found[name, seed] = {"method": name, "seed": seed, **of[name], **result}
                    kept.append(json.dumps(found[name, seed]))
                    progress(name, seed)
            document = summary({name: [found[name, seed] for seed in seeds] for name in wanted}, metric is None or metric.larger)
            document |= {"metric": {"name": metric.name, **metric.facts()}} if metric else {}
            document |= {"space": space, "seeds": len(seeds), "budget": budget, **(facts or {})}
            write_whole(out / "compare.json", json.dumps(document, indent=2) + "\n")
        finally:
            lock.release()
    except OSError as error:
        raise RunError(f"cannot write the comparison to {out}: {error}") from error
    return document


def _timed(runs: Mapping[str, Run], name: str, seed: int) -> Result:
    """The result of a method with a seed, with the seconds that it took."""
    start = perf_counter()
    result = runs[name](seed)
    return {**result, "measured": {"seconds": perf_counter() - start, **result.get("measured", {})}}


def _found(path: Path, of: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, int], Result]:
    """The results there are of the methods in ``of``, which says what they depend on; a last line cut short by a kill is removed."""
    if not path.exists():
        return {}
    text = read_text(path)
    if not text.endswith("\n"):
        text = text[: text.rfind("\n") + 1]
        write_whole(path, text)
    found: dict[tuple[str, int], Result] = {}
    for i, written in enumerate(text.splitlines(), start=1):
        line = result_of(written, f"line {i} of {path} is not a result of a comparison")
        if (name := line["method"]) not in of:
            continue
        found[name, line["seed"]] = line
        for key, value in of[name].items():
            if line.get(key) != value:
                raise InputError(f"{path.parent} holds {name} with the {key} {line.get(key)!r}, not {value!r}; give another folder")
    return found
