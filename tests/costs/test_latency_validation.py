from __future__ import annotations

import statistics
from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest
import torch

from supernet.costs.latency.timing import Effort
from supernet.costs.latency.validation import fitted, kendall, predicted, spread_out, validate
from supernet.errors import InputError
from supernet.mixture import Table
from supernet.space import Architecture, Choice, SearchSpace

OPTIONS = ("skip", "k3", "k5", "k7")
SPACE = SearchSpace([*(Choice(f"layer.{i}", OPTIONS) for i in range(12)), Choice("edges", ("a", "b", "c"), pick=(1, 2))])
TABLE: Table = {
    (): torch.tensor(1.0, dtype=torch.float64),
    **{(f"layer.{i}",): torch.tensor([0.0, 0.3, 0.5, 0.9], dtype=torch.float64) * (1 + i % 3) for i in range(10)},
    ("layer.10", "layer.11"): torch.tensor([[0.1 * a * b for b in range(4)] for a in range(4)], dtype=torch.float64),
    ("edges",): torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64),
}


class Machine:
    """Networks that take what ``truth`` says of the table's sum, in ms, times a noise that is seldom below 1."""

    def __init__(self, truth: Callable[[float], float], noise: float = 0.0):
        self.now, self.truth, self.noise, self.rng = 0.0, truth, noise, Random(7)
        self.sums: list[float] = []

    def __call__(self) -> float:
        return self.now

    def prepared(self, architecture: Architecture) -> Callable[[], object]:
        total = predicted(SPACE, TABLE, architecture)
        self.sums.append(total)

        def call() -> None:
            self.now += self.truth(total) * (1 + abs(self.rng.gauss(0, self.noise))) / 1000

        return call


def test_what_the_sums_leave_out_is_fitted_and_other_networks_are_predicted() -> None:
    machine = Machine(lambda total: 2.5 + 1.4 * total, noise=0.02)
    fit, report = validate(SPACE, TABLE, machine.prepared, rng=Random(0), clock=machine)
    assert fit.scale == pytest.approx(1.4, rel=0.02) and fit.offset == pytest.approx(2.5, rel=0.1)
    assert report["networks"] == report["fit_networks"] == 20 and len(report["points"]) == 20
    assert report["error_percent"] < 1  # the sums themselves are off by 40 % and more
    assert report["tau"] > 0.95 and report["pearson"] > 0.99 and report["repeat_tau"] > 0.95
    assert report["error"] == pytest.approx(statistics.fmean(abs(a - b) for a, b in report["points"]), rel=1e-3)
    assert report["range"][0] < 0.2 * report["range"][1]


def test_networks_that_were_fitted_on_are_not_those_that_judge() -> None:
    """Whatever is fitted, every second network of this machine is not what the sum says."""
    machine = Machine(lambda total: total)
    _, exact = validate(SPACE, TABLE, machine.prepared, rng=Random(0), fit_networks=10, test_networks=15, clock=machine)
    assert (exact["fit_networks"], exact["networks"]) == (10, 15) and len(set(machine.sums)) == 25
    assert exact["error_percent"] == pytest.approx(0, abs=1e-3) and exact["tau"] == 1.0
    judged = {round(a, 4) for a, _ in exact["points"]}
    assert max(round(total, 4) for total in machine.sums) not in judged and min(round(total, 4) for total in machine.sums) not in judged


def test_a_useless_table_is_reported_as_one() -> None:
    scattered = Random(3)
    machine = Machine(lambda total: 5 + 5 * scattered.random())
    machine.truth = lambda total: 5 + 5 * Random(total).random()
    _, report = validate(SPACE, TABLE, machine.prepared, rng=Random(0), clock=machine)
    assert abs(report["tau"]) < 0.5 < report["repeat_tau"] and report["error_percent"] > 10


def test_repeats_of_a_noisy_machine_disagree() -> None:
    machine = Machine(lambda total: 10 + 0.01 * total, noise=0.5)
    _, report = validate(SPACE, TABLE, machine.prepared, rng=Random(0), effort=Effort(4, 4), clock=machine)
    assert report["repeat_tau"] < 0.6


def test_networks_cover_the_range_of_what_is_predicted_evenly() -> None:
    chosen = [predicted(SPACE, TABLE, a) for a in spread_out(SPACE, TABLE, 20, Random(0))]
    drawn = [predicted(SPACE, TABLE, SPACE.sample(rng)) for rng in [Random(1)] for _ in range(600)]
    lowest, highest = 1.1, 1.0 + 0.9 * sum(1 + i % 3 for i in range(10)) + 0.9 + 0.5
    assert chosen == sorted(chosen) and len(set(chosen)) == 20
    assert chosen[-1] - chosen[0] > 0.9 * (highest - lowest) > 1.2 * (max(drawn) - min(drawn))
    gaps = [b - a for a, b in pairwise(chosen)]
    assert max(gaps) < 0.12 * (highest - lowest)
    assert spread_out(SPACE, TABLE, 20, Random(0)) == spread_out(SPACE, TABLE, 20, Random(0))


def test_a_space_of_few_architectures_is_refused() -> None:
    few = SearchSpace([Choice("one", ("a", "b"))])
    with pytest.raises(InputError, match="too few architectures to measure 40: 2 were found"):
        validate(few, {("one",): torch.tensor([1.0, 2.0])}, lambda architecture: lambda: None, rng=Random(0))
    with pytest.raises(InputError, match="3 networks or more each; got 2 and 20"):
        validate(SPACE, TABLE, lambda architecture: lambda: None, rng=Random(0), fit_networks=2)


def test_a_stray_measurement_does_not_move_the_line() -> None:
    sums = [1.0 + 0.5 * i for i in range(12)]
    times = [0.7 + 1.3 * x for x in sums]
    for stray in (0, 5, 11):
        fit = fitted(sums, [t * (3 if i == stray else 1) for i, t in enumerate(times)])
        assert (fit.offset, fit.scale) == pytest.approx((0.7, 1.3), rel=1e-4)


def test_the_line_has_the_least_squares_of_relative_errors() -> None:
    rng = Random(0)
    sums = [1.0 + 0.2 * i for i in range(40)]
    times = [(0.5 + 2 * x) * (1 + 0.03 * rng.uniform(-1, 1)) for x in sums]
    fit = fitted(sums, times)

    def squares(offset: float, scale: float) -> float:
        return sum(((offset + scale * x - t) / t) ** 2 for x, t in zip(sums, times, strict=True))

    best = squares(fit.offset, fit.scale)
    for offset, scale in ((0.01, 0), (-0.01, 0), (0, 0.005), (0, -0.005)):
        assert squares(fit.offset + offset, fit.scale + scale) > best


def test_sums_that_say_nothing_still_give_a_line() -> None:
    assert fitted([2.0, 2.0, 2.0], [3.0, 3.5, 3.0]).offset == 1.0
    falling = fitted([1.0, 2.0, 3.0, 4.0], [8.0, 7.0, 6.0, 5.0])
    assert falling.scale > 0 and falling.offset == 0.0


def test_kendalls_tau_of_known_rankings() -> None:
    assert kendall([1, 2, 3, 4], [10, 20, 30, 40]) == 1.0 and kendall([1, 2, 3], [3, 2, 1]) == -1.0
    assert kendall([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(4 / 6, rel=1e-4)
    assert kendall([1, 1], [1, 2]) is None
