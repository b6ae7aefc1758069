"""Nothing of this package is left in a derived model: it is loaded, run, scripted and traced where the package cannot be imported."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from supernet import (
    ElasticConv1d,
    ElasticConv2d,
    ElasticKernel2d,
    ElasticLinear,
    ElasticNorm,
    ElasticSqueezeExcite,
    InputSize,
    OneOf,
    SomeOf,
    Supernet,
    UpTo,
    Width,
    derive,
    export,
)
from supernet.layers.routes import Fork, Join
from supernet.layers.superkernel import SuperKernelBlock
from supernet.mixture import one_hot
from supernet.spaces import SPACES
from supernet.spaces import space as space_named

FEW_BLOCKS = {"widths": (8, 20, 30), "sizes": (16, 8, 8), "stages": (0, 1, 2), "depths": (0, 1, 1), "last": 50}
SMALL: dict[str, tuple[str, dict[str, Any]]] = {
    "darts": ("darts", {"channels": 8, "cells": 3, "nodes": 2, "shape": (3, 12, 12)}),
    "darts, odd size, partial channels": ("darts", {"channels": 8, "cells": 3, "nodes": 2, "partial": 4, "shape": (3, 9, 13)}),
    "darts, fixed reduction": ("darts", {"channels": 8, "cells": 3, "fixed_reduction": True, "skip_dropout": True, "shape": (3, 12, 12)}),
    "darts, auxiliary skip": ("darts", {"channels": 4, "cells": 3, "nodes": 2, "auxiliary_skip": True, "shape": (3, 12, 12)}),
    "nasbench201": ("nasbench201", {"channels": 4, "cells": 1, "shape": (3, 8, 8)}),
    "nasbench201, auxiliary skip": ("nasbench201", {"channels": 4, "cells": 1, "auxiliary_skip": True, "shape": (3, 8, 8)}),
    "fashion-bench": ("fashion-bench", {}),
    "fashion-bench, auxiliary skip": ("fashion-bench", {"auxiliary_skip": True}),
    "nasbench-macro": ("nasbench-macro", {"channels": 4, "shape": (3, 8, 8)}),
    "fbnet": ("fbnet", {"width": 0.5, "depths": [1] * 7, "stem": "cifar", "shape": (3, 16, 16)}),
    "proxyless": ("proxyless", {"width": 0.5, "depths": [1, 2, 1, 1, 1, 1], "stem": "cifar", "shape": (3, 16, 16)}),
    "proxyless, growth": ("proxyless", {"width": 0.5, "growth": 20, "depths": [2, 2, 2], "stem": "cifar", "shape": (3, 16, 16)}),
    "single-path": ("single-path", {"width": 0.25, "depths": [1, 2, 1, 1, 1], "head": 32, "stem": "cifar", "shape": (3, 16, 16)}),
    "spos": ("spos", {"width": 0.25, "depths": [2, 1, 1, 1], "head": 32, "stem": "cifar", "shape": (3, 16, 16)}),
    "spos-bits": ("spos-bits", {"width": 0.125, "depths": [1] * 4, "stem": "cifar", "shape": (3, 16, 16)}),
    "spos-channels": ("spos-channels", {"width": 0.25, "depths": [1] * 4, "head": 32, "stem": "cifar", "shape": (3, 16, 16)}),
    "fairnas": ("fairnas", {"width": 0.25, "depths": [1] * 6, "head": 32, "squeeze": 0.5, "stem": "cifar", "shape": (3, 16, 16)}),
    "ofa-mobilenetv3": ("ofa-mobilenetv3", {"width": 0.25, "widths": (16, 32), "depths": (2, 3), "shape": (3, 12, 12)}),
    "ofa-proxyless": ("ofa-proxyless", {"width": 0.25, "widths": (16, 32), "depths": (1, 3), "shape": (3, 12, 12)}),
    "ofa-resnet50d": ("ofa-resnet50d", {"width": 0.125, "widths": (64, 128), "depths": (2, 3), "shape": (3, 12, 12)}),
    "enas-micro": ("enas-micro", {"channels": 4, "cells": 1, "nodes": 2, "shape": (3, 8, 8)}),
    "enas-macro": ("enas-macro", {"channels": 4, "layers": 4, "shape": (3, 8, 8)}),
    "one-shot-cell": ("one-shot-cell", {"channels": 4, "cells": 3, "shape": (3, 9, 8)}),
    "smash": ("smash", {"channels": 2, "widening": 1, "layers": 2, "shape": (3, 8, 8)}),
    "smash, generated weights": ("smash", {"channels": 2, "widening": 1, "layers": 2, "generated": True, "shape": (3, 8, 8)}),
    "nasnet": ("nasnet", {"channels": 4, "cells": 1, "nodes": 1, "shape": (3, 8, 8)}),
    "densenas": ("densenas", {**FEW_BLOCKS, "shape": (3, 16, 16)}),
    "densenas, basic blocks": ("densenas", {"base": "resnet", **FEW_BLOCKS, "shape": (3, 16, 16)}),
}
COVERED = {space for space, _ in SMALL.values()} | {"darts-rnn", "enas-rnn"}  # a recurrent network is left as it is
SMALL |= {name: (name, {}) for name in SPACES if name not in COVERED}  # every other space as it is searched by default


class Chain(nn.Sequential):
    """A chain of one's own: every layer that takes one input."""

    def __init__(self) -> None:
        def conv(k: int) -> nn.Module:
            return nn.Conv2d(8, 8, k, padding=k // 2)

        width = Width((4, 8), name="width")
        super().__init__(
            InputSize((7, 9)),
            nn.Conv2d(3, 8, 3),
            OneOf({"k3": conv(3), "deep": nn.Sequential(OneOf({"a": conv(1), "b": nn.Tanh()}), nn.ReLU()), "skip": nn.Identity()}),
            UpTo([conv(3), conv(5)], depths=(0, 1, 2)),
            ElasticKernel2d(8, (3, 5)),
            SuperKernelBlock(8, 8, name="block"),
            ElasticConv2d(8, width, 3, padding=1),
            ElasticNorm(8),
            ElasticSqueezeExcite(8, lambda channels: channels // 2),
            ElasticConv2d(8, width.times((0.5, 1.0), name="ratio"), 1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            ElasticLinear(8, (5, 6)),
            nn.Unflatten(1, (1, -1)),
            ElasticConv1d(1, (2, 3), 3),
        )


class Nodes(nn.Module):
    """A node of one's own that adds up some of its inputs, through edges that have a choice themselves."""

    def __init__(self) -> None:
        super().__init__()
        edges = [OneOf({"conv": nn.Conv2d(3, 3, 3, padding=1), "tanh": nn.Tanh()}) for _ in range(3)]
        self.node, self.shared = SomeOf(edges, pick=(0, 2)), OneOf({"a": nn.Conv2d(3, 3, 1), "b": nn.ReLU()})

    def forward(self, x: Tensor) -> Tensor:
        return self.shared(self.node([x, self.shared(x), -x])) + x


class Routes(nn.Module):
    """Blocks of one's own of which one may be passed by."""

    def __init__(self) -> None:
        super().__init__()
        forks = [Fork({"a": nn.Conv2d(3, 4, 1), "end": nn.Conv2d(3, 5, 1)}, "first"), Fork({"end": nn.Conv2d(4, 5, 1)}, "second")]
        self.first, self.a = forks[0], Join("a", forks, nn.Sequential(OneOf({"r": nn.ReLU(), "c": nn.Conv2d(4, 4, 3)}), forks[1]))
        self.end = Join("end", forks, nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        sent = [self.first(x)]
        out = self.a(sent)
        return self.end(sent if out is None else [*sent, out]).mean((2, 3))


class Masked(nn.Module):
    """A block of one's own that takes a mask, and gives a dict with whole numbers in it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, pair: dict[str, Tensor], mask: Tensor) -> dict[str, Tensor]:
        return {"x": self.conv(pair["x"]) * mask, "n": pair["n"]}


class Arguments(nn.Module):
    """Layers of one's own that are given further arguments, by place and by name, and whose outputs are dicts."""

    def __init__(self) -> None:
        super().__init__()
        self.stage, self.node = UpTo([Masked(), Masked()], depths=(0, 1, 2)), SomeOf([Masked(), Masked()], pick=(1, 2))

    def forward(self, x: Tensor) -> Tensor:
        mask = (x > 0).to(x.dtype)
        pair = {"x": x, "n": torch.ones(2, dtype=torch.long)}
        summed = self.node([self.stage(pair, mask), pair], mask=mask)
        return summed["x"] * summed["n"].sum()


OWN: dict[str, Callable[[], nn.Module]] = {"chain": Chain, "nodes": Nodes, "routes": Routes, "arguments": Arguments}
SEEDS = 2


def supernet_of(name: str) -> tuple[Supernet, Tensor]:
    """A supernet whose batch norms have seen something, and two inputs."""
    torch.manual_seed(0)
    if name in OWN:
        net, shape = Supernet(OWN[name]()), (3, 12, 12)
    else:
        build = space_named(SMALL[name][0]).supernet
        sizes = {**build.usual(), **SMALL[name][1]}
        net, shape = build(**SMALL[name][1]), sizes["shape"]
    x = torch.randn(2, *shape)
    with torch.no_grad():
        for seed in range(SEEDS):
            net(one_hot(net.space, net.space.sample(Random(seed))), torch.randn(4, *shape))
    return net.eval(), x


def left_of_this_package(model: nn.Module) -> set[str]:
    return {type(m).__qualname__ for m in model.modules() for base in type(m).__mro__ if base.__module__.startswith("supernet.")}


ALIKE = (
    "proxyless, growth",
    "nasbench201, auxiliary skip",
    "fashion-bench, auxiliary skip",
    "smash",
    "densenas",
)  # other settings of these stay


@pytest.mark.parametrize("name", [*(pytest.param(n, marks=pytest.mark.slow if n in ALIKE else ()) for n in SMALL), *OWN])
def test_nothing_of_this_package_is_left_in_a_derived_model(name: str) -> None:
    net, x = supernet_of(name)
    for seed in range(SEEDS):
        arch = net.space.sample(Random(seed))
        model = derive(net, arch, x)
        assert left_of_this_package(model) == set()
        assert name not in OWN or type(model) is OWN[name]  # the user's own classes are still there
        assert not any(m.training for m in model.modules())
        with torch.no_grad():
            torch.testing.assert_close(model(x), net(one_hot(net.space, arch), x), rtol=1e-4, atol=1e-5)


def test_a_derived_model_goes_on_training_with_batch_statistics() -> None:
    net, x = supernet_of("darts")
    model = derive(net, net.space.sample(Random(0)), x).train()
    before = {n: b.clone() for n, b in model.named_buffers() if n.endswith("running_mean")}
    model(x + 1).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    assert all(not torch.equal(b, before[n]) for n, b in model.named_buffers() if n in before)


ELSEWHERE = """
import sys
sys.modules["supernet"] = None  # as if it were not installed
import torch
from torch import nn

class Chain(nn.Sequential):
    pass

class Nodes(nn.Module):
    def forward(self, x):
        return self.shared(self.node([x, self.shared(x), -x])) + x

class Routes(nn.Module):
    def forward(self, x):
        sent = [self.first(x)]
        out = self.a(sent)
        return self.end(sent if out is None else [*sent, out]).mean((2, 3))

class Masked(nn.Module):
    def forward(self, pair, mask):
        return {"x": self.conv(pair["x"]) * mask, "n": pair["n"]}

class Arguments(nn.Module):
    def forward(self, x):
        mask = (x > 0).to(x.dtype)
        pair = {"x": x, "n": torch.ones(2, dtype=torch.long)}
        summed = self.node([self.stage(pair, mask), pair], mask=mask)
        return summed["x"] * summed["n"].sum()

for file in sys.argv[1:]:
    model, x, expected = torch.load(file, weights_only=False)
    runs = [model, torch.jit.trace(model, x, check_trace=False)]
    if not isinstance(model, Routes | Arguments):  # their own code is nothing that can be scripted
        runs.append(torch.jit.script(model))
    with torch.no_grad():
        for run in runs:
            torch.testing.assert_close(run(x), expected, rtol=1e-4, atol=1e-5)
    print(file)
"""


QUICK = ["nasbench201", *OWN]


@pytest.mark.parametrize("names", [QUICK, pytest.param([n for n in SMALL if n not in QUICK], marks=pytest.mark.slow)], ids=["few", "all"])
def test_derived_models_are_loaded_scripted_and_traced_where_this_package_is_not(
    names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = []
    for kind in (Chain, Nodes, Routes, Masked, Arguments):
        monkeypatch.setattr(kind, "__module__", "__main__")  # where the user's classes are in the other process
        monkeypatch.setattr(sys.modules["__main__"], kind.__name__, kind, raising=False)
    for i, name in enumerate(names):
        net, x = supernet_of(name)
        model = derive(net, net.space.sample(Random(i)), x)
        with torch.no_grad():
            torch.save((model, x, model(x)), tmp_path / f"{i}.pt")
        files.append(f"{i}.pt")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    (tmp_path / "elsewhere.py").write_text(ELSEWHERE)  # a file: scripting reads the source of the user's classes
    command = [sys.executable, "-W", "ignore", "elsewhere.py", *files]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.split() == files, "\n".join(done.stderr.splitlines()[-12:])


EXPORTED = """
import sys
sys.modules["supernet"] = None
import onnxruntime, torch
for folder in sys.argv[1:]:
    inputs, expected = torch.load(folder + "/expected.pt")
    program = torch.export.load(folder + "/model.pt2").module()
    session = onnxruntime.InferenceSession(folder + "/model.onnx", providers=["CPUExecutionProvider"])
    names = [put.name for put in session.get_inputs()]
    outputs = session.run(None, {name: x.numpy() for name, x in zip(names, inputs)})
    first = program(*inputs)
    first = first if isinstance(first, torch.Tensor) else first[0]
    for found in (first, torch.from_numpy(outputs[0])):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    print(folder)
"""


@pytest.mark.slow
def test_exported_models_run_where_this_package_is_not(tmp_path: Path) -> None:
    folders = []
    for i, name in enumerate([*(name for name in SMALL if name in SPACES), *OWN, "darts-rnn"]):
        folder, strands = tmp_path / str(i), 0
        if name == "darts-rnn":
            net, x, strands = space_named(name).supernet(tokens=9, hidden=6, nodes=3).eval(), torch.randint(9, (4, 2)), 1
        else:
            net, x = supernet_of(name)
        model = derive(net, net.space.sample(Random(i)), x)
        export(model, x, folder, ("onnx", "torch"), batch_dimension=strands)
        with torch.no_grad():
            outputs = model(x)
        torch.save(((x,), outputs if isinstance(outputs, Tensor) else outputs[0]), folder / "expected.pt")
        folders.append(str(i))
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, "-W", "ignore", "-c", EXPORTED, *folders]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.split() == folders, "\n".join(done.stderr.splitlines()[-12:])
