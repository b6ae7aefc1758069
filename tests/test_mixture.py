from __future__ import annotations

from random import Random

import pytest
import torch

from supernet.mixture import Mix, expected, one_hot, reach
from supernet.space import Choice, SearchSpace

SPACE = SearchSpace(
    [
        Choice("depth", (1, 2)),
        Choice("first", ("a", "b", "c")),
        Choice("second", ("a", "b", "c"), when=(("depth", 2),)),
    ]
)
TABLE = {
    (): torch.tensor(10.0),
    ("first",): torch.tensor([1.0, 2.0, 3.0]),
    ("second",): torch.tensor([5.0, 7.0, 11.0]),
    ("depth", "first"): torch.tensor([[0.0, 0.0, 0.0], [100.0, 200.0, 300.0]]),
}


def cost(arch: dict[str, object]) -> float:
    first, second = "abc".index(str(arch["first"])), "abc".index(str(arch["second"]))
    total = 10.0 + first + 1
    if arch["depth"] == 2:
        total += (5, 7, 11)[second] + 100 * (first + 1)
    return total


def test_expected_cost_of_a_one_hot_mixture_is_the_architectures_cost() -> None:
    for seed in range(20):
        arch = SPACE.sample(Random(seed))
        assert float(expected(SPACE, one_hot(SPACE, arch), TABLE)) == pytest.approx(cost(arch))


def test_expected_cost_is_the_mean_over_drawn_architectures() -> None:
    p = {"depth": torch.tensor([0.3, 0.7]), "first": torch.tensor([0.2, 0.5, 0.3]), "second": torch.tensor([0.6, 0.1, 0.3])}
    mixture = {n: Mix(w.requires_grad_(), tuple(range(len(w)))) for n, w in p.items()}
    mean = 0.0
    for arch in SPACE.enumerate():
        for second in "abc" if arch["depth"] == 1 else [arch["second"]]:
            full = {**arch, "second": second}
            probability = 1.0
            for n, c in SPACE.items():
                probability *= float(p[n].detach()[c.options.index(full[n])])
            mean += probability * cost(full)
    total = expected(SPACE, mixture, TABLE)
    assert float(total.detach()) == pytest.approx(mean, rel=1e-5)
    total.backward()
    assert all(w.grad is not None and w.grad.abs().sum() > 0 for w in p.values())


def test_reach_is_the_probability_that_a_choice_matters() -> None:
    mixture = {n: Mix(torch.full((len(c.options),), 1 / len(c.options)), tuple(range(len(c.options)))) for n, c in SPACE.items()}
    assert reach(SPACE, mixture)["first"] == 1.0
    assert float(reach(SPACE, mixture)["second"]) == pytest.approx(0.5)
