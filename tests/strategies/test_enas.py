"""ENAS: the turns of weights and policy, rewards, the official learning rates, what is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet import OneOf, Supernet, Task, search
from supernet.data.text import Text
from supernet.errors import InputError
from supernet.mixture import Mix, one_hot
from supernet.policies.anything import AnyPolicy
from supernet.policies.cells import CellPolicy
from supernet.policies.controller import Controller
from supernet.policies.layers import LayerPolicy
from supernet.policies.recurrent import RecurrentPolicy
from supernet.policies.reinforce import Reinforce
from supernet.settings.given import defaults
from supernet.spaces import enas_macro, enas_micro, enas_recurrent
from supernet.stopping import Interrupted
from supernet.strategies import STRATEGIES
from supernet.strategies.enas import ENAS
from supernet.strategies.one_shot import OneShot
from supernet.strategies.restarted import Restarted
from supernet.tasks.language import LanguageModelling
from supernet.tree import mapped
from unmeasured import plain


class Zeros(nn.Module):
    """Forget the input."""

    def forward(self, x: Tensor) -> Tensor:
        return 0 * x


class Net(nn.Module):
    """One choice is between knowing the input and not."""

    def __init__(self) -> None:
        super().__init__()
        self.one = OneOf({"nothing": Zeros(), "all": nn.Identity()})
        self.head = nn.Sequential(nn.BatchNorm1d(2, affine=False), nn.Linear(2, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.one(x))


def task(validation: bool = True, size: int = 0) -> Task:
    g = torch.Generator().manual_seed(0)
    shape = (8, 2, size, size) if size else (32, 2)
    batches = [(x, (x.flatten(1)[:, 0] > 0).long()) for x in (torch.randn(shape, generator=g) for _ in range(3))]
    return Task(batches, batches if validation else None, loss=F.cross_entropy)


def made(**settings: Any) -> tuple[ENAS, Task]:
    torch.manual_seed(0)
    data = task()
    return ENAS(Supernet(Net()), data, **{"policy_steps": 2, "samples": 3, **settings}), data


def test_after_a_pass_of_the_training_data_the_policy_learns_and_the_weights_rest() -> None:
    strategy, data = made()
    strategy.epoch(0, 5, {})
    assert strategy.steps(data.data) == 3 + 2
    for at in range(10):
        parts = {"weights": strategy.supernet, "policy": strategy.drawer.policy}
        before = {name: [p.detach().clone() for p in part.parameters()] for name, part in parts.items()}
        strategy.step(data.data)
        moved = {
            name: any(not torch.equal(a, b) for a, b in zip(before[name], part.parameters(), strict=True)) for name, part in parts.items()
        }
        assert moved == {"weights": at % 5 < 3, "policy": at % 5 >= 3}


def test_a_reward_is_the_accuracy_by_the_batchs_own_statistics_and_leaves_no_trace() -> None:
    strategy, data = made()
    norm = strategy.supernet.model.head[0]
    x, y = next(iter(data.data.each("validation")))
    before = norm.running_mean.clone()
    worth, measured = strategy.worth.on_batch({"one": Mix(None, (1,))}, (x, y))
    logits = strategy.supernet.model.head[1]((x - x.mean(0)) / (x.var(0, unbiased=False) + norm.eps).sqrt())
    assert float(worth) == pytest.approx(float((logits.argmax(1) == y).double().mean()))
    assert float(measured["loss"]) == pytest.approx(F.cross_entropy(logits, y).item(), abs=1e-6)
    assert torch.equal(norm.running_mean, before) and norm.training


def test_the_policy_finds_the_option_that_knows_something() -> None:
    strategy, data = made(weights={"lr": 1.0, "lr_min": 0.5}, policy_lr=0.01, policy_steps=10, remembered=0.9)
    strategy.epoch(0, 8, {})
    for _ in range(8 * strategy.steps(data.data)):
        strategy.step(data.data)
    assert strategy.architecture() == {"one": "all"} and strategy.belief()["one"][1] > 0.8
    strategy.finish(data.data)
    assert strategy.architecture() == {"one": "all"} and strategy.evaluate()["accuracy"] > 0.8


def test_at_the_end_the_best_draw_on_the_validation_data_counts_not_the_likeliest() -> None:
    strategy, data = made(candidates=20)
    with torch.no_grad():
        strategy.supernet.model.head[1].weight.copy_(torch.tensor([[-9.0, 0.0], [9.0, 0.0]]))
        strategy.supernet.model.head[1].bias.copy_(torch.tensor([0.1, 0.0]))
        strategy.drawer.policy.scores[0][:, 0] += 0.05 * strategy.drawer.policy(lambda x: x.argmax(-1)).log_p.sign()
    strategy.finish(data.data)
    assert strategy.architecture() == {"one": "all"}


def test_under_bounds_as_many_candidates_are_drawn_as_keep_them() -> None:
    strategy, data = made(candidates=4, within=lambda architecture: float(architecture["one"] == "all"))
    with torch.no_grad():
        strategy.drawer.policy.scores[0][:, 1] += 9 * strategy.drawer.policy(lambda x: x.argmax(-1)).log_p.abs()
    drawn = strategy.drawer.within(strategy.excess, 4)
    assert drawn == [{"one": "nothing"}] * 4 and len(strategy.drawer.within(lambda _: 0.0, 300)) == 300
    assert strategy.drawer.within(lambda _: 1.0, 4) == []
    strategy.finish(data.data)
    assert strategy.found == {"one": "nothing"}


def test_learning_rates_restart_as_in_the_official_search() -> None:
    """T_0 10, T_mul 2 over 150 epochs (micro) and 310 (macro): cycles of 10, 20, 40, 80 and 160."""
    weights = Restarted(nn.Linear(1, 1), lr=0.05, lr_min=5e-4)
    for of in (150, 310):
        rates = []
        for epoch in range(of):
            weights.epoch(epoch, of)
            rates.append(weights.lr)
        assert [i for i, rate in enumerate(rates) if rate == pytest.approx(0.05)] == [0, 10, 30, 70, 150][: 4 + (of > 150)]
        assert rates[20] == pytest.approx((0.05 + 5e-4) / 2) and rates[69] < 0.001 and rates[-1] < 0.001


def test_a_short_search_has_as_many_cycles_as_whole_epochs_allow() -> None:
    weights = Restarted(nn.Linear(1, 1), lr=1.0, lr_min=0.0)
    rates = []
    for epoch in range(4):
        weights.epoch(epoch, 3)
        rates.append(round(weights.lr, 6))
    assert rates == [1.0, 1.0, 0.5, 0.0]


def test_weights_that_a_step_does_not_run_go_on_by_momentum_and_decay_as_in_the_official_code() -> None:
    """There every step has gradients of all weights, of zero where they do not run; numbers of Nesterov's momentum by hand."""
    net = nn.ModuleList([nn.Linear(1, 1, bias=False) for _ in range(2)])
    weights = Restarted(net, lr=0.1, lr_min=0.1, momentum=0.9, nesterov=True, decay=0.02, clip=None)
    w, velocity = net[1].weight.item(), 0.0
    for ran in (1, 0, 0, 1):
        x = torch.full((1, 1), 2.0)
        weights.step([net[ran](x).sum()])
        slope = (2.0 if ran else 0.0) + 0.02 * w
        velocity = 0.9 * velocity + slope
        w -= 0.1 * (slope + 0.9 * velocity)
        assert net[1].weight.item() == pytest.approx(w, abs=1e-6)


SMALL = {"channels": 2, "shape": (2, 8, 8), "classes": 2}


@pytest.mark.parametrize(
    ("space", "net", "policy"),
    [
        ("enas-micro", lambda: enas_micro.supernet(**SMALL, cells=1, nodes=1), CellPolicy),
        ("enas-macro", lambda: enas_macro.supernet(**SMALL, layers=3), LayerPolicy),
        ("darts", lambda: enas_macro.supernet(**SMALL, layers=3), AnyPolicy),
    ],
)
def test_in_its_own_space_the_policy_is_the_papers(space: str, net: Callable[[], Supernet], policy: type[Controller]) -> None:
    data = task(size=8)
    strategy: Any = STRATEGIES["enas"].load(space)(net(), data, policy_steps=1, samples=2)
    assert isinstance(strategy.drawer.policy, policy)
    strategy.epoch(0, 2, {})
    for _ in range(4):
        measured = strategy.step(data.data)
    assert measured["loss"].isfinite() and strategy.supernet.space.check(strategy.architecture())


def test_numbers_are_those_of_the_official_scripts() -> None:
    micro, macro = (defaults(STRATEGIES["enas"].load(space)) for space in ("enas-micro", "enas-macro"))
    own = {"policy_steps": 30, "samples": 10, "policy_lr": 0.0035, "policy_betas": (0.0, 0.999), "policy_eps": 1e-3, "entropy": 1e-4}
    assert {name: micro[name] for name in own} == own and micro["remembered"] == macro["remembered"] == 0.99
    assert {n: macro[n] for n in own} == {**own, "policy_steps": 50, "samples": 20, "policy_lr": 0.001}
    assert (micro["penalty_weight"], macro["penalty_weight"]) == (0, 0.8)
    words = defaults(STRATEGIES["enas"].load("enas-rnn"))
    assert (words["policy_steps"], words["samples"], words["policy_lr"], words["scale"]) == (25, 10, 5e-5, 80)
    assert (words["policy_betas"], words["entropy"], words["remembered"]) == ((0.9, 0.999), 1e-5, 0.999)


def test_recurrent_cells_are_rewarded_by_80_over_their_perplexity() -> None:
    torch.manual_seed(0)
    text = Text("drawn", "word", tuple(map(str, range(12))), *(torch.randint(12, (120,)) for _ in range(3)))
    data = LanguageModelling.of(text, batch=4, steps=6, evaluation_batch=4)
    net = enas_recurrent.supernet(tokens=12, hidden=6, nodes=3)
    strategy: Any = STRATEGIES["enas"].load("enas-rnn")(net, data, policy_steps=2, samples=2)
    strategy.epoch(0, 1, {})
    chunk = next(iter(data.data.each("validation")))
    worth, measured = strategy.worth.on_batch(one_hot(net.space, net.space.sample(Random(0))), chunk)
    assert float(worth) == pytest.approx(80 / float(measured["loss"].exp()))
    for _ in range(strategy.steps(data.data)):
        strategy.step(data.data)
    assert isinstance(strategy.drawer.policy, RecurrentPolicy) and net.space.check(strategy.architecture())


def test_without_validation_data_it_is_refused() -> None:
    with pytest.raises(InputError, match="give Task a validation loader"):
        ENAS(Supernet(Net()), task(validation=False))


@pytest.mark.parametrize(
    ("who", "calls"),
    [(Reinforce, 1), (Reinforce, 4), (OneShot, 4)],
    ids=["the policy learns", "the policy learns again", "the weights learn again"],
)
def test_a_search_that_is_killed_while_either_learns_goes_on_to_the_same_files(
    who: type, calls: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(out: Path, resume: bool = False) -> list[Any]:
        torch.manual_seed(0)
        search(Supernet(Net()), task(), "enas", epochs=2, policy_steps=3, samples=2, out=out, resume=resume, save_every=0.0)
        history = [plain(json.loads(line)) for line in (out / "history.jsonl").read_text().splitlines()]
        state = torch.load(out / "checkpoint.pt", weights_only=True)["strategy"]
        return [history, json.loads((out / "architecture.json").read_text()), json.dumps(mapped(listed, state), default=str)]

    step, left = who.step, [calls]

    def until(self: Any, *given: Any) -> Any:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return step(self, *given)

    with monkeypatch.context() as patch, pytest.raises((KeyboardInterrupt, Interrupted)):
        patch.setattr(who, "step", until)
        run(tmp_path / "killed")
    assert run(tmp_path / "killed", resume=True) == run(tmp_path / "whole")


def listed(value: Any) -> Any:
    """A tensor as its numbers; anything else as it is."""
    return value.tolist() if isinstance(value, Tensor) else value
