from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from supernet.costs.latency import backends
from supernet.costs.latency.backends import prepare, torch_threads
from supernet.costs.latency.onnx import onnx_bytes, write_onnx
from supernet.errors import InputError, RunError
from supernet.ops import InvertedResidual


class Nested(nn.Module):
    """Takes a list, a number and something that it does not use; gives a dictionary."""

    def forward(self, pair: list[Tensor], factor: int, unused: Tensor) -> dict[str, Any]:
        return {"a": pair[0] * factor, "b": [pair[1] - pair[0].mean()]}


MODULES: dict[str, tuple[nn.Module, tuple[Any, ...]]] = {
    "block": (InvertedResidual(8, 8, 5, 3), (torch.randn(2, 8, 9, 9),)),
    "grouped": (InvertedResidual(8, 8, 3, 1, 2, groups=2), (torch.randn(1, 8, 9, 9),)),
    "nested": (Nested(), ([torch.randn(3, 4), torch.randn(3, 4)], 3, torch.zeros(2))),
    "linear": (nn.Sequential(nn.Flatten(), nn.Linear(12, 5)), (torch.randn(2, 3, 2, 2),)),
    "embedding": (nn.Embedding(7, 3), (torch.tensor([[1, 2], [0, 6]]),)),
    "identity": (nn.Identity(), (torch.zeros(1),)),
}


@pytest.mark.parametrize("name", MODULES)
def test_what_is_written_computes_what_the_module_computes(name: str, tmp_path: Path) -> None:
    module, inputs = MODULES[name]
    write_onnx(module, inputs, tmp_path / "part.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "part.onnx", providers=["CPUExecutionProvider"])
    leaves = [x for x in torch.utils._pytree.tree_leaves(inputs) if isinstance(x, Tensor)]
    outputs = session.run(None, {put.name: leaves[int(put.name[-1])].numpy() for put in session.get_inputs()})
    with torch.no_grad():
        expected = torch.utils._pytree.tree_leaves(module.eval()(*inputs))
    for found, wanted in zip(outputs, expected, strict=True):
        torch.testing.assert_close(torch.from_numpy(found), wanted, rtol=1e-4, atol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == ["part.onnx"]


@pytest.mark.parametrize("backend", ["torch", "onnxruntime"])
@pytest.mark.parametrize("name", MODULES)
def test_every_module_becomes_a_call_that_can_be_repeated(backend: str, name: str) -> None:
    module, inputs = MODULES[name]
    call = prepare(backend, module, inputs)
    call()
    call()
    assert not module.training


def test_pytorch_runs_the_module_itself_without_gradients_and_images_channels_last() -> None:
    seen: list[tuple[bool, bool]] = []

    class Watched(nn.Conv2d):
        def forward(self, input: Tensor) -> Tensor:
            seen.append((torch.is_inference_mode_enabled(), input.is_contiguous(memory_format=torch.channels_last)))
            return super().forward(input)

    call = prepare("torch", Watched(3, 4, 1), (torch.randn(1, 3, 5, 5),))
    call()
    call()
    assert seen == [(True, True)] * 2


def test_a_conversion_that_computes_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(2, 4)
    other = onnx_bytes(nn.Linear(4, 4), (x,))
    monkeypatch.setattr(backends, "onnx_bytes", lambda module, inputs: other)
    with pytest.raises(RunError, match="onnxruntime computes something else than a part of the network: off by"):
        prepare("onnxruntime", nn.Linear(4, 4), (x,))


@pytest.mark.slow
def test_what_the_older_exporter_cannot_do_the_newer_does_and_neither_prints(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    class Angle(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.roll(torch.special.log_ndtr(x), 1)  # the older exporter has no words for this

    call = prepare("onnxruntime", Angle(), (torch.randn(3, 4),))
    call()
    assert capfd.readouterr().out == ""


def test_what_no_exporter_can_do_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **settings: Any) -> None:
        raise RuntimeError("no such\noperation")

    monkeypatch.setattr(torch.onnx, "export", refuse)
    with pytest.raises(InputError) as error:
        prepare("onnxruntime", nn.Linear(2, 2), (torch.zeros(1, 2),))
    assert str(error.value) == "Linear cannot be exported to ONNX: no such operation"


def test_a_backend_that_is_not_installed_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for backend, extra in (("openvino", "openvino"), ("onnxruntime", "export")):
        with pytest.raises(InputError) as error:
            prepare(backend, nn.Identity(), (torch.zeros(1),))
        assert str(error.value) == f"the backend {backend} is not installed; install it with: pip install 'supernet[{extra}]'"


def test_an_unknown_backend_and_a_device_that_it_does_not_run_on_are_refused() -> None:
    with pytest.raises(InputError, match="unknown backend 'onnx'; did you mean 'onnxruntime'"):
        prepare("onnx", nn.Identity(), (torch.zeros(1),))
    with pytest.raises(InputError, match="the backend onnxruntime is timed on the CPU only, not on cuda:1"):
        prepare("onnxruntime", nn.Identity(), (torch.zeros(1),), device="cuda:1")


def test_a_file_that_cannot_be_written_is_an_error_of_the_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"part.onnx cannot be written: No such file or directory"):
        write_onnx(nn.Identity(), (torch.zeros(1),), tmp_path / "nowhere" / "part.onnx")


def test_the_number_of_threads_is_put_back() -> None:
    before = torch.get_num_threads()
    with pytest.raises(KeyError), torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise KeyError
    assert torch.get_num_threads() == before
