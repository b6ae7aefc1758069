from __future__ import annotations

import json
import statistics
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch.autograd import gradcheck

from supernet.costs.latency.predictor import Predictor, fit_predictor
from supernet.costs.latency.validation import kendall
from supernet.errors import InputError
from supernet.mixture import Mix, one_hot
from supernet.space import Architecture, Choice, SearchSpace

OPTIONS = ("k3", "k5", "k7", "skip")
SPACE = SearchSpace([*(Choice(f"layer.{i}", OPTIONS) for i in range(6)), Choice("wide", (8, 16), when=(("layer.0", "k3"),))])
COSTS = {"k3": 1.0, "k5": 1.7, "k7": 3.0, "skip": 0.0}


def ms(arch: Architecture) -> float:
    """A sum over layers, and for each two neighbours with large kernels a good deal less than the sum: no table can say this."""
    taken = [arch[f"layer.{i}"] for i in range(6)]
    total = 4.0 + sum(COSTS[str(option)] for option in taken)
    total -= sum(1.2 for a, b in pairwise(taken) if a == b == "k7")
    total += sum(0.8 for a, b in pairwise(taken) if "skip" in (a, b))
    return total + (0.5 if arch["layer.0"] == "k3" and arch["wide"] == 16 else 0.0)


@cache
def drawn(count: int, seed: int) -> list[Architecture]:
    rng = Random(seed)
    return [SPACE.sample(rng) for _ in range(count)]


@cache
def fit(kind: str) -> Predictor:
    return fit_predictor(SPACE, drawn(600, 0), [ms(a) for a in drawn(600, 0)], kind=kind)


def error(predictor: Predictor) -> float:
    """The mean absolute error on other networks, in ms."""
    return statistics.fmean(abs(predictor.predict(SPACE, a) - ms(a)) for a in drawn(200, 1))


@pytest.mark.parametrize("kind", ["mlp", "boosting"])
def test_networks_that_were_not_measured_are_predicted_better_than_by_any_sum(kind: str) -> None:
    predictor = fit(kind)
    additive = Predictor(predictor.kind, predictor.choices, predictor.bias, predictor.weights, 0.0, predictor.layers, predictor.trees)
    assert error(predictor) < 0.6 * error(additive)
    assert (kendall([predictor.predict(SPACE, a) for a in drawn(200, 1)], [ms(a) for a in drawn(200, 1)]) or 0) > 0.93


def test_a_plain_sum_is_found_from_few_networks() -> None:
    architectures = drawn(60, 2)
    predictor = fit_predictor(SPACE, architectures, [3 + sum(COSTS[str(a[f"layer.{i}"])] for i in range(6)) for a in architectures])
    errors = [abs(predictor.predict(SPACE, a) - 3 - sum(COSTS[str(a[f"layer.{i}"])] for i in range(6))) for a in drawn(100, 3)]
    assert max(errors) < 0.1


def test_the_expected_latency_of_an_architecture_is_its_latency_and_a_blend_has_gradients() -> None:
    predictor = fit("mlp")
    for arch in drawn(20, 4):
        assert float(predictor.expected(SPACE, one_hot(SPACE, arch))) == pytest.approx(predictor.predict(SPACE, arch), rel=1e-12)

    def cost(*weights: torch.Tensor) -> torch.Tensor:
        mixture = {n: Mix(w, tuple(range(len(w)))) for n, w in zip(SPACE, weights, strict=True)}
        return predictor.expected(SPACE, mixture)

    rng = torch.Generator().manual_seed(0)
    weights = [torch.rand(len(c.options), generator=rng, dtype=torch.float64, requires_grad=True) for c in SPACE.values()]
    assert gradcheck(cost, weights)
    cost(*weights).backward()
    assert all(w.grad is not None and w.grad.abs().sum() > 0 for w in weights)


def test_what_does_not_matter_changes_nothing() -> None:
    arch = {f"layer.{i}": "k5" for i in range(6)}
    for kind in ("mlp", "boosting"):
        assert (
            fit(kind).predict(SPACE, {**arch, "wide": 8})
            == fit(kind).predict(SPACE, {**arch, "wide": 16})
            == fit(kind).predict(SPACE, arch)
        )


@pytest.mark.parametrize("kind", ["mlp", "boosting"])
def test_what_was_written_is_read(kind: str, tmp_path: Path) -> None:
    fit(kind).write(tmp_path / "predictor.json")
    assert Predictor.read(tmp_path / "predictor.json") == fit(kind)


def test_equal_seeds_give_equal_predictors() -> None:
    times = [ms(a) for a in drawn(100, 0)]
    assert fit_predictor(SPACE, drawn(100, 0), times, seed=3) == fit_predictor(SPACE, drawn(100, 0), times, seed=3)


def test_trees_are_refused_where_a_gradient_is_needed() -> None:
    with pytest.raises(InputError, match="boosted trees have no gradient: fit a predictor with kind='mlp'"):
        fit("boosting").expected(SPACE, {n: Mix(torch.ones(len(c.options)), ()) for n, c in SPACE.items()})
    arch = drawn(1, 0)[0]
    assert float(fit("boosting").expected(SPACE, one_hot(SPACE, arch))) == fit("boosting").predict(SPACE, arch)


def test_another_space_is_refused() -> None:
    other = SearchSpace(list(SPACE.values())[:-1])
    with pytest.raises(InputError, match="fitted on another space"):
        fit("mlp").predict(other, dict.fromkeys(other, "k3"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((drawn(30, 0), [1.0] * 29), "needs 20 networks or more, each with its time; got 30 and 29 times"),
        ((drawn(9, 0), [1.0] * 9), "got 9 and 9 times"),
        ((drawn(30, 0), [1.0] * 29 + [-1.0]), "a latency is a number of at least 0; got -1.0"),
        ((drawn(30, 0), [1.0] * 29 + [float("nan")]), "got nan"),
    ],
)
def test_measurements_that_cannot_be_used_are_refused(arguments: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit_predictor(SPACE, *arguments)
    with pytest.raises(InputError, match="unknown kind of predictor 'trees'"):
        fit_predictor(SPACE, *arguments, kind="trees")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "latency"}, "is not a latency predictor"),
        ({"model": "oracle"}, "kind must be 'mlp' or 'boosting'"),
        ({"weights": [1.0]}, "its weights are not those of its choices"),
        ({"layers": [{"weight": [[1.0]], "bias": [1.0]}]}, "its layers do not fit together"),
        ({"trees": [{"feature": [0], "left": [0], "right": [0], "value": [1.0]}]}, "a tree does not end"),
        ({"trees": [{"feature": [0], "left": [], "right": [0], "value": [1.0]}]}, "zip"),
    ],
)
def test_a_file_that_is_otherwise_is_refused_in_one_line(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "predictor.json"
    fit("mlp").write(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=message) as error:
        Predictor.read(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["mlp", "boosting"])
def test_no_network_is_predicted_to_take_less_than_no_time(kind: str) -> None:
    quick = replace(fit(kind), bias=-100.0)
    assert [quick.predict(SPACE, a) for a in drawn(20, 3)] == [0.0] * 20
