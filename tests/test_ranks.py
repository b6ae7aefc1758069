"""Several ranks, as torchrun begins them, train as one does: processes that are forked here, in double precision."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from supernet import OneOf, Supernet
from supernet.data.augment import Augment
from supernet.data.batches import Batches
from supernet.data.text_streams import TextStream
from supernet.errors import Lost
from supernet.ranks import ALONE, Ranks, Together
from supernet.run import Run
from supernet.spaces import recurrent
from supernet.stopping import Interrupted
from supernet.strategies import strategy
from supernet.strategies.retrain import Retrain
from supernet.task import Task
from supernet.tasks.language import LanguageModelling
from supernet.train import fit

Result = dict[str, Tensor]


class Net(nn.Module):
    """Two choices, with batch norms in the stem and in an option."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Tanh())
        self.first = OneOf({"conv": nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)), "skip": nn.Identity()})
        self.second = OneOf({"wide": nn.Conv2d(4, 4, 5, padding=2), "narrow": nn.Conv2d(4, 4, 1)})
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.second(self.first(self.stem(x)).tanh()).mean((2, 3)))


def task_of(ranks: Ranks) -> Task:
    """12 augmented images a batch, in double precision."""
    rng = torch.Generator().manual_seed(5)
    x, y = torch.rand(48, 1, 6, 6, generator=rng), torch.randint(3, (48,), generator=rng)
    parts: list[Any] = [Batches(x, y, 12, seed=seed, augment=Augment(1, True), mean=(0.5,), std=(0.3,)) for seed in (1, 2)]

    class Double(Task):
        def prepare(self, batch: Any) -> Any:
            return batch[0].double(), batch[1]

    return Double(*parts, loss=F.cross_entropy, ranks=ranks)


def made(method: str, ranks: Ranks, **settings: Any) -> tuple[Any, Task]:
    """A strategy on the same weights, whatever the ranks."""
    torch.manual_seed(3)
    task = task_of(ranks)
    if method == "retrain":
        plain = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)).double()
        return Retrain(plain, task, auxiliary=None), task
    return strategy(method).load()(Supernet(Net().double()), task, seed=7, **settings), task


def trained(method: str, ranks: Ranks, epochs: int = 1, **settings: Any) -> Result:
    """Every tensor of a training, and what its history says."""
    made_by, task = made(method, ranks, **settings)
    history = fit(made_by, task.data, epochs, ranks=ranks, evaluate=lambda: {"validation": made_by.evaluate()} if method == "darts" else {})
    model = made_by.model if method == "retrain" else made_by.supernet
    found = {name: value.clone() for name, value in model.state_dict().items()}
    found |= {f"alphas.{n}": a.detach().clone() for n, a in (made_by.alphas.items() if method in ("darts", "gdas", "proxyless") else ())}
    said = [[line["loss"], line.get("validation", line)["loss"]] for line in history]
    return {**found, "history": torch.tensor(said, dtype=torch.float64)}


def rank(number: int, count: int, store: Path, synchronised: bool, work: Callable[[Ranks], Any], said: Any) -> None:
    """What one process of several does."""
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=number, world_size=count)
    said.put((number, work(Together(synchronised))))
    dist.barrier()
    dist.destroy_process_group()


def on_ranks(count: int, folder: Path, work: Callable[[Ranks], Any], synchronised: bool = True) -> list[Any]:
    """What ``work`` gives on each of so many ranks."""
    context = multiprocessing.get_context("fork")
    said = context.SimpleQueue()
    store = folder / f"store{len(list(folder.iterdir()))}"
    processes = [context.Process(target=rank, args=(i, count, store, synchronised, work, said)) for i in range(count)]
    for process in processes:
        process.start()
    found = dict(said.get() for _ in range(count))
    for process in processes:
        process.join()
    return [found[i] for i in range(count)]


def plain(found: Result) -> dict[str, Any]:
    """Tensors as lists, which go from one process to another without files."""
    return {name: value.flatten().tolist() for name, value in found.items()}


NO_DROPOUT = dict.fromkeys(("input_dropout", "cell_input_dropout", "hidden_dropout", "output_dropout"), 0.0)


def read(ranks: Ranks, method: str) -> dict[str, Any]:
    """Some steps of a search among recurrent cells on a text."""
    torch.manual_seed(3)
    tokens = torch.randint(7, (150,), generator=torch.Generator().manual_seed(5))
    parts = [TextStream(tokens, 4, 6, lengths=how, seed=1, ranks=ranks, training=how != "fixed") for how in ("halved", "fixed")]
    task = LanguageModelling(*parts, ranks=ranks)
    net = recurrent.supernet(tokens=7, hidden=6, nodes=2, **NO_DROPOUT).double()
    made_by = strategy(method).load("darts-rnn")(net, task, seed=7)
    history = fit(made_by, task.data, 1, steps=4, ranks=ranks, evaluate=lambda: {"validation": made_by.evaluate()})
    hidden = task.data.state_dict()["train"]["hidden"]
    return {**plain({**net.state_dict(), "hidden": hidden}), "loss": [history[-1]["loss"], history[-1]["validation"]["loss"]]}


@pytest.mark.parametrize("method", ["darts", pytest.param("darts-2nd", marks=pytest.mark.slow)])
def test_two_ranks_on_halves_of_the_strands_of_a_text_train_as_one_on_all(tmp_path: Path, method: str) -> None:
    """Chunks go on from the hidden state of their own strands; the state of the data has that of all."""
    whole = read(ALONE, method)
    first, second = on_ranks(2, tmp_path, lambda ranks: read(ranks, method))
    assert first == second and len(first["hidden"]) == 4 * 6
    for name, value in whole.items():
        assert first[name] == pytest.approx(value, rel=0, abs=1e-10), name


CASES: list[tuple[str, dict[str, Any]]] = [("darts", {}), ("spos", {})]
FURTHER: list[tuple[str, dict[str, Any]]] = [
    ("darts", {"order": 2}),
    ("darts", {"order": 2, "hessian": "exact"}),
    ("gdas", {}),
    ("fairnas", {}),
    ("proxyless", {}),
    ("retrain", {}),
]


@pytest.mark.parametrize("cases", [CASES, pytest.param(FURTHER, marks=pytest.mark.slow)], ids=["", "further"])
def test_two_ranks_on_halves_of_a_batch_train_as_one_on_all_of_it(tmp_path: Path, cases: list[tuple[str, dict[str, Any]]]) -> None:
    """Weights, alphas, running statistics and measured numbers, with synchronised batch norms."""
    alone = [plain(trained(method, ALONE, **settings)) for method, settings in cases]  # first: what it imports, the others need not
    both = on_ranks(2, tmp_path, lambda ranks: [plain(trained(method, ranks, **settings)) for method, settings in cases])
    for (method, settings), whole, first, second in zip(cases, alone, *both, strict=True):
        assert first == second, f"{method} {settings}: the ranks differ"
        for name, value in whole.items():
            assert first[name] == pytest.approx(value, rel=0, abs=1e-10), f"{method} {settings}: {name}"


def gone_on(ranks: Ranks, folder: Path, stops: bool = False) -> dict[str, Any] | str:
    """Two epochs of single paths in the run of a folder; where it ``stops``, the last rank gets SIGTERM in the third step."""
    one_shot, task = made("spos", ranks)
    steps, step = iter(range(100)), one_shot.step

    def stopped(data: Any) -> Any:
        if next(steps) == 2 and ranks.number == ranks.count - 1 and stops:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(data)

    one_shot.step = stopped
    begun = (folder / "config.yaml").exists()
    with ranks.folder(folder) as own:
        try:
            with Run(own, {"seed": 0}, begun) as run:
                history = fit(one_shot, task.data, 2, run, ranks=ranks)
        except Interrupted as stop:
            return f"{len(list(own.iterdir()))} files, {stop}"
    losses = [line["loss"] for line in history]
    return {**plain(one_shot.supernet.state_dict()), "loss": losses}


def test_ranks_stop_together_and_any_number_of_them_goes_on(tmp_path: Path) -> None:
    """A signal to the last of two stops both after the same step; one and three ranks end where one that was not stopped does."""
    whole = gone_on(ALONE, tmp_path / "whole")
    said = on_ranks(2, tmp_path, lambda ranks: gone_on(ranks, tmp_path / "two", stops=True))
    assert all("go on with --resume" in text for text in said)
    shutil.copytree(tmp_path / "two", tmp_path / "alone")
    first, *others = on_ranks(3, tmp_path, lambda ranks: gone_on(ranks, tmp_path / "two"))
    assert others == [first, first]
    for found in (first, gone_on(ALONE, tmp_path / "alone")):
        for name, value in whole.items():
            assert found[name] == pytest.approx(value, rel=0, abs=1e-10), name
    assert [len((tmp_path / name / "history.jsonl").read_text().splitlines()) for name in ("two", "alone")] == [2, 2]


def dies(ranks: Ranks) -> str:
    """The last rank ends in the second step, as if it were killed; what the others say then."""
    one_shot, task = made("spos", ranks)
    steps, step = iter(range(100)), one_shot.step

    def killed(data: Any) -> Any:
        if next(steps) == 1 and ranks.number == ranks.count - 1:
            os._exit(9)
        return step(data)

    one_shot.step = killed
    try:
        fit(one_shot, task.data, 2, ranks=ranks)
    except Lost as lost:
        return str(lost)
    return "went on"


def test_the_end_of_one_rank_ends_the_others_with_one_line(tmp_path: Path) -> None:
    """What a rank waits for comes no more: it says so at once."""
    context = multiprocessing.get_context("fork")
    said = context.SimpleQueue()
    processes = [context.Process(target=rank, args=(i, 2, tmp_path / "store", False, dies, said)) for i in range(2)]
    for process in processes:
        process.start()
    assert said.get() == (0, "another rank has ended, and none can go on without it: begin them again with --resume")
    processes[0].kill()
    for process in processes:
        process.join()
