"""A user's own module, data and loss, through the Python API."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import supernet
from supernet import ElasticConv1d, ElasticNorm, InputError, OneOf, Supernet, Task, UpTo, derive, search
from supernet.costs.objective import Objective
from supernet.estimators.shared import SharedWeights
from supernet.layers.base import searchable
from supernet.run import Run
from supernet.space import Architecture
from supernet.spaces import space
from supernet.strategies.retrain import Retrain
from supernet.strategies.weights import Weights
from supernet.train import fit


def signals(n: int, seed: int) -> TensorDataset:
    """Sines, squares and saws of random pitch and phase, with noise: (n, 1, 64)."""
    rng = torch.Generator().manual_seed(seed)
    t = torch.arange(64) / 64
    kind = torch.randint(0, 3, (n,), generator=rng)
    phase = 2 * math.pi * ((2 + 2 * torch.rand(n, 1, generator=rng)) * t + torch.rand(n, 1, generator=rng))
    waves = torch.stack([phase.sin(), phase.sin().sign(), (phase / math.pi) % 2 - 1], 1)
    x = waves[torch.arange(n), kind] + 0.2 * torch.randn(n, 64, generator=rng)
    return TensorDataset(x[:, None], kind)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = OneOf({"k3": nn.Conv1d(8, 8, 3, padding=1), "k7": nn.Conv1d(8, 8, 7, padding=3), "pool": nn.AvgPool1d(3, 1, 1)})
        self.norm = nn.BatchNorm1d(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + F.relu(self.norm(self.conv(x)))


class Net(nn.Module):
    """Nothing that a built-in space has."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(1, 8, 5, stride=2, padding=2)
        self.stage = UpTo([Block() for _ in range(3)], depths=(1, 2, 3))
        self.widen = ElasticConv1d(8, (8, 16, 24), 3, stride=2, padding=1, name="width")
        self.norm = ElasticNorm(24)
        self.last = ElasticConv1d(24, 16, 1)
        self.head = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.norm(self.widen(self.stage(self.stem(x)))))
        out: torch.Tensor = self.head(self.last(x).amax(2))
        return out


@pytest.fixture
def task() -> Task:
    torch.manual_seed(0)
    train, validation = DataLoader(signals(480, 0), 32, shuffle=True), DataLoader(signals(240, 1), 60)
    return Task(train, validation, loss=F.cross_entropy)


def check_delivery(net: Supernet, arch: Architecture, task: Task, folder: Path) -> None:
    """Derived, it is plain, computes the same, and runs in ONNX."""
    import onnxruntime

    model = derive(net, arch, *task.example)
    assert not searchable(model)
    x = signals(5, 3).tensors[0]
    net.eval()
    from supernet.mixture import one_hot

    assert torch.allclose(model(x), net(one_hot(net.space, net.space.check(arch)), x), atol=1e-5)
    done = supernet.export(model, task.example, folder, ("onnx",))
    assert done["onnx"].difference < 1e-4
    session = onnxruntime.InferenceSession(str(done["onnx"].path))
    (out,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    assert numpy.allclose(out, model(x).detach().numpy(), atol=1e-4)


def test_darts_searches_a_users_own_module(task: Task, tmp_path: Path) -> None:
    net = Supernet(Net())
    found = search(net, task, "darts", epochs=6, alpha_lr=0.01, weights=partial(Weights, lr=0.1))
    assert found.history[-1]["validation"]["accuracy"] > 0.8
    check_delivery(net, found.architecture, task, tmp_path)
    model = derive(net, found.architecture, *task.example)
    strategy = Retrain(model, task, weights=partial(Weights, lr=0.1))
    fit(strategy, task.data, 5)
    assert strategy.evaluate()["accuracy"] > 0.85


@pytest.mark.slow
def test_one_shot_and_evolution_search_a_users_own_module(task: Task, tmp_path: Path) -> None:
    net = Supernet(Net())
    found = search(net, task, "one-shot", epochs=10, searcher="evolution", trials=30)
    assert len(found.trials) == 30
    assert found.scores["loss"] == min(t.scores["loss"] for t in found.trials if t.scores) and found.scores["accuracy"] > 0.8
    check_delivery(net, found.architecture, task, tmp_path)


def test_a_run_of_a_users_own_module_is_loaded_again(task: Task, tmp_path: Path) -> None:
    found = search(Supernet(Net()), task, "darts", epochs=1, out=tmp_path / "run")
    assert {p.name for p in (tmp_path / "run").iterdir()} >= {"architecture.json", "weights.safetensors", "report.html", "history.jsonl"}
    assert found.supernet
    x = signals(4, 2).tensors[0]
    expected = derive(found.supernet, found.architecture, *task.example)(x)
    assert torch.equal(supernet.load(tmp_path / "run", Net(), *task.example)(x), expected)
    with pytest.raises(InputError, match=r"use supernet\.load"):
        supernet.load(tmp_path / "run")


def test_a_limit_of_ones_own_holds(task: Task) -> None:
    net = Supernet(Net())
    found = search(
        net,
        task,
        "one-shot",
        epochs=1,
        searcher="random",
        trials=8,
        costs=lambda arch: {"width": float(str(arch["width"]))},
        objective=Objective(limits={"width": 16}),
    )
    assert all(t.architecture["width"] in (8, 16) for t in found.trials)


def test_a_search_is_repeated_by_its_seed(task: Task) -> None:
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(0)
        train, validation = DataLoader(signals(96, 0), 32, shuffle=True), DataLoader(signals(60, 1), 60)
        fresh = Task(train, validation, loss=F.cross_entropy)
        torch.manual_seed(5)
        found = search(Supernet(Net()), fresh, "darts", epochs=2, seed=seed)
        results.append([{k: v for k, v in line.items() if k != "measured"} for line in found.history])
    assert results[0] == results[1] != results[2]


def test_a_one_shot_run_killed_while_it_tries_architectures_goes_on(task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def begin(folder: str, **more: Any) -> Any:
        torch.manual_seed(3)
        loaders = DataLoader(signals(96, 0), 32, shuffle=True), DataLoader(signals(60, 1), 60)
        return search(
            Supernet(Net()),
            Task(*loaders, loss=F.cross_entropy),
            "one-shot",
            epochs=1,
            searcher="evolution",
            trials=10,
            out=tmp_path / folder,
            **more,
        )

    whole = begin("whole")
    call, left = SharedWeights.__call__, iter(range(4))

    def dying(self: SharedWeights, arch: Architecture) -> dict[str, float]:
        if next(left, None) is None:
            raise MemoryError
        return call(self, arch)

    monkeypatch.setattr(SharedWeights, "__call__", dying)
    with pytest.raises(MemoryError):
        begin("killed")
    monkeypatch.setattr(SharedWeights, "__call__", call)
    resumed = begin("killed", resume=True)
    assert [(t.architecture, t.scores) for t in resumed.trials] == [(t.architecture, t.scores) for t in whole.trials]


def test_trials_after_a_training_do_not_write_its_checkpoint_again(task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[set[str]] = []
    save = Run.save
    monkeypatch.setattr(Run, "save", lambda self, **state: (saved.append(set(state)), save(self, **state)))
    search(Supernet(Net()), task, "one-shot", epochs=2, searcher="evolution", trials=6, out=tmp_path / "run")
    assert len(saved) == 2, "once an epoch"
    lines = (tmp_path / "run" / "history.jsonl").read_text().splitlines()
    assert [next(iter(json.loads(line))) for line in lines] == ["epoch"] * 2 + ["trial"] * 6


def test_an_estimate_by_shared_weights_leaves_the_random_state_alone(task: Task) -> None:
    """A trial that is read from a history draws nothing, so one that is made must not leave another state to what follows."""

    class Noisy(Task):
        def predict(self, network: Any, batch: Any) -> Any:
            return super().predict(network, batch) + torch.rand(3)

    net = Supernet(Net())
    noisy = Noisy(*(task.data._loaders[n].loader for n in ("train", "validation")), loss=F.cross_entropy)
    estimate, arch = SharedWeights(net, noisy, batches=1), net.space.sample(Random(0))
    before = torch.get_rng_state()
    assert estimate(arch) == estimate(arch)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_task_without_metrics_is_searched_by_its_loss() -> None:
    torch.manual_seed(0)
    x = torch.randn(64, 3)
    data = TensorDataset(x, x.sum(1, keepdim=True))
    task = Task(DataLoader(data, 16), DataLoader(data, 16), loss=F.mse_loss)
    net = Supernet(nn.Sequential(OneOf({"a": nn.Linear(3, 4), "b": nn.Sequential(nn.Linear(3, 4), nn.Tanh())}), nn.Linear(4, 1)))
    found = search(net, task, "one-shot", epochs=3, searcher="grid", trials=5)
    assert len(found.trials) == 2 and found.scores["loss"] == min(t.scores["loss"] for t in found.trials if t.scores)


def test_mixed_precision_and_class_weights_are_arguments() -> None:
    torch.manual_seed(0)
    data = signals(64, 0)
    loss = partial(F.cross_entropy, weight=torch.tensor([1.0, 2.0, 1.0]))
    task = Task(DataLoader(data, 16), DataLoader(data, 16), loss=loss, autocast=torch.bfloat16)
    found = search(Supernet(Net()), task, "darts", epochs=1)
    assert 0 <= found.scores["accuracy"] <= 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda net, task: search(net, task, "dart"), "did you mean 'darts'"),
        (lambda net, task: search(net, task, "one-shot", searcher="evolutoin"), "did you mean 'evolution'"),
        (lambda net, task: search(net, Task(task.data._loaders["train"], loss=F.cross_entropy), "one-shot"), "no"),
        (lambda net, task: Task([], loss=F.cross_entropy), "no batches"),
        (lambda net, task: Task([(1,)], loss=F.cross_entropy, device="tpu9"), "cannot be used here"),
    ],
)
def test_mistakes_are_refused_before_any_work(task: Task, call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call(Supernet(Net()), task)


def test_a_searcher_that_is_named_chooses_by_the_weights_of_a_method_that_could_decide() -> None:
    def made() -> tuple[Supernet, Task]:
        torch.manual_seed(0)
        x = torch.randn(64, 3, 8, 8)
        batches = list(zip(x.split(16), torch.randint(0, 10, (64,)).split(16), strict=True))
        return space("nasbench201").supernet(channels=4, cells=1, shape=(3, 8, 8)), Task(batches, batches, loss=F.cross_entropy)

    alone = search(*made(), "gdas", epochs=2)
    assert not alone.trials
    net, task = made()
    found = search(net, task, "gdas", epochs=2, searcher="random", trials=5, calibration=2)
    assert len(found.trials) == 5
    best = min(found.trials, key=lambda trial: trial.scores["loss"])
    assert found.scores["loss"] == best.scores["loss"]
    assert [line["loss"] for line in found.history] == [line["loss"] for line in alone.history], "it is trained in the same way"
    assert "alphas" not in found.decided and "trials" in found.decided
    narrow = space("darts").supernet(channels=4, cells=3, nodes=1, shape=(3, 8, 8), skip_dropout=True)
    with pytest.raises(InputError, match="leaves out options while it trains"):
        search(narrow, task, "p-darts", searcher="random", stages=[{}], keep=[8], dropout=[0.1])
