"""DenseNAS against the numbers of its official code: chained costs over its published latencies, the best route, its updates."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet import InputError, OneOf, Supernet, Task, UpTo
from supernet.costs.price import Price
from supernet.layers.routes import Fork, Join
from supernet.mixture import Mix, Mixture, Table, expected, one_hot
from supernet.space import SearchSpace
from supernet.spaces import densenas
from supernet.strategies.dense_nas import DenseNAS
from supernet.strategies.rules import best_route, strongest

# Milliseconds on a TITAN Xp, 32 images at once, from https://github.com/JaminFong/DenseNAS (latency_list, Apache-2.0)
LISTS = json.loads((Path(__file__).parents[1] / "data_tables" / "densenas_mbv2_xp32.json").read_text())


def published_table(lists: list[Any], space: SearchSpace) -> Table:
    """DenseNAS' published latency lists as a table over the choices of the space ``densenas``.

    lists: what comes before the first route; for each later block [heads, stack], the heads from the nearest block before it on, each
    with a number per operation, the stack with such a row per layer; for the way to the end, a number per block, the nearest
    first; the classifier.
    """
    first, blocks, last, classifier = lists
    places = [name.removeprefix("route.") for name in space if name.startswith("route.")]
    table: Table = {(): torch.tensor(first + classifier, dtype=torch.float64)}
    for place, (heads, stack) in zip([*places[1:], "end"], [*blocks, ([[cost] for cost in last], [])], strict=True):
        before = [source for source in places if place in map(str, space[f"route.{source}"].options)]
        for source, costs in zip(reversed(before), heads, strict=True):
            head, route = f"head.{source}.{place}", f"route.{source}"
            if head in space:
                table[(head,)] = torch.tensor(costs, dtype=torch.float64)
            else:  # a head without a choice is paid by the route that takes it
                row = table.setdefault((route,), torch.zeros(len(space[route].options), dtype=torch.float64))
                row[[str(o) for o in space[route].options].index(place)] = costs[0]
        for n, costs in enumerate(stack):
            if f"stack.{place}.{n}" in space:
                table[(f"stack.{place}.{n}",)] = torch.tensor(costs, dtype=torch.float64)
    return table


@cache
def space() -> SearchSpace:
    with torch.device("meta"):
        return densenas.supernet(stem="imagenet").space


def routes(of: SearchSpace) -> list[str]:
    return [name for name in of if name.startswith("route.")]


def all_alike() -> dict[str, Tensor]:
    return {n: torch.zeros(len(c.options), dtype=torch.float64, requires_grad=True) for n, c in space().items()}


def sines() -> dict[str, Tensor]:
    """The second setting of the official example: block i, j-th route, head (the nearest block first) or layer, k-th operation."""
    places = [name.removeprefix("route.") for name in routes(space())]
    found = {}
    for name, choice in space().items():
        kind, here, *rest = name.split(".")
        i, n = places.index(here), len(choice.options)
        if kind == "route":
            values = [math.sin(i + 2 * k) for k in range(n)]
        elif kind == "stack":
            values = [math.sin(i - 1 + 2 * int(rest[0]) + 3 * (k + 1)) for k in range(n)]
        else:
            to = places.index(rest[0])
            nearer = sum(f"head.{source}.{rest[0]}" in space() for source in places[i + 1 : to])
            values = [math.sin(to - 1 + 2 * nearer + 3 * k) for k in range(n)]
        found[name] = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    return found


def softmax(alphas: dict[str, Tensor]) -> Mixture:
    return {n: Mix(a.softmax(-1), tuple(range(len(a)))) for n, a in alphas.items()}


def belief(alphas: dict[str, Tensor]) -> dict[str, list[float]]:
    return {n: a.detach().softmax(-1).tolist() for n, a in alphas.items()}


def path(arch: Any, start: str = "start") -> list[Any]:
    found: list[Any] = [start]
    while (there := arch[f"route.{found[-1]}"]) != "end":
        found.append(there)
    return found


@pytest.mark.parametrize(
    ("name", "milliseconds"),
    [("densenas-a", 13.646210516342013), ("densenas-b", 15.817214840590356), ("densenas-c", 18.011904581628666)],
)
def test_latency_of_a_published_network_is_the_sum_over_its_route(name: str, milliseconds: float) -> None:
    arch = space().check(densenas.parse(densenas.NETWORKS[name][0]))
    assert expected(space(), one_hot(space(), arch), published_table(LISTS, space())).item() == pytest.approx(milliseconds, abs=1e-9)


@pytest.mark.parametrize(
    ("alphas", "slope"),
    [
        (all_alike, [0.41741510982783003, -0.08718952497819132, -0.14779445514828216, -0.18243112970135678]),
        (sines, [0.4931565794972151, -0.017220600310318485, -0.2632662034015143, -0.21266977578538307]),
    ],
)
def test_chained_cost_descends_as_in_the_official_code(alphas: Callable[[], dict[str, Tensor]], slope: list[float]) -> None:
    logits = alphas()
    expected(space(), softmax(logits), published_table(LISTS, space())).backward()
    assert logits["route.40"].grad is not None  # the fourth block
    assert logits["route.40"].grad.tolist() == pytest.approx(slope, abs=1e-12)


def test_chained_cost_and_its_price_are_the_official_codes() -> None:
    mixture, table = softmax(all_alike()), published_table(LISTS, space())
    assert expected(space(), mixture, table).item() == pytest.approx(32.41794401615806, abs=1e-11)
    price = Price(table, **DenseNAS.pricing)
    assert price(torch.zeros((), dtype=torch.float64), mixture, space()).item() == pytest.approx(0.19268727528032897, abs=1e-13)


def test_chained_cost_is_the_papers_recursion() -> None:
    """c~_i = sum_j p_ij (c_head_ij + c_stack_j + c~_j), from the end on."""
    torch.manual_seed(0)
    with torch.device("meta"):
        small = densenas.supernet(**densenas.DENSENAS.supernet.usual()).space
    logits = {n: torch.randn(len(c.options), dtype=torch.float64) for n, c in small.items()}
    table = {(n,): torch.rand(len(c.options), dtype=torch.float64) for n, c in small.items()} | {(): torch.tensor(2.0).double()}

    def own(name: str) -> Tensor:
        return table[(name,)] @ logits[name].softmax(-1)

    chained: dict[Any, Tensor] = {"end": torch.zeros((), dtype=torch.float64)}
    for name in reversed(routes(small)):
        here, total = name.removeprefix("route."), torch.zeros((), dtype=torch.float64)
        for i, there in enumerate(small[name].options):
            head = own(f"head.{here}.{there}") if there != "end" else torch.zeros(())
            stack = sum((own(n) for n in small if n.startswith(f"stack.{there}.")), torch.zeros(()))
            total = total + logits[name].softmax(-1)[i] * (table[(name,)][i] + head + stack + chained[str(there)])
        chained[here] = total
    assert expected(small, softmax(logits), table).item() == pytest.approx(2 + chained["start"].item(), rel=1e-12)


def test_the_best_route_is_the_official_codes_also_where_routes_tie() -> None:
    every = routes(space())
    assert path(best_route(space(), belief(sines()), every)) == ["start", 24, 32, 64, 96, 176, 320, 352, 384]
    assert path(best_route(space(), belief(all_alike()), every)) == ["start", 24, 48, 72, 128, 192, 384]


def test_the_best_route_is_the_most_probable_of_all() -> None:
    with torch.device("meta"):
        small = densenas.supernet(**densenas.DENSENAS.supernet.usual()).space
    every, rng = routes(small), Random(0)
    for _ in range(20):
        weights = {n: [rng.random() for _ in c.options] for n, c in small.items()}
        found = best_route(small, weights, every)

        def worth(arch: Any, weights: dict[str, list[float]] = weights) -> float:
            on = {n: o for n, o in small.matters(arch).items() if n in every}
            return math.prod(weights[n][small[n].options.index(o)] for n, o in on.items())

        taken = (dict(zip(every, t, strict=True)) for t in itertools.product(*(small[n].options for n in every)))
        assert worth(found) == pytest.approx(max(worth({**found, **t}) for t in taken))
        operations = strongest(small, weights)
        assert all(found[n] == operations[n] for n in small if n not in every)


def test_without_routes_the_best_route_is_the_strongest() -> None:
    plain = Supernet(OneOf({"a": nn.Identity(), "b": nn.Tanh()}, "x")).space
    assert best_route(plain, {"x": [0.1, 0.9]}, ()) == {"x": "b"}


class Routes(nn.Module):
    """start -> a, b; a -> b, end; b -> end, with three operations on the way out of each block and in block b."""

    def __init__(self) -> None:
        super().__init__()
        self.forks = [
            Fork({"a": self.open("to a"), "b": nn.Linear(4, 4)}, "start"),
            Fork({"b": self.open("a to b"), "end": nn.Linear(4, 3)}, "a"),
            Fork({"end": nn.Linear(4, 3)}, "b"),
        ]
        self.first, self.stack = self.forks[0], UpTo([nn.Linear(4, 4), nn.Tanh()], (1, 2), "depth")
        self.a = Join("a", self.forks, self.forks[1])
        self.b = Join("b", self.forks, nn.Sequential(self.stack, self.forks[2]))
        self.end = Join("end", self.forks, nn.Identity())

    @staticmethod
    def open(name: str) -> OneOf:
        return OneOf({o: nn.Linear(4, 4) for o in "uvw"}, name)

    def forward(self, x: Tensor) -> Tensor:
        sent = [self.first(x)]
        for block in (self.a, self.b):
            sent += [out for out in [block(sent)] if out is not None]
        return self.end(sent)


def strategy(**settings: Any) -> tuple[DenseNAS, Task]:
    torch.manual_seed(0)
    task = Task([(torch.randn(8, 4), torch.randint(3, (8,)))] * 2, [(torch.randn(8, 4), torch.randint(3, (8,)))] * 2, loss=F.cross_entropy)
    return DenseNAS(Supernet(Routes()), task, **settings), task


def test_routes_are_always_soft_and_operations_are_two_for_the_alphas_and_one_for_the_weights() -> None:
    dense, _ = strategy(temperature=0.5)
    with torch.no_grad():
        dense.alphas["a"].copy_(torch.tensor([0.3, -0.2]))
        dense.alphas["to a"].copy_(torch.tensor([1.0, 0.0, -1.0]))
    for relax, runs in ((dense.relax, 2), (dense.relax_weights, 1)):
        mixture = dense.mixture(relax)
        assert mixture["a"].runs == (0, 1)
        assert mixture["a"].weights is not None and torch.allclose(mixture["a"].weights, torch.tensor([0.6, -0.4]).softmax(-1))
        assert {len(mixture[n].runs) for n in ("to a", "a to b", "depth")} == {runs}
    pair = dense.mixture(dense.relax)["to a"]
    assert pair.weights is not None
    assert torch.allclose(pair.weights[list(pair.runs)], dense.alphas["to a"][list(pair.runs)].softmax(-1))  # no temperature


def test_a_step_on_the_alphas_leaves_the_share_of_each_drawn_pair() -> None:
    dense, task = strategy(alpha_lr=0.1, alpha_decay=0.0)
    before = {n: a.detach().clone() for n, a in dense.alphas.items()}
    state = dense.rng.get_state()
    drawn = {n: list(mix.runs) for n, mix in dense.mixture(dense.relax).items()}
    dense.rng.set_state(state)
    dense.alpha_step(task.data.next("train"), task.data.next("validation"))
    for name, runs in drawn.items():
        alpha = dense.alphas[name].detach()
        if name in ("start", "a"):
            assert (alpha - before[name]).abs().min() == pytest.approx(0.1, rel=1e-3)  # Adam's first step, as it is
        elif name != "b":
            assert alpha[runs].logsumexp(0).item() == pytest.approx(before[name][runs].logsumexp(0).item(), abs=1e-6)
            assert (alpha[runs] - before[name][runs]).abs().min() > 1e-3
            assert all(alpha[i] == before[name][i] for i in range(len(alpha)) if i not in runs)


def test_the_search_is_set_as_in_the_official_code() -> None:
    dense, _ = strategy()
    group = dense.weights.optimiser.param_groups[0]
    assert (group["lr"], group["momentum"], group["weight_decay"], group["nesterov"], dense.weights.clip) == (0.2, 0.9, 4e-5, False, None)
    alphas = dense.alphas.optimiser.param_groups[0]
    assert (alphas["lr"], alphas["betas"], alphas["weight_decay"]) == (3e-4, (0.5, 0.999), 1e-3)
    learns = []
    for done in range(150):
        dense.epoch(done, 150, {})
        learns.append(dense.alphas_learn)
    assert learns == [False] * 50 + [True] * 100
    dense.epoch(150, 150, {})
    assert dense.weights.lr == pytest.approx(1e-4)


def test_what_is_found_is_the_best_route_with_the_strongest_operations() -> None:
    dense, _ = strategy()
    with torch.no_grad():
        dense.alphas["start"].copy_(torch.tensor([0.1, 0.0]))  # a is likelier at first, but nothing goes on from it for sure
        dense.alphas["a"].copy_(torch.tensor([0.0, 0.0]))
        dense.alphas["to a"].copy_(torch.tensor([0.0, 0.0, 1.0]))
    found = dense.architecture()
    assert (found["start"], found["to a"]) == ("b", "w")
    assert dense.facts()["architecture"] == found


def test_a_price_moves_the_search_to_the_cheap_route() -> None:
    table = {("a",): torch.tensor([0.0, 90.0]), ("to a",): torch.tensor([90.0, 90.0, 90.0]), (): torch.tensor(10.0)}
    dense, task = strategy(penalty=Price(table, **{**DenseNAS.pricing, "weight": 50.0}), alpha_lr=0.1, warmup=0)
    dense.epoch(0, 10, {})
    for _ in range(20):
        dense.step(task.data)
    assert dense.belief()["start"][1] > 0.8
    assert dense.architecture()["start"] == "b"


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(InputError, match="above 0"):
        strategy(temperature=0)
    with pytest.raises(InputError, match="excludes single_level"):
        strategy(single_level=True)
