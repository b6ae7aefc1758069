"""Recipes hold what a paper says of a run, fit their method, and give way to what the user sets."""

from __future__ import annotations

import pytest

from supernet.errors import InputError
from supernet.plan.chosen import choose
from supernet.recipes import CELLS, HOME, PAPER, recipe
from supernet.settings.commands import Search
from supernet.settings.given import settled
from supernet.spaces import SPACES
from supernet.spaces import space as space_named
from supernet.strategies import STRATEGIES


@pytest.mark.parametrize("space", [name for name in SPACES if "short" in space_named(name).recipes])
def test_the_short_recipe_of_every_method_is_accepted(space: str) -> None:
    for method in STRATEGIES:
        settings = settled(Search, flags={"method": method, "space": space}, recipe=recipe("short", method, space))
        choose(settings)
        assert settings.data.limit == (300_000 if "language" in space_named(space).tasks else 5000)
        assert space not in CELLS or settings.supernet["channels"] < 16


@pytest.mark.parametrize("method", PAPER)
def test_the_papers_recipe_is_accepted_and_has_its_length(method: str) -> None:
    home = HOME.get(method, CELLS)[0]
    settings = settled(Search, flags={"method": method, "space": home}, recipe=recipe("paper", method, home))
    choose(settings)
    chains = {"fbnet": 90, "proxyless": 160, "proxyless-rl": 160, "single-path": 8, "densenas": 150}
    chains |= {"spos": 120, "fairnas": 150, "ofa": 590, "enas": 150, "smash": 100}
    assert settings.epochs == {"gdas": 250, "gdas-frc": 250, "p-darts": 75, **chains}.get(method, 50)
    assert settings.data.limit is None and not settings.supernet.keys() - {"dropout"}


def test_numbers_are_the_official_codes() -> None:
    assert recipe("paper", "pc-darts", "darts")["data"] == {"batch_size": 256}
    assert recipe("paper", "p-darts", "darts")["data"] == {"batch_size": 96}
    assert recipe("paper", "gdas", "nasbench201") == {
        "epochs": 250,
        "data": {"batch_size": 64},
        "weights": {"lr": 0.025, "lr_min": 0.001, "decay": 5e-4, "nesterov": True},
    }


@pytest.mark.parametrize("method", ["spos", "fairnas", "ofa", "smash"])
def test_searchers_of_papers_compare_shared_weights_by_accuracy(method: str) -> None:
    assert recipe("paper", method, HOME[method][0])["objective"] == "accuracy"
    assert "objective" not in recipe("short", method, HOME[method][0])


@pytest.mark.parametrize(("space", "epochs", "batch"), [("enas-micro", 150, 160), ("enas-macro", 310, 128), ("enas-rnn", 600, 128)])
def test_enas_has_the_numbers_of_the_script_of_each_of_its_spaces(space: str, epochs: int, batch: int) -> None:
    settings = settled(Search, flags={"method": "enas", "space": space}, recipe=recipe("paper", "enas", space))
    choose(settings)
    assert (settings.epochs, settings.data.batch_size) == (epochs, batch)


def test_what_the_user_sets_counts_more() -> None:
    settings = settled(Search, flags={"epochs": 3, "supernet": {"cells": 4}}, recipe=recipe("short", "darts", "darts"))
    assert settings.epochs == 3 and settings.supernet == {"channels": 8, "cells": 4}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("papr", "darts", "darts"), "did you mean 'paper'"),
        (("paper", "snas", "darts"), "no paper recipe of snas"),
        (("short", "darts", "darts-rnn"), "no short recipe in darts-rnn"),
        (("short", "darts", None), "give --space"),
    ],
)
def test_a_recipe_that_is_not_there_is_refused(arguments: tuple[str, str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        recipe(*arguments)
