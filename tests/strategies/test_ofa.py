"""Progressive shrinking: which networks each phase trains, by what, at which rates; sorting, distillation, and stops in every phase."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet import ElasticConv2d, ElasticKernel2d, ElasticNorm, InputError, OneOf, Supernet, Task, UpTo
from supernet.layers.input_size import InputSize
from supernet.mixture import Mixture, one_hot
from supernet.modules.modes import by_batch
from supernet.strategies.ofa import OFA
from supernet.strategies.shrinking import PAPER, borders

NAMES = ["largest", "kernel", "depth, two sizes", "depth", "width, two sizes", "width"]
EPOCHS = 12
LARGEST = {"kernel": 5, "depth": 3, "width": 8}


def block() -> nn.Module:
    return nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.ReLU())


def net(*first: nn.Module) -> Supernet:
    torch.manual_seed(0)
    wide = [
        ElasticConv2d(1, (4, 6, 8), 1, name="width"),
        ElasticNorm(8),
        ElasticKernel2d(8, (3, 5), name="kernel"),
        ElasticNorm(8),
        nn.ReLU(),
    ]
    deep = [ElasticConv2d(8, 4, 1), nn.BatchNorm2d(4), UpTo([block() for _ in range(3)], (1, 2, 3), name="depth")]
    return Supernet(nn.Sequential(*first, *wide, *deep, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)))


class Joined(nn.Module):
    """Channels of which the next layer knows the places."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = ElasticConv2d(1, (2, 4), 1, name="width")

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.conv(x)], 1)


def made(supernet: Supernet | None = None, **settings: Any) -> tuple[OFA, Task]:
    g = torch.Generator().manual_seed(1)
    batches = [(torch.randn(4, 1, 6, 6, generator=g), torch.randint(3, (4,), generator=g)) for _ in range(2)]
    task = Task(batches, batches, loss=F.cross_entropy)
    return OFA(supernet or net(), task, **settings), task


def train(strategy: OFA, task: Task, begin: int = 0, end: int = EPOCHS) -> None:
    """Whole epochs of one step, as ``fit`` does."""
    if begin == 0:
        strategy.epoch(0, EPOCHS, {})
    for done in range(begin, end):
        strategy.step(task.data)
        strategy.epoch(done + 1, EPOCHS, {})


def taken(strategy: OFA, mixture: Mixture) -> dict[str, Any]:
    return {name: choice.options[mixture[name].runs[0]] for name, choice in strategy.supernet.space.items()}


def lessons(strategy: OFA, task: Task) -> list[tuple[dict[str, Any], Any]]:
    return [(taken(strategy, mixture), target) for mixture, target in strategy.lessons_on(task.data.next("train"))]


def test_phases_last_as_in_the_paper_in_proportion_and_at_least_an_epoch() -> None:
    assert borders(PAPER, 590) == [0, 180, 300, 325, 445, 470, 590]
    assert borders(PAPER, 6) == [0, 1, 2, 3, 4, 5, 6]
    assert borders(PAPER, 59) == [0, 18, 30, 32, 44, 47, 59]
    with pytest.raises(InputError, match="has 6 phases here: give it as many epochs; got 5"):
        borders(PAPER, 5)


def test_each_phase_trains_as_many_networks_as_the_paper_of_the_sizes_that_are_open() -> None:
    strategy, task = made()
    seen: dict[str, dict[str, set[Any]]] = {}
    for phase in range(len(PAPER)):
        if phase:
            strategy.begin(phase)
        found = [each for _ in range(10) for each in lessons(strategy, task)]
        assert len(found) == 10 * (1, 1, 2, 2, 4, 4)[phase]
        assert all((target is None) == (phase == 0) for _, target in found)
        seen[strategy.facts()["phase"]] = {name: {arch[name] for arch, _ in found} for name in LARGEST}
    kernels, depths = {3, 5}, {1, 2, 3}
    sizes = [({5}, {3}, {8}), (kernels, {3}, {8}), (kernels, {2, 3}, {8}), (kernels, depths, {8}), (kernels, depths, {6, 8})]
    sizes.append((kernels, depths, {4, 6, 8}))
    assert seen == {name: dict(zip(LARGEST, each, strict=True)) for name, each in zip(NAMES, sizes, strict=True)}


def test_phases_that_open_nothing_here_are_left_out_and_a_trained_supernet_begins_with_the_second() -> None:
    only = Supernet(nn.Sequential(UpTo([nn.Conv2d(1, 1, 1)] * 2, (1, 2), name="depth"), nn.Flatten(), nn.Linear(36, 3)))
    assert [phase.name for phase in made(only)[0].phases] == ["largest", "depth, two sizes"]
    strategy, task = made(trained=True)
    assert [phase.name for phase in strategy.phases] == NAMES[1:]
    assert all(target is not None for _, target in lessons(strategy, task))


def test_a_step_adds_the_gradients_of_labels_and_of_what_the_largest_says_over_all_its_networks() -> None:
    strategy, task = made(distil=0.5, weights={"lr": 0.1, "momentum": 0.0, "decay": 0.0, "nesterov": False}, trained=True)
    strategy.begin(2)  # two networks a step
    strategy.weights.epoch(0, 2)
    twin, other = made(distil=0.5, trained=True)
    twin.supernet.load_state_dict(strategy.supernet.state_dict())
    twin.begin(2)
    twin.rng.setstate(strategy.rng.getstate())
    x, y = batch = other.data.next("train")
    assert twin.teacher is not None
    with torch.no_grad(), by_batch(twin.teacher):
        says = twin.teacher(one_hot(twin.supernet.space, LARGEST), x).softmax(1)
    total = torch.zeros(())
    for mixture, _ in twin.lessons_on(batch):
        logits = twin.supernet(mixture, x)
        total = total + F.cross_entropy(logits, y) + 0.5 * F.cross_entropy(logits, says)
    total.backward()
    before = {name: p.detach().clone() for name, p in strategy.supernet.named_parameters()}
    strategy.step(task.data)
    assert strategy.weights.lr == pytest.approx(0.1 * 0.24 / 2.6)
    for name, p in twin.supernet.named_parameters():
        after = dict(strategy.supernet.named_parameters())[name]
        gradient = torch.zeros_like(p) if p.grad is None else p.grad
        assert torch.allclose(after, before[name] - strategy.weights.lr * gradient, atol=1e-6), name


def test_channels_are_sorted_where_widths_open_and_again_apart_and_the_largest_stays_what_it_is() -> None:
    strategy, task = made()
    x = task.data.next("train")[0]

    def importance() -> Tensor:
        return strategy.supernet.model[5].plain.weight.abs().sum((0, 2, 3))

    def largest() -> Tensor:
        strategy.supernet.eval()
        return strategy.supernet(one_hot(strategy.supernet.space, LARGEST), x)

    for phase in (1, 2, 3):
        strategy.begin(phase)
    before, told = largest(), importance()
    assert not torch.equal(told, told.sort(descending=True)[0])
    strategy.begin(4)
    assert torch.equal(importance(), told.sort(descending=True)[0]) and torch.allclose(largest(), before, atol=1e-6)
    with torch.no_grad():
        strategy.supernet.model[5].plain.weight.mul_(torch.arange(1.0, 9.0).view(1, 8, 1, 1))
    before = largest()
    strategy.begin(5)
    first, last = importance()[:6], importance()[6:]  # the two sizes in use are 6 and 8
    assert torch.equal(first, first.sort(descending=True)[0]) and torch.equal(last, last.sort(descending=True)[0])
    assert not torch.equal(importance(), importance().sort(descending=True)[0]) and torch.allclose(largest(), before, atol=1e-5)


def test_the_teacher_stays_what_the_first_phase_has_left() -> None:
    strategy, task = made()
    train(strategy, task, end=borders(PAPER, EPOCHS)[1])
    assert strategy.teacher is not None
    kept = {name: tensor.clone() for name, tensor in strategy.supernet.state_dict().items()}
    for done in range(borders(PAPER, EPOCHS)[1], EPOCHS):
        strategy.step(task.data)
        strategy.epoch(done + 1, EPOCHS, {})
    assert all(torch.equal(tensor, kept[name]) for name, tensor in strategy.teacher.state_dict().items())


def test_rates_begin_anew_in_each_phase_in_the_papers_proportions_and_only_matrices_decay() -> None:
    strategy, _ = made()
    rates, phases = [], []
    strategy.epoch(0, EPOCHS, {})
    for done in range(EPOCHS):
        rates.append(strategy.weights.lr / 0.08 * 2.6)
        phases.append(strategy.facts()["phase"])
        strategy.epoch(done + 1, EPOCHS, {})
    assert [rates[phases.index(name)] for name in NAMES] == pytest.approx([2.6, 0.96, 0.08, 0.24, 0.08, 0.24])
    matrices, vectors = strategy.weights.optimiser.param_groups
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (3e-5, 0.0)
    assert all(p.dim() > 1 for p in matrices["params"]) and all(p.dim() < 2 for p in vectors["params"])
    assert len(matrices["params"]) + len(vectors["params"]) == len(list(strategy.supernet.parameters()))


@pytest.mark.parametrize("cut", [1, 4, 6, 7, 9, 10, 11])
def test_training_that_is_killed_in_any_phase_goes_on_bit_for_bit(cut: int) -> None:
    strategy, task = made()
    train(strategy, task, end=cut)
    file = io.BytesIO()
    torch.save((strategy.state_dict(), task.data.state_dict()), file)
    train(strategy, task, cut)
    again, other = made(net().requires_grad_(True), seed=7)
    nn.init.ones_(again.supernet.model[-1].weight)
    state, data = torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    again.load_state_dict(state)
    other.data.load_state_dict(data)
    train(again, other, cut)
    assert again.facts() == strategy.facts()
    one, two = strategy.state_dict(), again.state_dict()
    assert all(torch.equal(tensor, two[whose][name]) for whose in ("supernet", "teacher") for name, tensor in one[whose].items())


def test_networks_of_a_step_and_their_teacher_see_images_of_one_size() -> None:
    strategy, task = made(net(InputSize((4, 6), name="size")))
    strategy.begin(5)
    steps = [{arch["size"] for arch, _ in lessons(strategy, task)} for _ in range(12)]
    assert all(len(sizes) == 1 for sizes in steps) and {4, 6} == set.union(*steps)


def test_a_supernet_without_sizes_and_channels_that_cannot_be_sorted_are_refused_at_once() -> None:
    with pytest.raises(InputError, match="progressive shrinking needs sizes"):
        made(Supernet(nn.Sequential(nn.Flatten(), OneOf({"a": nn.Linear(36, 3), "b": nn.Linear(36, 3)}))))
    with pytest.raises(InputError, match="cannot be sorted: something reads them by their places"):
        made(Supernet(nn.Sequential(Joined(), ElasticConv2d(5, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())))
    with pytest.raises(InputError, match="distil would have no effect"):
        made(distil=0.5, objective=lambda task, outputs, batch, target: task.loss(outputs, batch))
