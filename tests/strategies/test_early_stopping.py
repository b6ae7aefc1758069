"""When a search is ended before it collapses, and how sharply the loss bends in the alphas."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from supernet import InputError, OneOf, Supernet, Task
from supernet.space import Architecture
from supernet.strategies.curvature import lanczos, largest_eigenvalue
from supernet.strategies.darts import DARTS
from supernet.strategies.early_stopping import CurvatureGrowth, SkipConnects, StableRanking
from supernet.strategies.gdas import GDAS
from supernet.train import fit


def search(method: Any = DARTS, **settings: Any) -> Any:
    torch.manual_seed(0)
    branches = [
        {"skip_connect": nn.Identity(), "linear": nn.Linear(4, 4), "tanh": nn.Sequential(nn.Linear(4, 4), nn.Tanh())} for _ in range(3)
    ]
    choices = [OneOf(b, name=f"normal.{i}") for i, b in enumerate(branches)]
    net = Supernet(nn.Sequential(*choices, nn.BatchNorm1d(4), nn.Linear(4, 3))).double()
    data = [(torch.randn(8, 4).double(), torch.randint(3, (8,))) for _ in range(2)]
    return method(net, Task(data, data, loss=F.cross_entropy), **settings)


class Search:
    """A search that would derive its epoch."""

    def __init__(self) -> None:
        self.done = 0

    def architecture(self) -> Architecture:
        return {"epoch": self.done}


class At(SkipConnects):
    """Stops after one epoch, or never."""

    def __init__(self, epoch: int | None) -> None:
        self.epoch = epoch

    def __call__(self, strategy: Any, done: int, of: int) -> Architecture | None:
        return strategy.architecture() if done == self.epoch else None


def run(rule: CurvatureGrowth, epochs: int = 50) -> tuple[int, Architecture | None]:
    """(the epoch that a search stops after, what it then finds)"""
    strategy = Search()
    for epoch in range(epochs):
        strategy.done = epoch
        found = rule(strategy, epoch + 1, epochs)
        if found is not None:
            return epoch, found
    return epochs - 1, None


@pytest.mark.parametrize(
    ("curve", "expected", "averages"),
    [
        (lambda e: 0.1 + 0.002 * max(0, e - 20) ** 1.5, (30, {"epoch": 18}), [0.1, 0.1, 0.1, 0.1]),
        (lambda e: 0.2 + 0.01 * math.sin(e), (49, None), [0.20050832, 0.1996827, 0.20172488, 0.20063683]),
        (lambda e: 0.05 * 1.03**e, (49, None), [0.053106813, 0.054755764, 0.056472312, 0.059911476]),
    ],
)
def test_growth_of_the_curvature_stops_where_robust_darts_does(
    curve: Callable[[int], float], expected: tuple[int, Architecture | None], averages: list[float]
) -> None:
    rule = CurvatureGrowth(measure=lambda strategy: curve(strategy.done))
    assert run(rule) == expected
    assert rule.averages()[:4] == pytest.approx(averages)


def test_rule_that_is_saved_and_loaded_goes_on_as_before() -> None:
    def measure(strategy: Any) -> float:
        return 0.1 + 0.002 * max(0, strategy.done - 20) ** 1.5

    rule, other, strategy = CurvatureGrowth(measure=measure), CurvatureGrowth(measure=measure), Search()
    for epoch in range(25):
        strategy.done = epoch
        rule(strategy, epoch + 1, 50)
    other.load_state_dict(rule.state_dict())
    for epoch in range(25, 31):
        strategy.done = epoch
        found = other(strategy, epoch + 1, 50)
    assert found == {"epoch": 18}


def test_lanczos_finds_the_eigenvalues_of_a_matrix() -> None:
    torch.manual_seed(0)
    a = torch.randn(30, 30, dtype=torch.float64)
    a = a + a.T
    exact = torch.linalg.eigvalsh(a)
    assert torch.allclose(lanczos(lambda v: a @ v, a[0], 30), exact)
    assert float(lanczos(lambda v: a @ v, a[0], 15)[-1]) == pytest.approx(float(exact[-1]), rel=1e-3)


def test_lanczos_ends_where_nothing_new_is_left() -> None:
    eye = 3 * torch.eye(6, dtype=torch.float64)
    assert lanczos(lambda v: eye @ v, eye[0], 6).tolist() == pytest.approx([3.0])


def test_largest_eigenvalue_is_that_of_the_whole_hessian_and_nothing_is_disturbed() -> None:
    strategy = search()
    batch = next(iter(strategy.task.data.each("validation")))
    names, sizes = list(strategy.alphas), [len(a) for a in strategy.alphas.values()]

    def loss(flat: torch.Tensor) -> torch.Tensor:
        parts = dict(zip(names, flat.split(sizes), strict=True))
        return strategy.objective(batch, {n: strategy.relax(p, strategy.rng) for n, p in parts.items()})

    buffers = {n: b.clone() for n, b in strategy.supernet.named_buffers()}
    state = strategy.rng.get_state()
    found = largest_eigenvalue(strategy)
    assert all(torch.equal(b, buffers[n]) for n, b in strategy.supernet.named_buffers())
    assert torch.equal(strategy.rng.get_state(), state)
    assert all(p.grad is None for p in strategy.supernet.parameters())
    hessian = torch.autograd.functional.hessian(loss, torch.cat([a.detach() for a in strategy.alphas.values()]))
    assert found == pytest.approx(float(torch.linalg.eigvalsh(hessian)[-1]))


def test_skip_connections_stop_the_search_that_derives_too_many() -> None:
    strategy = search(stops=[SkipConnects(most=2)])
    for alpha, value in zip(strategy.alphas.values(), (1.0, -1.0, -1.0), strict=True):
        alpha.data[0] = value
    strategy.epoch(0, 5, {})
    assert not strategy.epoch(1, 5, {})
    list(strategy.alphas.values())[1].data[0] = 1.0
    assert strategy.epoch(2, 5, {})
    found = strategy.architecture()
    strategy.alphas["normal.2"].data[0] = 9.0
    assert strategy.architecture() == found == {"normal.0": "skip_connect", "normal.1": "skip_connect", "normal.2": found["normal.2"]}


def test_ranking_that_stays_stops_the_search_once_the_alphas_learn() -> None:
    strategy = search(stops=[StableRanking(epochs=3)], warmup=2)
    strategy.epoch(0, 20, {})
    ended = next(done for done in range(1, 20) if strategy.epoch(done, 20, {}))
    assert ended == 4  # epochs 2, 3 and 4 stood as the one before


@pytest.mark.parametrize("method", [DARTS, GDAS])
def test_a_stopped_search_trains_no_further_and_resumes_as_stopped(method: Any) -> None:
    strategy = search(method, stops=[At(2)])
    history = fit(strategy, strategy.task.data, 9)
    assert [line["epoch"] for line in history] == [1, 2]
    again = search(method, stops=[At(None)])
    again.load_state_dict(strategy.state_dict())
    assert again.found == strategy.architecture()


@pytest.mark.parametrize(("name", "said"), [("curvatur", "did you mean 'curvature'"), ("never", "known: ")])
def test_unknown_rule_is_refused_with_the_nearest_name(name: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        search(stops=[name])


def test_windows_without_a_centre_are_refused() -> None:
    with pytest.raises(InputError, match="odd"):
        CurvatureGrowth(window=4)


def test_measuring_the_curvature_draws_nothing_from_the_search_or_its_data() -> None:
    strategy = search(GDAS)
    strategy.epoch(1, 5, {})
    state, batches, outer = strategy.rng.get_state(), strategy.task.data.state_dict(), torch.get_rng_state()
    assert largest_eigenvalue(strategy) == largest_eigenvalue(strategy)
    assert torch.equal(strategy.rng.get_state(), state) and torch.equal(torch.get_rng_state(), outer)
    assert strategy.task.data.state_dict() == batches
