from functools import partial
from math import exp
from random import Random
from statistics import fmean

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

from supernet import Task
from supernet.costs.objective import Objective
from supernet.data.batches import Batches
from supernet.errors import InputError
from supernet.estimators.scratch import FromScratch
from supernet.explore.exploration import Exploration
from supernet.searchers import Exhausted, make_searcher
from supernet.searchers.halving import SuccessiveHalving
from supernet.space import Choice, SearchSpace
from supernet.strategies.retrain import Retrain
from supernet.strategies.weights import Weights

SPACE = SearchSpace([Choice(str(i), tuple(range(6))) for i in range(5)])


def worth(architecture):
    return Random(SPACE.key(architecture)).random()


def rung(searcher, outcome=worth):
    """What it asks for until it waits, told in reverse: fidelities and architectures."""
    asked = []
    while True:
        try:
            asked.append(searcher.ask())
        except Exhausted:
            break
    for number, architecture, _ in reversed(asked):
        told = outcome(architecture)
        searcher.tell(number, architecture, told if isinstance(told, str) else (told,))
    return [share for *_, share in asked], [architecture for _, architecture, _ in asked]


def explored(name, estimate, budget, seed, space=SPACE, **settings):
    searcher = make_searcher(name, space, seed, budget=budget, **settings)
    search = Exploration(space, searcher, estimate, budget, Objective())
    while search.stopped is None:
        search.step()
    return search


def test_each_rung_keeps_the_better_half_and_costs_the_same():
    searcher = SuccessiveHalving(SPACE, budget=8)
    before = None
    for share, size in ((1 / 8, 16), (1 / 4, 8), (1 / 2, 4), (1.0, 2)):
        shares, asked = rung(searcher)
        assert shares == [share] * size
        assert before is None or asked == sorted(before, key=worth, reverse=True)[:size]
        before = asked
    shares, asked = rung(searcher)  # again with others
    assert shares == [1 / 8] * 16 and not {SPACE.key(a) for a in asked} & {SPACE.key(a) for a in before}


@pytest.mark.parametrize(
    ("settings", "rungs"),
    [
        ({"budget": 9, "factor": 3, "rungs": 3}, [(1 / 9, 27), (1 / 3, 9), (1.0, 3)]),
        ({"budget": 2}, [(1 / 2, 2), (1.0, 1)]),
        ({"budget": 1}, [(1.0, 1)]),
        ({"arms": 5, "rungs": 3}, [(1 / 4, 5), (1 / 2, 2), (1.0, 1)]),
    ],
)
def test_rungs_follow_budget_factor_and_arms(settings, rungs):
    searcher = SuccessiveHalving(SPACE, **settings)
    for share, size in rungs:
        assert rung(searcher)[0] == [share] * size


@pytest.mark.parametrize("budget", [1, 3, 5, 8, 20, 40])
def test_a_search_spends_its_budget_and_ends_with_whole_estimates(budget):
    search = explored("successive-halving", lambda a, fidelity=1.0: {"accuracy": worth(a)}, budget, 0)
    assert budget <= search.spent < budget + 1 and search.best()[0].fidelity == 1


def test_what_is_beyond_the_bounds_makes_room_for_another_and_what_failed_does_not():
    calls = []

    def outcome(architecture):
        calls.append(architecture)
        return ("infeasible", "failed", worth(architecture), worth(architecture))[len(calls) % 4]

    searcher = SuccessiveHalving(SPACE, budget=8)
    assert len(rung(searcher, outcome)[0]) == 16  # of which 4 are infeasible
    assert rung(searcher, worth)[0] == [1 / 8] * 4
    assert rung(searcher)[0] == [1 / 4] * 8


def test_where_all_fail_it_begins_again():
    searcher = SuccessiveHalving(SPACE, budget=4)
    for _ in range(3):
        assert rung(searcher, lambda a: "failed")[0] == [1 / 8] * 8


def test_a_space_with_fewer_architectures_than_arms_is_drawn_whole():
    space = SearchSpace([Choice("a", (1, 2, 3))])
    searcher = SuccessiveHalving(space, budget=8)
    assert sorted(a["a"] for a in rung(searcher, lambda a: a["a"] % 3)[1]) == [1, 2, 3]
    assert rung(searcher, lambda a: a["a"] % 3) == ([1 / 4], [{"a": 2}])


def test_rungs_that_halve_nothing_or_too_often_are_refused():
    with pytest.raises(InputError, match="a factor of at least 2"):
        SuccessiveHalving(SPACE, factor=1)
    with pytest.raises(InputError, match="30 rungs begin at less than a millionth of an estimate"):
        SuccessiveHalving(SPACE, rungs=30)


def test_it_beats_random_search_of_equal_cost_where_curves_cross_a_little():
    def estimate(architecture, fidelity=1.0):
        draw = Random(SPACE.key(architecture))
        end, rate, noise = draw.random(), draw.uniform(2, 8), draw.gauss(0, 0.05)
        return {"accuracy": end * (1 - exp(-rate * fidelity)) + noise * (1 - fidelity)}

    def found(name):
        return fmean(explored(name, estimate, 12, seed).best()[0].score[0] for seed in range(30))

    assert found("successive-halving") > found("random") + 0.01


class Scaled(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return self.factor * x.flatten(1)


@pytest.mark.slow
def test_it_beats_random_search_of_equal_cost_when_networks_are_trained_on_digits():
    space = SearchSpace(
        [
            *(Choice("width", (2, 4, 8, 16, 32, 64)), Choice("depth", (1, 2, 3, 4, 5))),
            *(Choice("act", ("relu", "tanh", "sigmoid")), Choice("scale", (0.1, 0.3, 1.0, 3.0))),
        ]
    )
    kinds = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}

    def build(architecture):
        layers, inputs = [Scaled(architecture["scale"])], 64
        for _ in range(architecture["depth"]):
            layers += [nn.Linear(inputs, architecture["width"]), kinds[architecture["act"]]()]
            inputs = architecture["width"]
        return nn.Sequential(*layers, nn.Linear(inputs, 10))

    digits = load_digits()
    x, y = torch.tensor(digits.data, dtype=torch.float32)[:, None, None] / 16, torch.tensor(digits.target)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    x, y, same = x[order], y[order], {"mean": (0.0,), "std": (1.0,)}
    streams = (Batches(x[:800], y[:800], 32, **same), Batches(x[800:1300], y[800:1300], 500, train=False, **same))
    task = Task(*streams, loss=F.cross_entropy)
    estimate = FromScratch(build, task, steps=32, strategy=partial(Retrain, weights=partial(Weights, lr=0.2)))

    def found(name):
        searches = [explored(name, estimate, 8, seed, space) for seed in range(1, 4)]
        assert all(search.spent == 8 for search in searches)
        return fmean(search.best()[0].score[0] for search in searches)

    assert found("successive-halving") >= found("random")
