"""Odd values of every setting of every command: refused in one line, or taken; never another exception, never a wait."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import pytest
import torch
from pydantic import BaseModel
from torch import nn

from supernet import OneOf, Supernet, Task, search
from supernet.errors import InputError
from supernet.plan.chosen import choose
from supernet.searchers import SEARCHERS, searcher_class
from supernet.settings.commands import Compare, Profile, Retrain, Search
from supernet.settings.given import NOT_FOR_USERS, accepted, defaults, keywords, settled, value_of
from supernet.spaces import SPACES
from supernet.spaces import space as space_named
from supernet.strategies import STRATEGIES
from supernet.strategies.averaged import Averaged
from supernet.strategies.retrain import Retrain as Retraining
from supernet.strategies.weights import Weights

ODD = (
    *("[1]", "[]", "{}", "{a: 1}", "x", "''", "null", "true", "-1", "0", "1.5", "nan", "inf", "-inf", "1e30", "1e-300", "1e400"),
    *("1000000000000", "9" * 400, "[[[[1]]]]", "[.nan]", "[-1, 0]", "[1000000000000]", "x" * 5000),
)
TEXTS = ("2001-01-01", "2001-99-99", "!!binary x", "&a [*a]", "[" * 2000, "=", "a: b: c", "9" * 6000, "!!set {a}", "{1: 2}", "'\\0'", "\t-")
COMMANDS: dict[str, type[BaseModel]] = {"search": Search, "retrain": Retrain, "compare": Compare, "profile": Profile}
VALUES = [value_of(text) for text in ODD]


def names(values: dict[str, Any], path: str = "") -> Iterator[str]:
    """Every setting of a command, also the groups."""
    for name, value in values.items():
        yield f"{path}{name}"
        if isinstance(value, dict):
            yield from names(value, f"{path}{name}.")


def one_line_or_taken(function: Callable[[], Any], what: str) -> Any:
    began = time.process_time()
    try:
        return function()
    except InputError as error:
        assert "\n" not in str(error) and len(str(error)) < 700, what
    except Exception as error:
        pytest.fail(f"{what}: {type(error).__name__}: {error!s:.300}")
    finally:
        assert time.process_time() - began < 5, what
    return None


@pytest.mark.parametrize("text", TEXTS)
def test_a_value_that_is_no_plain_data_is_refused_in_one_line_or_text(text: str) -> None:
    found = one_line_or_taken(lambda: value_of(text), text[:40])
    assert found is None or isinstance(found, str)


@pytest.mark.parametrize("command", COMMANDS)
def test_odd_values_of_every_setting_are_refused_in_one_line_or_taken(command: str) -> None:
    model = COMMANDS[command]
    usual = model().model_dump()
    for name in names(usual):
        for value in VALUES:
            one_line_or_taken(lambda: settled(model, flags={name: value}), f"{name}={value!r:.40}")  # noqa: B023


def test_numbers_that_are_none_are_refused_by_the_name_of_their_setting() -> None:
    for name in ("epochs", "steps", "seconds", "trials", "seed", "threads", "data.limit", "data.batch_size", "judge.samples", "save_every"):
        for value in ("[1]", "x", "-1", "nan", "inf", "1e30", "true", "{}"):
            with pytest.raises(InputError, match=rf"{name} (must be|is)"):
                settled(Search, sets=[f"{name}={value}"])


def signatures() -> dict[str, tuple[Callable[..., Any], tuple[str, ...]]]:
    """What the open sections set: by name, what takes the settings and which of them are not for users."""
    found: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
        "weights": (Weights, NOT_FOR_USERS["weights"]),
        "retrain": (Retraining, NOT_FOR_USERS["retrain"]),
        "retrain of text": (Averaged, NOT_FOR_USERS["retrain"]),
    }
    found |= {f"strategy {name}": (STRATEGIES[name].load(), NOT_FOR_USERS["strategy"]) for name in STRATEGIES}
    found |= {f"searcher {name}": (searcher_class(name), NOT_FOR_USERS["searcher"]) for name in SEARCHERS}
    for name in SPACES:
        found |= {f"supernet {name}": (space_named(name).supernet.sizes, ()), f"network {name}": (space_named(name).network.sizes, ())}
    return found


@pytest.mark.parametrize("what", signatures())
def test_numbers_that_mean_nothing_are_refused_by_the_signature_that_takes_them(what: str) -> None:
    function, fixed = signatures()[what]
    for name in keywords(function, fixed):
        for value in (math.nan, math.inf, -math.inf, 1e30, 10**400, [math.nan], -1, 10**12):
            given = one_line_or_taken(lambda: accepted(what, function, {name: value}, fixed), name)  # noqa: B023
            assert given is None, f"{what}: {name}={value} is taken"


@pytest.mark.parametrize("name", ["epochs", "steps", "trials", "calibration", "seed", "save_every"])
@pytest.mark.parametrize("value", [math.nan, math.inf, 1e30, -1, "3", [1]])
def test_lengths_that_are_no_numbers_are_refused_in_python_too(name: str, value: Any) -> None:
    net = Supernet(nn.Sequential(OneOf({"a": nn.Linear(2, 2), "b": nn.Identity()})))
    batches = [(torch.zeros(4, 2), torch.zeros(4, dtype=torch.int64))]
    with pytest.raises(InputError, match=name):
        search(net, Task(batches, batches, loss=nn.functional.cross_entropy), "darts", **{name: value})


SMALL = {"supernet.channels": 4, "supernet.cells": 1}


@pytest.mark.parametrize("section", ["supernet", "network", "strategy", "weights", "searcher"])
def test_odd_values_of_open_settings_are_refused_before_a_search_or_make_one(section: str) -> None:
    what = {"strategy": "strategy darts", "weights": "weights", "searcher": "searcher evolution"}.get(section, f"{section} nasbench201")
    function, fixed = signatures()[what]
    method = "one-shot" if section == "searcher" else "darts"
    for name in keywords(function, fixed):
        for value in VALUES:
            given = {**SMALL, "method": method, "space": "nasbench201", "data.source": "digits", f"{section}.{name}": value}
            one_line_or_taken(lambda: choose(settled(Search, flags=given)), f"{section}.{name}={value!r:.40}")  # noqa: B023


def inner(*, depth: int = 2, width: float = 0.5) -> None: ...


def outer(*, width: float = 1.0, **rest: Annotated[Any, inner]) -> None: ...


def test_settings_that_are_passed_on_are_those_of_what_takes_them() -> None:
    assert keywords(outer) == {"width": float, "depth": int}
    assert defaults(outer) == {"width": 1.0, "depth": 2}
