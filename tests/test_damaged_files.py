"""Files that say something else than they should: refused in one line that names them, or read; never another exception, never a wait."""

from __future__ import annotations

import copy
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
import yaml
from torch import nn

import supernet
from supernet.commands.stored import recipe_in
from supernet.costs.latency.predictor import Predictor, fit_predictor
from supernet.costs.latency.published import kind_of, lookup
from supernet.costs.latency.table import LatencyTable
from supernet.costs.objective import Objective
from supernet.errors import InputError, RunError
from supernet.estimators.tabular import Table
from supernet.explore.trial import Trial
from supernet.files.readers import json_of, read_text
from supernet.files.records import check_trials, read_architecture, read_pace, read_vocabulary, result_of
from supernet.modules.weights import warm_start
from supernet.naming.lookup import design
from supernet.run import read_config, read_history
from supernet.settings.commands import Search
from supernet.settings.given import settled
from supernet.space import Choice, SearchSpace

ODD: tuple[Any, ...] = (None, "x", "", [], {}, [1], {"a": 1}, True, -1, 0, 1.5, 1e30, float("nan"), 10**9, 10**40, [[[]]], "3x32x32")
TEXTS = ("", "[" * 200_000, '{"a":' * 50_000, "9" * 6000, "{", "\x00", "null", "[1, 2]", '"x"', "{}", '{"steps": NaN}')

RETRAINED = {
    **{"format": 1, "space": "nasbench201", "settings": {"classes": 10, "channels": 4, "cells": 1, "shape": [1, 8, 8]}},
    "choices": {"1<0": "none", "2<0": "skip_connect", "2<1": "none", "3<0": "none", "3<1": "none", "3<2": "avg_pool_3x3"},
    "genotype": "|none~0|+|skip_connect~0|none~1|+|none~0|none~1|avg_pool_3x3~2|",
    "found_by": {"method": "random", "seed": 0},
    "scores": {"validation": 0.5},
    "costs": {"params": 1, "macs": 2},
    "limits": {"params": {"bound": 3, "holds": True}},
    "trained": {"epochs": 1, "data": "digits", "classes": ["0", "1"]},
}
CHAIN = {
    **{"format": 1, "space": "fbnet", "settings": {"stem": "cifar", "shape": [1, 16, 16], "widths": [8] * 7, "depths": [1] * 7, "head": 8}},
    "choices": {f"layer.{i}": "k3e1" for i in range(7)},
}


def places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in plain data; of entries that are all of one plain type, which are read alike, the first two."""
    yield path
    entries = list(content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ())
    alike = {type(value) for _, value in entries} in ({int}, {str}, {float})
    for key, value in entries[:2] if alike else entries:
        yield from places(value, (*path, key))


def damaged(content: Any) -> Iterator[tuple[Any, Any]]:
    """``content`` with an odd value at each place, and with each entry left out."""
    for path in places(content):
        for odd in ODD:
            if not path:
                yield odd, (path, odd)
                continue
            whole = copy.deepcopy(content)
            at = whole
            for key in path[:-1]:
                at = at[key]
            at[path[-1]] = odd
            yield whole, (path, odd)
        if path and isinstance(path[-1], str):
            whole = copy.deepcopy(content)
            at = whole
            for key in path[:-1]:
                at = at[key]
            del at[path[-1]]
            yield whole, (path, "left out")


def one_line_or_read(read: Callable[[], Any], what: object) -> bool:
    began = time.monotonic()
    try:
        read()
        return True
    except (InputError, RunError) as error:
        assert "\n" not in str(error) and len(str(error)) < 1500, what
        return False
    except Exception as error:
        pytest.fail(f"{str(what)[:300]}: {type(error).__name__}: {error!s:.300}")
    finally:
        assert time.monotonic() - began < 10, what


def space() -> SearchSpace:
    return SearchSpace([Choice("a", ("x", "y")), Choice("b", ("x", "y", "z"))])


def table() -> dict[str, Any]:
    entries = [{"choices": ["a"], "options": [o], "value": 1.0, "spread": 0.1} for o in "xy"]
    entries += [{"choices": ["b"], "options": [o], "value": 1.0, "spread": 0.1} for o in "xyz"]
    return {
        **{"format": 1, "kind": "latency", "space": "own", "settings": {"channels": 4}, "shape": [3, 8, 8]},
        "choices": {"a": ["x", "y"], "b": ["x", "y", "z"]},
        "machine": {"processor": "abacus", "threads": 1},
        "costs": {"latency": {"unit": "ms", "entries": entries}},
        "parts": {"stem": 1.0},
        "fit": {"offset": 0.1, "scale": 1.0},
        "validation": {"points": [[1.0, 1.1], [2.0, 2.1]]},
    }


def predictor(path: Path) -> dict[str, Any]:
    known = list(space().enumerate())
    fit_predictor(space(), known * 4, [1.0 + i for i in range(len(known))] * 4, kind="boosting").write(path)
    content: dict[str, Any] = json.loads(path.read_text())
    content["trees"] = content["trees"][:1]
    return content


def use_table(path: Path) -> None:
    kind_of(path)
    found = LatencyTable.read(path)
    found.table(space())
    assert found.underestimate >= 0
    found.differs({"processor": "other"})


def use_predictor(path: Path) -> None:
    Predictor.read(path).predict(space(), {"a": "x", "b": "z"})


def use_trial(path: Path) -> None:
    line = json_of(read_text(path), str(path))
    check_trials([line], path)
    Trial.of_line(line, Objective(maximise=("accuracy",)))


TRIAL = {
    **{"trial": 1, "architecture": {"a": "x", "b": ["y", 2]}, "scores": {"accuracy": 0.5}, "outcome": "scored", "costs": {"macs": 3.0}},
    **{"fidelity": 0.5, "wanted": 1.0, "asked": 2, "forgotten": [1], "multiply_adds": 5, "measured": {"seconds": 0.1}},
}
READERS: dict[str, tuple[Callable[[Path], Any], Any]] = {
    "architecture.json": (lambda path: design(str(path)).describe(), RETRAINED),
    "architecture.json of a chain": (lambda path: design(str(path)).network(), CHAIN),
    "architecture.json of an own module": (read_architecture, {**RETRAINED, "space": "own", "genotype": None}),
    "vocabulary.json": (read_vocabulary, ["a", "b"]),
    "budget.json": (read_pace, {"steps": 3, "seconds": 1.0}),
    "results.jsonl": (
        lambda path: result_of(read_text(path), str(path)),
        {"method": "random", "seed": 0, "evaluations": 3, "validation": 0.5, "test": 0.4, "measured": {"seconds": 1.0}},
    ),
    "a trial of history.jsonl": (use_trial, TRIAL),
    "latency table": (use_table, table()),
    "latency predictor": (use_predictor, None),
    "published table": (lambda path: (kind_of(path), lookup(path)), {"expanded_conv-input:1x1x1-output:1x1x1": {"mean": 1.0}}),
    "config.yaml": (
        lambda path: settled(Search, path),
        {"epochs": 3, "data": {"limit": 4}, "weights": {"lr": 0.1}},
    ),
}


@pytest.mark.parametrize("kind", READERS)
def test_a_file_with_odd_content_is_refused_in_one_line_or_read(kind: str, tmp_path: Path) -> None:
    read, content = READERS[kind]
    path = tmp_path / ("file.yaml" if kind == "config.yaml" else "file.json")
    content = predictor(tmp_path / "predictor.json") if content is None else content
    path.write_text(json.dumps(content))
    assert one_line_or_read(lambda: read(path), "as it was written")
    for whole, what in damaged(content):
        path.write_text(json.dumps(whole))
        one_line_or_read(lambda: read(path), what)


@pytest.mark.parametrize("kind", READERS)
def test_what_is_no_such_file_at_all_is_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    read, content = READERS[kind]
    path = tmp_path / "file"
    for text in TEXTS:
        path.write_text(text)
        if kind != "vocabulary.json" or text != "[1, 2]":
            one_line_or_read(lambda: read(path), text[:40])
    path.write_bytes(b"\xff\xfe{}" * 10)
    assert not one_line_or_read(lambda: read(path), "bytes")
    if content is not None:
        path.write_text(json.dumps(content)[:-5])
        assert not one_line_or_read(lambda: read(path), "cut short")


@pytest.mark.parametrize("read", [read_architecture, read_vocabulary, read_pace, LatencyTable.read, kind_of], ids=lambda f: f.__qualname__)
def test_pipes_folders_and_missing_files_are_refused_and_not_waited_for(read: Callable[[Path], Any], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, message in (("pipe", "not an ordinary file"), (".", "a folder"), ("nowhere", "does not exist")):
        with pytest.raises(InputError, match=message):
            read(tmp_path / name)


NO_CONFIGURATION = (
    *("[" * 5_000, "9" * 6000, "\x00", "null", "a: &a [*a]", "!!binary x", "2001-99-99", "- " * 2000, "{1: 2}", "resolved: 3"),
)


@pytest.mark.parametrize("text", NO_CONFIGURATION)
def test_a_configuration_that_is_none_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(text)
    one_line_or_read(lambda: read_config(tmp_path), text[:40])
    one_line_or_read(lambda: settled(Search, tmp_path / "config.yaml"), text[:40])


def test_aliases_that_grow_without_end_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    (tmp_path / "config.yaml").write_text("\n".join(lines))
    with pytest.raises(InputError, match="too many values"):
        read_config(tmp_path)


def test_histories_with_other_lines_are_refused_by_line(tmp_path: Path) -> None:
    for line in ("[1]", "3", '{"a":' * 100_000, "9" * 6000, "{"):
        (tmp_path / "history.jsonl").write_text(f'{{"epoch": 1}}\n{line}\n{{"epoch": 2}}\n')
        with pytest.raises(InputError, match="line 2"):
            read_history(tmp_path)


def test_weights_cut_short_anywhere_are_refused_in_one_line(tmp_path: Path) -> None:
    net, path = nn.Sequential(nn.Linear(3, 2)), tmp_path / "weights.safetensors"
    supernet.run.Run(tmp_path / "run", {}).write_weights(net, torch.zeros(1, 3))
    content = (tmp_path / "run/weights.safetensors").read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        assert not one_line_or_read(lambda: warm_start(net, path), length)


def use_arrays(path: Path, arrays: dict[str, Any]) -> None:
    numpy.savez(path, **{k: v for k, v in arrays.items() if v is not None})
    found = Table.read(path)
    for architecture in found.space().enumerate():
        found.report(architecture), found.estimate(architecture)


def test_a_benchmark_table_with_odd_arrays_is_refused_in_one_line_or_read(tmp_path: Path) -> None:
    ops = numpy.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    plain = {"ops": ops, "op_names": numpy.array(["a", "b"]), "val": numpy.ones(4), "test": numpy.ones(4), "params": numpy.ones(4)}
    plain |= {"choices": numpy.array(["x", "y"]), "datasets": numpy.array(["one"]), "edges": numpy.array([[0, 1], [0, 2]])}
    odd: tuple[Any, ...] = (None, 3, "x", [], [[1]], ["a"], numpy.full(4, numpy.nan), numpy.ones((4, 1, 1, 1)), numpy.full((4, 2), -1))
    odd += (numpy.array([1 + 1j] * 4), numpy.full((4, 2), 10**12), numpy.array([True] * 4), numpy.array(["2001"] * 4, "datetime64"))
    use_arrays(tmp_path / "table.npz", plain)
    for name in plain:
        for value in odd:
            one_line_or_read(lambda: use_arrays(tmp_path / "table.npz", {**plain, name: value}), (name, value))  # noqa: B023
    content = (tmp_path / "table.npz").read_bytes()
    for length in range(0, len(content), 97):
        (tmp_path / "cut.npz").write_bytes(content[:length])
        assert not one_line_or_read(lambda: Table.read(tmp_path / "cut.npz"), length)


def test_evaluating_a_run_whose_configuration_was_damaged_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "architecture.json").write_text(json.dumps(RETRAINED))
    for text in ("{}", "command: [1]", "data: 3", "data: {source: [1]}", "seed: x", "command: retrain\ndata: {text: 3}"):
        (tmp_path / "config.yaml").write_text(text)
        one_line_or_read(lambda: recipe_in(tmp_path), text)


def test_yaml_of_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(Search().model_dump()))
    assert settled(Search, tmp_path / "config.yaml") == Search()
