"""The lessons of one-shot training: which blends a step runs, what they learn from, and that all is one update."""

from __future__ import annotations

import copy
import io
from collections import Counter
from functools import partial
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet import Choice, ElasticLinear, InputError, OneOf, SearchSpace, Supernet, Task, search
from supernet.layers.some_of import SomeOf
from supernet.mixture import one_hot
from supernet.space import Architecture
from supernet.strategies.lessons import LESSONS, by_cost, fair, path_dropout, sandwich, uniform
from supernet.strategies.one_shot import OneShot
from supernet.strategies.weights import Weights


class Net(nn.Module):
    """Features (B, 4): one operation of three, a width of three, one or two inputs of a node."""

    def __init__(self) -> None:
        super().__init__()
        self.one = OneOf(
            {"linear": nn.Linear(4, 4), "double": nn.Sequential(nn.Linear(4, 4), nn.ReLU()), "skip": nn.Identity()}, name="one"
        )
        self.wide = ElasticLinear(4, (2, 4, 6), name="wide")
        self.node = SomeOf([nn.Identity(), nn.Tanh()], pick=(1, 2), name="node")
        self.back, self.head = ElasticLinear(6, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.back(self.wide(self.one(x)))
        return self.head(self.node([x, x]))


SPACE = Supernet(Net()).space


def batches(n: int) -> list[tuple[Tensor, Tensor]]:
    g = torch.Generator().manual_seed(n)
    return [(torch.randn(6, 4, generator=g), torch.randint(3, (6,), generator=g)) for _ in range(n)]


def made(seed: int = 0, **settings: Any) -> tuple[OneShot, Task]:
    torch.manual_seed(seed)
    task = Task(batches(3), batches(2), loss=F.cross_entropy)
    return OneShot(Supernet(Net()), task, seed=seed, **settings), task


def blends(lessons: Any, space: SearchSpace = SPACE, progress: float = 0.0, rng: Random | None = None) -> list[dict[str, tuple[int, ...]]]:
    """What runs of each choice, lesson after lesson."""
    return [{name: mix.runs for name, mix in mixture.items()} for mixture, _ in lessons(space, rng or Random(0), progress)]


def test_uniform_lessons_are_the_samples_of_the_space() -> None:
    rng, same = Random(3), Random(3)
    for _ in range(5):
        assert [mixture for mixture, _ in uniform(SPACE, rng, 0.5)] == [one_hot(SPACE, SPACE.sample(same))]


def test_strict_fairness_trains_every_option_exactly_once_a_step() -> None:
    space = SearchSpace(Choice(f"layer{i}", ("a", "b", "c", "d")) for i in range(5))
    rng, seen = Random(0), set()
    for _ in range(20):
        step = blends(fair, space, rng=rng)
        assert len(step) == 4
        for name in space:
            assert sorted(runs[name] for runs in step) == [(0,), (1,), (2,), (3,)]
        seen.add(str(step))
    assert len(seen) == 20  # permutations of each choice are drawn anew


def test_fairness_among_choices_of_other_lengths_is_to_within_one_a_step() -> None:
    space = SearchSpace([Choice("long", tuple("abcde")), Choice("short", ("a", "b")), Choice("none", ("a", "b", "c"), search_only=("c",))])
    step = blends(fair, space)
    counts = {name: Counter(runs[name] for runs in step) for name in space}
    assert set(counts["long"].values()) == {1} and sorted(counts["short"].values()) == [2, 3]
    assert (2,) not in counts["none"] and sum(counts["none"].values()) == 5


def test_a_step_is_one_update_by_the_sum_of_the_losses() -> None:
    strategy, task = made(lessons="fair", weights=partial(Weights, lr=0.1, momentum=0.0, decay=0.0, clip=None))
    plain, rng = copy.deepcopy(strategy.supernet), Random(0)
    batch = batches(3)[0]
    lessons = [mixture for mixture, _ in fair(SPACE, rng, 0.0)]
    loss = torch.stack([F.cross_entropy(plain(mixture, batch[0]), batch[1]) for mixture in lessons]).sum()
    loss.backward()
    strategy.step(task.data)
    own = dict(strategy.supernet.named_parameters())
    for name, p in plain.named_parameters():
        expected = p if p.grad is None else p - 0.1 * p.grad
        assert torch.allclose(own[name], expected, atol=1e-6), name


def test_a_sandwich_is_the_largest_then_random_ones_then_the_smallest() -> None:
    for seed in range(5):
        step = blends(sandwich, rng=Random(seed))
        assert len(step) == 4
        assert step[0]["wide"] == (2,) and len(step[0]["node"]) == 2
        assert step[-1]["wide"] == (0,) and len(step[-1]["node"]) == 1
    assert len(blends(partial(sandwich, between=0))) == 2


def test_in_a_sandwich_the_largest_learns_from_the_labels_and_teaches_the_others() -> None:
    strategy, task = made(lessons=partial(sandwich, between=0), weights=partial(Weights, lr=0.1, momentum=0.0, decay=0.0, clip=None))
    plain, (x, y) = copy.deepcopy(strategy.supernet), batches(3)[0]
    lessons = sandwich(SPACE, Random(0), 0.0, between=0)
    first, target = next(lessons)
    assert target is None
    outputs = plain(first, x)
    smallest, target = lessons.send(outputs.detach())
    assert target is not None and torch.equal(target, outputs)
    soft = -(target.softmax(1) * plain(smallest, x).log_softmax(1)).sum(1).mean()
    (F.cross_entropy(outputs, y) + soft).backward()
    measured = strategy.step(task.data)
    assert float(measured["loss"]) == pytest.approx(soft.item())
    for (name, p), q in zip(plain.named_parameters(), strategy.supernet.parameters(), strict=True):
        assert torch.allclose(q, p if p.grad is None else p - 0.1 * p.grad, atol=1e-6), name


def test_in_a_space_without_numbers_the_largest_multiplies_most_and_equal_options_are_drawn() -> None:
    options = {"two": nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), "skip": nn.Identity(), "one": nn.Linear(4, 4), "relu": nn.ReLU()}
    net = Supernet(nn.Sequential(OneOf(options, name="op"), OneOf({"a": nn.ReLU(), "b": nn.Tanh()}, name="act"), nn.Linear(4, 3)))
    strategy = OneShot(net, Task(batches(2), loss=F.cross_entropy), lessons="sandwich")
    drawn = [blends(strategy.lessons, net.space, rng=Random(seed)) for seed in range(30)]
    assert all(step[0]["op"] == (0,) for step in drawn)
    assert {step[-1]["op"] for step in drawn} == {(1,), (3,)}
    assert {step[0]["act"] for step in drawn} == {(0,), (1,)}


def test_a_space_in_which_nothing_is_larger_has_no_sandwich() -> None:
    net = Supernet(nn.Sequential(OneOf({"tanh": nn.Tanh(), "skip": nn.Identity()}), nn.Linear(4, 3)))
    with pytest.raises(InputError, match="a sandwich is of sizes: it needs options that are numbers, or cost unequally"):
        OneShot(net, Task(batches(2), loss=F.cross_entropy), lessons="sandwich")


def test_path_dropout_begins_with_everything_and_drops_ever_more() -> None:
    assert blends(path_dropout) == [{"one": (0, 1, 2), "wide": (0, 1, 2), "node": (0, 1)}]
    space, rng = SearchSpace([Choice("one", tuple(range(8)), search_only=(7,))]), Random(0)
    for progress in (0.5, 1.0):
        kept = [blends(partial(path_dropout, rate=0.2), space, progress, rng)[0]["one"] for _ in range(4000)]
        assert all(kept) and not any(7 in runs for runs in kept)
        dropped = (0.2 * progress) ** (1 / 7)  # where all would be gone, one is left
        expected = 7 * (1 - dropped) + 0.2 * progress
        assert sum(map(len, kept)) / 4000 == pytest.approx(expected, abs=0.08)


def test_draws_by_cost_lie_in_the_range_and_spread_over_it() -> None:
    space = SearchSpace(Choice(f"layer{i}", tuple(range(10))) for i in range(4))

    def cost(arch: Architecture) -> float:
        return float(sum(int(taken) for taken in arch.values()))  # type: ignore[arg-type]

    lessons, rng, counts = partial(by_cost, cost=cost, least=20, most=35, bins=3), Random(0), Counter[int]()
    for _ in range(600):
        ((mixture, target),) = lessons(space, rng, 0.0)
        spent = sum(mix.runs[0] for mix in mixture.values())
        assert target is None and 20 <= spent <= 35
        counts[min((spent - 20) // 5, 2)] += 1
    assert min(counts.values()) > 120  # uniform draws have one in forty beyond 30
    ((mixture, _),) = by_cost(space, rng, 0.0, cost=cost, least=100, most=110, tries=3)  # nothing costs as much
    assert set(mixture) == set(space)


@pytest.mark.parametrize("lessons", LESSONS)
@pytest.mark.parametrize("cut", [2, 5])
def test_training_that_is_killed_and_resumed_goes_on_bit_for_bit(lessons: str, cut: int) -> None:
    def train(strategy: OneShot, task: Task, begin: int, end: int) -> None:
        for i in range(begin, end):
            if i % 2 == 0:
                strategy.epoch(i // 2, 4, {})
            strategy.step(task.data)

    strategy, task = made(lessons=lessons)
    train(strategy, task, 0, cut)
    file = io.BytesIO()
    torch.save({"strategy": strategy.state_dict(), "data": task.data.state_dict()}, file)
    train(strategy, task, cut, 8)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    again, other = made(seed=7, lessons=lessons)
    again.load_state_dict(state["strategy"])
    other.data.load_state_dict(state["data"])
    train(again, other, cut, 8)
    assert again.rng.getstate() == strategy.rng.getstate() and again.progress == strategy.progress
    for (name, p), q in zip(strategy.supernet.state_dict().items(), again.supernet.state_dict().values(), strict=True):
        assert torch.equal(p, q), name


def test_another_network_can_teach() -> None:
    teacher = nn.Linear(4, 3)

    def learnt(task: Task, outputs: Any, batch: Any, target: Any) -> Tensor:
        return F.mse_loss(outputs, task.predict(teacher, batch).detach())

    strategy, task = made(objective=learnt)
    x, before = batches(3)[0][0], [p.detach().clone() for p in teacher.parameters()]
    arch = one_hot(SPACE, SPACE.sample(Random(0)))
    far = F.mse_loss(strategy.supernet(arch, x), teacher(x))
    for _ in range(60):
        strategy.step(task.data)
    assert F.mse_loss(strategy.supernet(arch, x), teacher(x)) < far
    assert all(torch.equal(p, q) for p, q in zip(teacher.parameters(), before, strict=True))


@pytest.mark.parametrize("lessons", LESSONS)
def test_lessons_go_by_name(lessons: str) -> None:
    torch.manual_seed(0)
    task = Task(batches(3), batches(2), loss=F.cross_entropy)
    found = search(Supernet(Net()), task, "one-shot", epochs=2, searcher="random", trials=2, lessons=lessons)
    assert len(found.trials) == 2 and found.history[-1]["loss"] > 0


def test_a_name_that_is_not_there_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match="unknown kind of lessons 'sandwhich'; did you mean 'sandwich'"):
        made(lessons="sandwhich")
