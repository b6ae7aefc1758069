"""The native kernels give what PyTorch gives: values, gradients, gradients of gradients, statistics; in double precision to 1e-10."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils import cpp_extension

from command_line import called
from supernet import InputError, OneOf, Supernet, Task, ops
from supernet.costs.passes import Passes
from supernet.layers.blend import comparing
from supernet.mixture import Mix
from supernet.modules.convolutions import Routes, conv2d
from supernet.naming.lookup import design
from supernet.native import build, kernels
from supernet.native.mixing import mixable, mixed
from supernet.native.separable import separable
from supernet.spaces import cell, fbnet, single_path
from supernet.strategies import STRATEGIES
from supernet.strategies.retrain import Retrain

needed = pytest.mark.skipif(build.missing() is not None, reason=f"the kernels cannot be compiled: {build.missing()}")


@pytest.fixture
def native() -> Iterator[None]:
    """Native kernels, double precision."""
    kernels.use("native")
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
    kernels.use("torch")


def image(*shape: int) -> Tensor:
    return torch.randn(*shape).to(memory_format=torch.channels_last).requires_grad_()


def near(ours: Any, theirs: Any) -> bool:
    return all(torch.allclose(a, b, rtol=1e-10, atol=1e-10) for a, b in zip(ours, theirs, strict=True))


@needed
@pytest.mark.usefixtures("native")
@pytest.mark.parametrize(("kernel", "dilation"), [(3, 1), (3, 2), (5, 1), (5, 2), (7, 1)])
@pytest.mark.parametrize("stride", [1, 2])
def test_depthwise_convolutions(kernel: int, dilation: int, stride: int) -> None:
    torch.manual_seed(0)
    for channels, sides in product((2, 4, 8, 21, 36), ((9, 8), (16, 17), (5, 4), (1, 2))):
        x, weight, bias = image(2, channels, *sides), torch.randn(channels, 1, kernel, kernel, requires_grad=True), torch.randn(channels)
        how = (stride, dilation * (kernel // 2), dilation, channels)
        theirs, ours = F.conv2d(x, weight, bias, *how), conv2d(x, weight, bias, *how)
        assert "Depthwise" in ours.grad_fn.next_functions[0][0].name()  # type: ignore[union-attr]
        up = torch.randn_like(theirs)
        assert near([ours], [theirs])
        assert near(*(torch.autograd.grad(out, (x, weight), up, retain_graph=True) for out in (ours, theirs)))
        twice = [torch.autograd.grad(out, (x, weight), up, create_graph=True) for out in (ours, theirs)]
        above = [torch.randn_like(g) for g in twice[0]]
        assert near(*(torch.autograd.grad(g, (x, weight), above) for g in twice))


@needed
@pytest.mark.usefixtures("native")
@pytest.mark.parametrize(
    "other",
    [{"stride": (1, 2)}, {"padding": 0}, {"dilation": 3, "padding": 3}, {"groups": 2}, {"stride": 3}, {"kernel_size": 9, "padding": 4}],
)
def test_other_convolutions_stay_with_pytorch(other: dict[str, Any]) -> None:
    module = nn.Conv2d(**{"in_channels": 4, "out_channels": 4, "kernel_size": 3, "padding": 1, "groups": 4, **other})
    x = image(2, 4, 9, 9)
    out = conv2d(x, module.weight, None, module.stride, module.padding, module.dilation, module.groups)
    assert type(out.grad_fn).__name__ == "ConvolutionBackward0"


@needed
@pytest.mark.usefixtures("native")
@pytest.mark.parametrize(("kernel", "dilation"), [(3, 1), (3, 2), (5, 1), (5, 2), (7, 1)])
@pytest.mark.parametrize("rectified", [False, True])
def test_separable_convolutions(kernel: int, dilation: int, rectified: bool) -> None:
    torch.manual_seed(0)
    for (channels, outputs), sides, stride in product(((2, 5), (8, 8), (21, 16), (36, 1)), ((9, 8), (5, 4), (1, 2)), (1, 2)):
        deep = nn.Conv2d(channels, channels, kernel, stride, dilation * (kernel // 2), dilation, groups=channels, bias=False)
        pair = (deep, nn.Conv2d(channels, outputs, 1, bias=False))
        x = image(2, channels, *sides)
        ours = separable(x, pair, rectified)
        assert ours is not None
        theirs = pair[1](pair[0](F.relu(x) if rectified else x))
        up, weights = torch.randn_like(theirs), [m.weight for m in pair]
        assert near([ours], [theirs])
        assert near(*(torch.autograd.grad(out, (x, *weights), up, retain_graph=True) for out in (ours, theirs)))
        for each in (x, *weights):  # alone, as where only some are learnt
            assert near(*(torch.autograd.grad(out, each, up, retain_graph=True) for out in (ours, theirs)))
        twice = [torch.autograd.grad(out, (x, *weights), up, create_graph=True) for out in (ours, theirs)]
        above = [torch.randn_like(g) for g in twice[0]]
        assert near(*(torch.autograd.grad(g, (x, *weights), above) for g in twice))


@needed
@pytest.mark.usefixtures("native")
def test_what_is_not_a_number_stays_so_behind_a_separable_convolution() -> None:
    pair = (nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False), nn.Conv2d(4, 4, 1, bias=False))
    x = torch.full((1, 4, 5, 5), float("nan")).to(memory_format=torch.channels_last)
    out = separable(x, pair, True)
    assert out is not None
    assert out.isnan().all()


@needed
@pytest.mark.usefixtures("native")
def test_a_wide_pointwise_convolution_is_left_to_pytorch() -> None:
    deep, x = nn.Conv2d(200, 200, 3, padding=1, groups=200, bias=False), image(1, 200, 2, 2)
    assert separable(x, (deep, nn.Conv2d(200, 160, 1, bias=False)), False) is not None
    assert separable(x, (deep, nn.Conv2d(200, 200, 1, bias=False)), False) is None


@needed
@pytest.mark.usefixtures("native")
def test_which_convolutions_are_one_operation() -> None:
    def pair(first: dict[str, Any], second: dict[str, Any]) -> list[nn.Module]:
        return [
            nn.Conv2d(4, 4, **{"kernel_size": 3, "padding": 1, "groups": 4, "bias": False, **first}),
            nn.Conv2d(4, 4, **{"kernel_size": 1, "bias": False, **second}),
        ]

    x = image(1, 4, 5, 5)
    others = [pair({"bias": True}, {}), pair({"padding_mode": "circular"}, {}), pair({"groups": 2}, {}), pair({}, {"groups": 2})]
    others += [pair({}, {"stride": 2}), pair({}, {"padding": 1}), pair({}, {"bias": True}), [nn.ReLU(), nn.ReLU()]]
    assert all(separable(x, other, False) is None for other in others)
    assert separable(x, pair({}, {}), False) is not None
    kernels.use("torch")
    assert separable(x, pair({}, {}), False) is None


@needed
@pytest.mark.usefixtures("native")
def test_who_looks_at_a_part_of_a_separable_convolution_sees_it() -> None:
    sequence, x = ops.sep_conv(4, 3, 1), image(2, 4, 5, 5)
    with Routes(sequence).taken():
        fused = sequence(x)
        assert "Separable" in str(names(fused))
        seen: list[nn.Module] = []
        handles = [m.register_forward_hook(lambda m, *_: seen.append(m)) for m in sequence]
        assert near([sequence(x)], [fused])
        for handle in handles:
            handle.remove()
    assert seen == list(sequence)


@needed
@pytest.mark.usefixtures("native")
def test_what_a_part_of_a_separable_convolution_does_of_its_own_is_done() -> None:
    class Doubled(nn.ReLU):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * super().forward(x)

    def sequence(relu: nn.Module) -> nn.Sequential:
        deep = nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False)
        return nn.Sequential(nn.Identity(), relu, deep, nn.Conv2d(4, 4, 1, bias=False))

    x = image(2, 4, 5, 5)
    doubled, replaced = sequence(Doubled()), sequence(nn.ReLU())
    replaced[2].forward = lambda x: 3 * x
    for model in (doubled, replaced, sequence(nn.ReLU()), sequence(ops.ReLU()), sequence(nn.ReLU6())):
        theirs = model(x)
        with Routes(model).taken():
            assert near([model(x)], [theirs])


def names(x: Tensor) -> set[str]:
    """Of all functions that gave ``x``."""
    found, waiting = set(), [x.grad_fn]
    while waiting:
        if (function := waiting.pop()) is not None:
            found.add(function.name())
            waiting += [before for before, _ in function.next_functions]
    return found


@needed
@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("channels", [1, 3, 8, 36])
def test_a_sum_of_normed_and_weighted_images(channels: int) -> None:
    torch.manual_seed(0)
    images = [image(3, channels, 7, 5) for _ in range(4)]
    norms = [nn.BatchNorm2d(channels, affine=False), None, nn.BatchNorm2d(channels), nn.BatchNorm2d(channels, momentum=None)]
    for norm in (norms[2], norms[3]):
        assert norm is not None
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    others = deepcopy(norms)
    weights = torch.randn(4, requires_grad=True)
    assert mixable(images)
    ours = mixed(images, norms, list(weights))
    theirs = sum(w * (x if norm is None else norm(x)) for w, x, norm in zip(weights, images, others, strict=True))
    up = torch.randn_like(ours)
    inputs = [[*images, weights, *(p for norm in all_ if norm is not None for p in norm.parameters())] for all_ in (norms, others)]
    once = [torch.autograd.grad(out, x, up, retain_graph=True) for out, x in zip((ours, theirs), inputs, strict=True)]
    twice = [torch.autograd.grad(out, x, up, create_graph=True) for out, x in zip((ours, theirs), inputs, strict=True)]
    above = [torch.randn_like(g) for g in once[0]]
    assert near([ours], [theirs])
    assert near(*once)
    assert near(twice[0], once[0])
    assert near(*(torch.autograd.grad(g, (images[0], weights), above) for g in twice))
    assert near(*([b.double() for norm in all_ if norm is not None for b in norm.buffers()] for all_ in (norms, others)))


CELLS: dict[str, Any] = {"channels": 4, "cells": 3, "nodes": 1, "shape": (3, 8, 8)}
CHAIN: dict[str, Any] = {"stem": "cifar", "shape": (3, 8, 8), "widths": (4, 8, 8, 8, 8), "depths": (2, 1, 1, 1, 1), "last": 8, "head": 8}
SEARCHES: dict[str, Callable[[], Supernet]] = {
    "darts": lambda: cell.supernet(**CELLS),
    "darts-2nd": lambda: cell.supernet(**CELLS),
    "pc-darts": lambda: cell.supernet(**{**CELLS, "channels": 8}, partial=4),
    "gdas": lambda: cell.supernet(**CELLS),
    "fbnet": lambda: fbnet.supernet(stem="cifar", shape=(3, 16, 16), stem_channels=4, widths=(4,) * 7, depths=(1,) * 7, head=8),
    "proxyless": lambda: cell.supernet(**CELLS),
    "one-shot": lambda: cell.supernet(**CELLS),
    "single-path": lambda: single_path.supernet(**CHAIN),
}


def batches(seed: int, side: int = 8) -> list[tuple[Tensor, Tensor]]:
    g = torch.Generator().manual_seed(seed)
    return [(torch.randn(4, 3, side, side, generator=g), torch.randint(10, (4,), generator=g)) for _ in range(2)]


def trained(method: str, which: kernels.Kernels) -> tuple[list[Tensor], int]:
    """What two steps leave behind, and how many multiply-adds they took."""
    kernels.use(which)
    torch.manual_seed(0)
    side = 16 if method == "fbnet" else 8  # which halves it four times; a batch norm over four values makes much of a last digit
    task = Task(batches(0, side), batches(1, side), loss=F.cross_entropy)
    strategy = STRATEGIES[method].load()(task.place(SEARCHES[method]()), task)
    passes = Passes()
    with passes.counting():
        for _ in range(2):
            strategy.step(task.data)
    return [x.double() for x in strategy.supernet.state_dict().values()], passes.total


@needed
@pytest.mark.usefixtures("native")
@pytest.mark.parametrize(
    "method", [pytest.param(m, marks=pytest.mark.slow if m in ("pc-darts", "proxyless", "darts-2nd") else ()) for m in SEARCHES]
)
def test_a_search_steps_as_it_does_without_them(method: str) -> None:
    (ours, ours_counted), (theirs, counted) = trained(method, "native"), trained(method, "torch")
    assert all(torch.allclose(a, b, rtol=1e-10, atol=1e-10) for a, b in zip(ours, theirs, strict=True))
    assert ours_counted == counted > 0


@needed
@pytest.mark.usefixtures("native")
def test_a_retraining_steps_as_it_does_without_them_and_leaves_a_plain_network() -> None:
    states = []
    for which in ("native", "torch"):
        kernels.use(which)  # type: ignore[arg-type]
        torch.manual_seed(0)
        task = Task(batches(0), batches(1), loss=F.cross_entropy)
        network = task.place(cell.network(design("darts-v2").plan, channels=4, cells=3, shape=(3, 8, 8)))
        before = {name: set(vars(m)) for name, m in network.named_modules()}
        retraining = Retrain(network, task)
        for _ in range(2):
            retraining.step(task.data)
        assert {name: set(vars(m)) for name, m in network.named_modules()} == before
        states.append([x.double() for x in network.state_dict().values()])
    assert all(torch.allclose(a, b, rtol=1e-10, atol=1e-10) for a, b in zip(*states, strict=True))


@needed
@pytest.mark.usefixtures("native")
def test_options_that_do_not_fit_together_are_refused_as_without_them() -> None:
    def option(channels: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, channels, 3, padding=1), nn.BatchNorm2d(channels))

    net = Supernet(OneOf({"one": option(1), "four": option(4)}))  # one channel would be broadcast over four
    mixture = {name: Mix(torch.tensor([0.5, 0.5]), (0, 1)) for name in net.space}
    with comparing(), pytest.raises(InputError, match="must give outputs that are alike"):
        net(mixture, image(2, 3, 8, 8))


@needed
@pytest.mark.usefixtures("native")
def test_mixed_precision_is_left_to_pytorch() -> None:
    x, weight = image(2, 4, 5, 5).float(), torch.randn(4, 1, 3, 3).float()
    with torch.autocast("cpu", torch.bfloat16):
        assert conv2d(x, weight, None, 1, 1, 1, 4).dtype == torch.bfloat16
        assert not mixable([x])


def test_a_machine_that_cannot_compile_is_told_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(build, "missing", lambda: "ninja is missing: pip install supernet[native]")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(kernels, "_load", build.library)  # as in a process that has not loaded them
    code, out, err = called("search", "darts", "--space", "darts", "--kernels", "native", "--out", tmp_path / "run")
    assert (code, out) == (2, "")
    assert err == "error: the native kernels cannot be compiled: ninja is missing: pip install supernet[native]; or take kernels=torch\n"
    assert not (tmp_path / "run").exists()
    assert kernels.used() == "torch"


def test_kernels_that_a_crash_cut_short_are_compiled_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    compiled: list[Path] = []

    def load(name: str, sources: Any, build_directory: str, **how: Any) -> None:
        compiled.append(Path(build_directory))
        assert not any(compiled[-1].iterdir())
        (compiled[-1] / f"{name}.so").write_bytes(b"kernels")

    monkeypatch.setattr(cpp_extension, "load", load)
    monkeypatch.setattr(build, "missing", lambda: None)
    monkeypatch.setattr(build, "_folder_of_ninja", lambda: tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = build.library()
    assert build.library() == made and len(compiled) == 1
    for left in (b"kern", b"kernelz", b""):
        made.write_bytes(left)
        assert build.library() == made and made.read_bytes() == b"kernels"
    made.with_suffix(".sha256").unlink()
    (made.parent / "lock").touch()  # as PyTorch's compiling leaves it where it is killed, and would wait for
    build.library()
    assert len(compiled) == 5 and not (made.parent / "lock").exists()
