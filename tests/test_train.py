from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from command_line import document
from supernet import OneOf, Supernet, Task
from supernet.errors import InputError, RunError
from supernet.randomness import seed_everything
from supernet.run import Run
from supernet.stopping import Interrupted
from supernet.strategies import STRATEGIES
from supernet.strategies.darts import DARTS
from supernet.strategies.retrain import Retrain
from supernet.strategies.weights import Weights
from supernet.train import fit


class Noisy(nn.Module):
    """Draws from the global generator, as dropout and a user's own augmentation do."""

    def __init__(self) -> None:
        super().__init__()
        self.body = OneOf({"a": nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.3), nn.ReLU()), "b": nn.Linear(4, 8)})
        self.norm, self.head = nn.BatchNorm1d(8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.norm(self.body(x + 0.1 * torch.randn_like(x))))
        return out


def made(order: int = 1) -> tuple[DARTS, Task]:
    seed_everything(0)
    x, y = torch.randn(40, 4), torch.randint(0, 3, (40,))
    data = torch.utils.data.TensorDataset(x, y)
    loaders = [torch.utils.data.DataLoader(data, batch_size=8, shuffle=True) for _ in range(2)]
    task = Task(*loaders, loss=F.cross_entropy)
    return DARTS(Supernet(Noisy()), task, order=order), task


class Killed(Exception):
    pass


def killed_after(strategy: DARTS, steps: int) -> None:
    """Makes the strategy raise at a step, as a kill would end the process."""
    inner, count = strategy.step, iter(range(steps))

    def step(data: Any) -> Any:
        if next(count, None) is None:
            raise Killed
        return inner(data)

    strategy.step = step  # type: ignore[method-assign]


def plain(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if k != "measured"} for line in history]


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("kills", [[3], [5], [7, 2, 4]])
def test_a_killed_and_resumed_run_ends_as_one_never_killed(tmp_path: Path, order: int, kills: list[int]) -> None:
    strategy, task = made(order)
    evaluate = lambda s: {"validation": s.evaluate()}  # noqa: E731
    whole = fit(strategy, task.data, 3, evaluate=lambda: evaluate(strategy))
    for i, steps in enumerate([*kills, 10**6]):
        again, task = made(order)
        if i:
            torch.manual_seed(100 + i)  # another process has other random states
        killed_after(again, steps)
        with Run(tmp_path / "r", {}, resume=i > 0) as run:
            try:
                resumed = fit(again, task.data, 3, run, evaluate=lambda a=again: evaluate(a), save_every=0.0)
            except Killed:
                continue
    assert plain(resumed) == plain(whole) == plain(run.history())
    for a, b in zip(strategy.supernet.state_dict().values(), again.supernet.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert all(torch.equal(a, b) for a, b in zip(strategy.alphas.values(), again.alphas.values(), strict=True))


@pytest.mark.parametrize("save_every", [0.0, 1e9])
def test_a_run_that_has_ended_holds_two_whole_checkpoints_of_its_end_whenever_it_saved(tmp_path: Path, save_every: float) -> None:
    strategy, task = made()
    with Run(tmp_path / "r", {}) as run:
        fit(strategy, task.data, 2, run, save_every=save_every)
    last, other = (tmp_path / "r" / name for name in ("checkpoint.pt", "checkpoint.before.pt"))
    assert last.read_bytes() == other.read_bytes() and not last.samefile(other)
    assert torch.load(last, weights_only=True)["finished"]
    last.write_bytes(b"")
    with Run(tmp_path / "r", {}, resume=True) as run, pytest.raises(InputError, match=r"good state is .*before\.pt, made after 2"):
        fit(made()[0], task.data, 2, run)


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    strategy, task = made()
    with Run(tmp_path / "r", {}) as run:
        fit(strategy, task.data, 1, run)
    strategy, task = made()
    killed_after(strategy, 0)
    with Run(tmp_path / "r", {}, resume=True) as run:
        assert len(fit(strategy, task.data, 1, run)) == 1


def test_a_number_of_steps_is_kept_exactly_and_sets_epochs_and_schedule() -> None:
    for steps, epochs in ((12, 6), (13, 5), (4, 4), (40, 8)):
        strategy, task = made()
        history = fit(strategy, task.data, 50, steps=steps)
        state = task.data.state_dict()["train"]
        assert (state["turn"] * 5 + state["at"], len(history)) == (steps, epochs)
        assert history[1]["learning_rate"] < history[0]["learning_rate"] <= 0.025


def rates(strategy: Any, task: Task, epochs: int) -> list[float]:
    """The learning rate of every step."""
    seen, step = [], strategy.step
    strategy.step = lambda data: (seen.append(strategy.weights.lr), step(data))[1]  # type: ignore[func-returns-value]
    fit(strategy, task.data, epochs)
    return seen


def test_schedules_of_a_short_training_move_within_its_epochs() -> None:
    seed_everything(0)
    data = torch.utils.data.TensorDataset(torch.randn(80, 4), torch.randint(0, 3, (80,)))
    task = Task(torch.utils.data.DataLoader(data, batch_size=1), loss=F.cross_entropy)

    def made() -> Retrain:
        return Retrain(nn.Linear(4, 3), task, weights=lambda model: Weights(model, lr=0.1, lr_min=0.0))

    single = rates(made(), task, 1)
    assert single[:5] == [0.1] * 4 + [pytest.approx(0.1 * (1 + math.cos(math.pi / 20)) / 2)]
    assert len(set(single)) == 20 and single == sorted(single, reverse=True) and single[-1] < 0.001
    double = rates(made(), task, 2)
    assert len(set(double)) == 20 and double[:8] == [0.1] * 8 and double[80] == pytest.approx(0.05)
    long = rates(made(), task, 25)
    assert [len(set(long[80 * i : 80 * i + 80])) for i in range(25)] == [1] * 25
    assert long[80 * 24] == pytest.approx(0.1 * (1 + math.cos(math.pi * 24 / 25)) / 2)


@pytest.mark.parametrize("method", ["fbnet", "pc-darts", "proxyless", "drnas", "densenas"])
def test_alphas_that_wait_for_a_share_of_the_search_learn_in_a_single_epoch(method: str) -> None:
    seed_everything(0)
    data = torch.utils.data.TensorDataset(torch.randn(80, 4), torch.randint(0, 3, (80,)))
    task = Task(*(torch.utils.data.DataLoader(data, batch_size=2) for _ in range(2)), loss=F.cross_entropy)
    strategy: Any = STRATEGIES[method].load()(Supernet(Noisy()), task)
    before = [alpha.detach().clone() for alpha in strategy.alphas.values()]
    fit(strategy, task.data, 1)
    assert all(not torch.equal(a, b) for a, b in zip(before, strategy.alphas.values(), strict=True))


def test_a_loss_that_is_not_a_number_ends_the_run_in_one_line() -> None:
    strategy, task = made()
    with torch.no_grad():
        strategy.supernet.model.head.weight.fill_(float("nan"))
    with pytest.raises(RunError, match="not a finite number"):
        fit(strategy, task.data, 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_finish_the_step_save_and_say_how_to_go_on(tmp_path: Path, number: int) -> None:
    whole, task = made()
    expected = fit(whole, task.data, 2)
    strategy, task = made()
    inner = strategy.step

    def step(data: Any) -> Any:
        if task.data.state_dict()["train"]["at"] == 2:
            os.kill(os.getpid(), number)
        return inner(data)

    strategy.step = step  # type: ignore[method-assign]
    with Run(tmp_path / "r", {}) as run, pytest.raises(Interrupted, match="--resume"):
        fit(strategy, task.data, 2, run)
    again, task = made()
    with Run(tmp_path / "r", {}, resume=True) as run:
        assert plain(fit(again, task.data, 2, run)) == plain(expected)


def test_fit_works_outside_the_main_thread() -> None:
    strategy, task = made()
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(len(fit(strategy, task.data, 1))))
    thread.start()
    thread.join()
    assert found == [1]


def test_retraining_uses_the_auxiliary_head_and_grows_drop_path() -> None:
    from supernet.ops import DropPath
    from supernet.spaces import cell

    seed_everything(0)
    net = cell.network(
        "Genotype(normal=[('skip_connect', 0), ('sep_conv_3x3', 1)], normal_concat=[2], reduce=[('sep_conv_3x3', 0), "
        "('max_pool_3x3', 1)], reduce_concat=[2])",
        channels=4,
        cells=4,
        auxiliary=True,
        classes=3,
    )
    batches = [(torch.randn(4, 3, 32, 32), torch.randint(0, 3, (4,)))]
    task = Task(batches, batches, loss=F.cross_entropy)
    strategy = Retrain(net, task, drop_path=0.4, weights=lambda m: Weights(m, lr=0.01))
    strategy.epoch(2, 4, {})
    assert {m.p for m in net.modules() if isinstance(m, DropPath)} == {0.2}
    before = {n: p.detach().clone() for n, p in net.named_parameters()}
    strategy.step(task.data)
    moved = {n for n, p in net.named_parameters() if not torch.equal(p, before[n])}
    assert any(n.startswith("auxiliary") for n in moved) and any(n.startswith("classifier") for n in moved)


KILLED = """
import os, signal, sys
from supernet.cli import main
from supernet.strategies.darts import DARTS

step, done = DARTS.step, []

def killed(self, data):
    if len(done) == 4:  # the epoch has three steps
        os.kill(os.getpid(), signal.SIGKILL)
    done.append(None)
    return step(self, data)

DARTS.step = killed
main()
"""


def test_a_search_killed_by_sigkill_in_mid_epoch_resumes_to_the_same_end(tmp_path: Path) -> None:
    search = "search darts --space nasbench201 --limit-data 96 --batch-size 16 --channels 4 --cells 1 --epochs 2 --threads 1"
    words = [*search.split(), "--set", "save_every=0"]
    document(*words, "--out", tmp_path / "whole")
    program = [sys.executable, "-c", KILLED, *words, "--out", str(tmp_path / "killed")]
    done = subprocess.run(program, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (tmp_path / "killed" / "history.jsonl").read_text().count("\n") == 1
    document(*words, "--out", tmp_path / "killed", "--resume")
    lines = [[json.loads(line) for line in (tmp_path / n / "history.jsonl").read_text().splitlines()] for n in ("whole", "killed")]
    assert plain(lines[0]) == plain(lines[1])
    a, b = (json.loads((tmp_path / n / "architecture.json").read_text()) for n in ("whole", "killed"))
    assert a == b
    x, y = (load_file(tmp_path / n / "weights.safetensors") for n in ("whole", "killed"))
    assert all(torch.equal(x[n], y[n]) for n in x)


def test_every_strategy_says_whom_to_cite() -> None:
    assert all("https://" in method.cite for method in STRATEGIES.values())


def test_a_training_resumed_with_another_length_or_network_is_refused_in_one_line(tmp_path: Path) -> None:
    strategy, task = made()
    with Run(tmp_path / "r", {}) as run:
        fit(strategy, task.data, 2, run)
    for length, told in (({"epochs": 3}, "epochs 2, not 3"), ({"epochs": 2, "steps": 7}, "epochs 2, not 4")):
        strategy, task = made()
        with Run(tmp_path / "r", {}, resume=True) as run, pytest.raises(InputError, match=told):
            fit(strategy, task.data, run=run, **length)
    _, task = made()
    other = DARTS(Supernet(nn.Sequential(OneOf({"a": nn.Linear(4, 3), "b": nn.Linear(4, 3)}))), task)
    with Run(tmp_path / "r", {}, resume=True) as run, pytest.raises(InputError, match="is of another network or method"):
        fit(other, task.data, 2, run)


def test_the_history_of_a_resumed_training_has_no_trials(tmp_path: Path) -> None:
    strategy, task = made()
    with Run(tmp_path / "r", {}) as run:
        lines = fit(strategy, task.data, 2, run)
        run.append({"trial": 1})
    strategy, task = made()
    with Run(tmp_path / "r", {}, resume=True) as run:
        assert fit(strategy, task.data, 2, run) == json.loads(json.dumps(lines))
