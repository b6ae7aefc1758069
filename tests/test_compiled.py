"""Compiled graphs leave behind what plain steps do; here by the compiler's own tracing and differentiation, without its code generation."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from command_line import called
from supernet import InputError, OneOf, Supernet, Task, ops
from supernet.layers.base import everything
from supernet.native import kernels
from supernet.spaces import cell
from supernet.strategies import STRATEGIES
from supernet.strategies.base import SupernetStrategy
from supernet.strategies.gradient import Gradient
from supernet.strategies.retrain import Retrain
from supernet.ways.pace import timed

Graphs = Callable[[], int]


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Graphs]:
    """Compiled graphs are used, in double precision; how many that compute something were made. One that is not whole is an error."""
    from torch._dynamo.testing import CompileCounterWithBackend

    counter: Any = CompileCounterWithBackend("aot_eager")  # type: ignore[no-untyped-call]
    compiled = torch.compile
    monkeypatch.setattr(torch, "compile", lambda model, mode, dynamic: compiled(model, backend=counter, fullgraph=True, dynamic=dynamic))
    monkeypatch.setattr(kernels, "_check_compiler", lambda device: None)
    torch.set_default_dtype(torch.float64)
    kernels.use("compiled")
    yield lambda: sum(any(node.op.startswith("call") for node in graph.graph.nodes) for graph in counter.graphs)
    kernels.use("torch")
    torch.set_default_dtype(torch.float32)
    torch._dynamo.reset()


class Small(nn.Module):
    """Two choices, one of them nested: what every searched network does, in few operations."""

    def __init__(self) -> None:
        super().__init__()
        inner = OneOf({"conv": nn.Conv2d(4, 4, 3, padding=1), "pool": nn.AvgPool2d(3, 1, 1)})
        skip = nn.Sequential(nn.Identity(), ops.SkipDropout(0.0))
        self.stem = nn.Conv2d(3, 4, 1)
        self.block = OneOf({"skip": skip, "inner": nn.Sequential(ops.ReLU(), inner, nn.BatchNorm2d(4)), "none": ops.Zero(1)})
        self.head = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.block(self.stem(x)).mean((2, 3)))
        return out


def task() -> Task:
    generator = torch.Generator().manual_seed(0)
    batches = [(torch.randn(4, 3, 6, 6, generator=generator), torch.randint(5, (4,), generator=generator)) for _ in range(2)]
    return Task(batches, batches, loss=F.cross_entropy)


def searched(method: str, which: kernels.Kernels) -> list[Tensor]:
    """What two steps and an evaluation leave behind."""
    kernels.use(which)
    torch.manual_seed(0)
    given = task()
    strategy: Any = STRATEGIES[method].load()(given.place(Supernet(Small())), given)
    strategy.epoch(5, 6, {})
    with strategy.training():
        for _ in range(2):
            strategy.step(given.data)
    return [*strategy.supernet.state_dict().values(), *strategy.alphas.values(), torch.tensor(strategy.evaluate()["loss"])]


@pytest.mark.parametrize(
    "method", ["darts", "darts-2nd", "gdas", *(pytest.param(other, marks=pytest.mark.slow) for other in ("fair-darts", "fbnet"))]
)
def test_a_search_steps_as_it_does_without_them(method: str, graphs: Graphs) -> None:
    ours, theirs = searched(method, "compiled"), searched(method, "torch")
    assert all(torch.allclose(a, b, rtol=1e-10, atol=1e-10) for a, b in zip(ours, theirs, strict=True))
    of_weights_and_alphas = {"darts": 2, "fair-darts": 2, "fbnet": 2, "darts-2nd": 1, "gdas": 0}
    assert graphs() == of_weights_and_alphas[method]


def test_a_retraining_makes_one_graph_for_all_of_its_drop_paths(graphs: Graphs) -> None:
    given = task()
    network = nn.Sequential(nn.Conv2d(3, 4, 1), ops.droppable(nn.Conv2d(4, 4, 1)), nn.Flatten(), nn.Linear(144, 5))
    retraining = Retrain(given.place(network), given, auxiliary=None, drop_path=0.5)
    for epoch in range(4):
        retraining.epoch(epoch, 4, {})
        with retraining.training():
            retraining.step(given.data)
    assert graphs() == 1


def test_drop_paths_of_a_graph_keep_the_mean_and_drop_whole_samples(graphs: Graphs) -> None:
    drop = ops.DropPath()
    ops.set_drop_path(drop, 0.25)
    torch.manual_seed(0)
    out = torch.compile(drop, None, False)(torch.ones(4000, 2))  # type: ignore[call-overload]
    assert set(out.unique().tolist()) == {0.0, 1 / 0.75} and torch.equal(out[:, 0], out[:, 1])
    assert abs(float(out.mean()) - 1) < 0.04


def test_steps_are_timed_without_a_graph(graphs: Graphs) -> None:
    given = task()
    strategy: Any = STRATEGIES["darts"].load()(given.place(Supernet(Small())), given)
    with strategy.training():
        assert timed(strategy, given) > 0
        assert graphs() == 0
        strategy.step(given.data)
        assert graphs() == 2


def test_a_copy_of_a_compiled_supernet_has_nothing_of_the_graph(graphs: Graphs) -> None:
    net = Supernet(Small())
    before = set(net.state_dict())
    net(everything(net), torch.randn(2, 3, 6, 6))
    assert graphs() == 1 and set(net.state_dict()) == before
    for copied in (deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert copied.graph.made is None
        assert torch.equal(copied.eval()(everything(net), torch.ones(2, 3, 6, 6)), net.eval()(everything(net), torch.ones(2, 3, 6, 6)))


@pytest.mark.parametrize("method", STRATEGIES)
def test_methods_say_whether_their_steps_are_alike(method: str) -> None:
    """Of those that can be made on a network of cells, every blend of two steps is looked at."""
    known: type[SupernetStrategy] = STRATEGIES[method].load("darts")
    if not issubclass(known, Gradient):
        assert not known.alike
        return
    torch.manual_seed(0)
    needs = {name: value for name, value in known.needs.items() if name in ("partial", "auxiliary_skip", "skip_dropout")}
    given = task()
    try:
        net = cell.supernet(channels=4, cells=3, nodes=1, shape=(3, 6, 6), classes=5, **needs)
        strategy: Any = known(given.place(net), given)
    except InputError:
        pytest.skip("it takes other networks")
    seen: list[bool] = []
    net.register_forward_pre_hook(
        lambda net, inputs: seen.append(all(len(inputs[0][name].runs) == len(choice.options) for name, choice in net.space.items()))
    )
    strategy.epoch(5, 6, {})
    for _ in range(2):
        strategy.step(given.data)
    assert seen and set(seen) == {known.alike}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("search", "gdas", "--space", "darts"), "gdas runs other options in each step, and a graph is of the same ones"),
        (("search", "random", "--space", "darts"), "random runs other options in each step, and a graph is of the same ones"),
        (("search", "darts", "--space", "darts-rnn"), "the batches of language differ in length, and a graph is of one shape"),
        (("retrain", "darts-rnn-v1"), "the batches of language differ in length, and a graph is of one shape"),
    ],
)
def test_what_no_graph_can_be_made_of_is_refused(arguments: tuple[str, ...], reason: str, tmp_path: Path) -> None:
    code, out, err = called(*arguments, "--kernels", "compiled", "--out", tmp_path / "run")
    assert (code, out) == (2, "")
    assert err == f"error: --kernels compiled would have no effect: {reason}; leave it out\n"
    assert not (tmp_path / "run").exists()


def test_a_machine_whose_compiler_makes_nothing_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no C++ compiler was found\nand more")

    monkeypatch.setattr(torch, "compile", broken)
    code, out, err = called("search", "darts", "--space", "darts", "--kernels", "compiled", "--out", tmp_path / "run")
    assert (code, out) == (2, "")
    assert err == "error: PyTorch's compiler makes nothing for cpu here: no C++ compiler was found; or take kernels=torch\n"
    assert kernels.used() == "torch"
