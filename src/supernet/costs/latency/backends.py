"""What runs a module that is timed: PyTorch itself, ONNX Runtime (https://onnxruntime.ai) or OpenVINO (https://docs.openvino.ai)."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module, metadata
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from supernet.costs.latency.onnx import line, onnx_bytes
from supernet.errors import InputError, RunError, unknown

BACKENDS = {"torch": (), "onnxruntime": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("onnx", "onnxscript", "openvino")}
EXTRAS = {"onnxruntime": "export", "openvino": "openvino"}  # of this package, by backend
TOLERANCE = 1e-3  # of an output's scale; bfloat16, which OpenVINO would choose by itself on some processors, is off by more

Call = Callable[[], object]  # runs the module once and waits until it is done


def check_backend(backend: str, device: str = "cpu") -> None:
    """Raise ``InputError`` where the backend is unknown, not installed, or does not run on ``device``."""
    if backend not in BACKENDS:
        raise unknown("backend", backend, BACKENDS)
    if not all(importlib.util.find_spec(name) for name in BACKENDS[backend]):
        raise InputError(f"the backend {backend} is not installed; install it with: pip install 'supernet[{EXTRAS[backend]}]'")
    if backend != "torch" and torch.device(device).type != "cpu":
        raise InputError(
            f"the backend {backend} is timed on the CPU only, not on {device}: take the backend torch, or --emit and --collect"
        )


def version(backend: str) -> str:
    """The installed version of a backend."""
    return torch.__version__ if backend == "torch" else metadata.version(backend)


def prepare(
    backend: str, module: nn.Module, inputs: Sequence[Any], *, threads: int = 1, device: str = "cpu", whole: bool = False
) -> Call:
    """A call that runs ``module`` once on ``inputs``. The module is left in evaluation mode, on the device.

    Args:
        inputs: tensors, nested as the module takes them; their batch size is fixed.
        threads: of ONNX Runtime and OpenVINO. PyTorch has one number for the whole process, see ``torch_threads``.
        whole: call the runtime as a program does, which hands inputs over and gets outputs back; a part of a network is
            instead run on inputs and outputs that lie ready.

    Raises:
        InputError: the backend cannot be used, or the module cannot be converted.
        RunError: what was converted computes something else than the module.
    """
    check_backend(backend, device)
    if backend == "torch":
        return _torch(module, inputs, torch.device(device))
    module = module.cpu().eval()
    tensors = [x.cpu() for x in tree_leaves(inputs) if isinstance(x, Tensor)]
    with torch.inference_mode():
        expected = [x for x in tree_leaves(module(*inputs)) if isinstance(x, Tensor)]
    make = {"onnxruntime": _onnxruntime_whole if whole else _onnxruntime, "openvino": _openvino_whole if whole else _openvino}[backend]
    call, outputs = make(onnx_bytes(module, inputs), tensors, expected, threads)
    call()
    for output, target in zip(outputs(), expected, strict=True):
        _compare(backend, output, target)
    return call


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Let PyTorch use that many threads, and put back what was."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _torch(module: nn.Module, inputs: Sequence[Any], device: torch.device) -> Call:
    """Images (4-d tensors) in channels_last, as this package runs them everywhere."""

    def placed(x: Any) -> Any:
        return x.to(device, memory_format=torch.channels_last if x.dim() == 4 else torch.preserve_format) if isinstance(x, Tensor) else x

    leaves, structure = tree_flatten(tuple(inputs))
    fed = tree_unflatten([placed(x) for x in leaves], structure)
    images = any(isinstance(x, Tensor) and x.dim() == 4 for x in leaves)
    module = module.eval().to(device)
    module = module.to(memory_format=torch.channels_last) if images else module  # type: ignore[call-overload]
    inference, waits = torch.inference_mode, device.type != "cpu"

    def call() -> None:
        with inference():
            module(*fed)
        if waits:
            torch.accelerator.synchronize(device)

    return call


_Made = tuple[Call, Callable[[], list[Tensor]]]  # and what it put out the last time
_arena: list[object] = []


def _onnxruntime(model: bytes, inputs: list[Tensor], outputs: list[Tensor], threads: int) -> _Made:
    """Inputs and outputs are bound once. All sessions share one arena: hundreds with one each would hold gigabytes."""
    import onnxruntime as ort

    if not _arena:
        memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
        ort.create_and_register_allocator(memory, ort.OrtArenaCfg(0, -1, -1, -1))
        _arena.append(memory)
    session = _session(model, threads, {"session.use_env_allocators": "1"})
    binding = session.io_binding()
    for put in session.get_inputs():  # those that the module does not use are not among them
        binding.bind_ortvalue_input(put.name, ort.OrtValue.ortvalue_from_numpy(inputs[_number(put.name)].contiguous().numpy()))
    out = [ort.OrtValue.ortvalue_from_numpy(x.contiguous().numpy().copy()) for x in outputs]
    for put in session.get_outputs():
        binding.bind_ortvalue_output(put.name, out[_number(put.name)])
    run = session.run_with_iobinding
    return lambda: run(binding), lambda: [torch.from_numpy(x.numpy()) for x in out]


def _onnxruntime_whole(model: bytes, inputs: list[Tensor], outputs: list[Tensor], threads: int) -> _Made:
    """As a program runs it: arrays in, arrays out."""
    session = _session(model, threads, {})
    feed = {put.name: inputs[_number(put.name)].contiguous().numpy() for put in session.get_inputs()}
    names = [f"output_{i}" for i in range(len(outputs))]
    return lambda: session.run(names, feed), lambda: [torch.from_numpy(y) for y in session.run(names, feed)]


def _session(model: bytes, threads: int, settings: dict[str, str]) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3  # errors only
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    for name, value in settings.items():
        options.add_session_config_entry(name, value)
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise InputError(f"ONNX Runtime cannot load a part: {line(error)}") from error


def _openvino(model: bytes, inputs: list[Tensor], outputs: list[Tensor], threads: int) -> _Made:
    request, puts = _request(model, threads)
    openvino = import_module("openvino")  # has no types
    for put in puts:
        request.set_tensor(put, openvino.Tensor(inputs[_number(put.any_name)].contiguous().numpy(), shared_memory=True))
    return request.infer, lambda: [torch.from_numpy(request.get_output_tensor(i).data.copy()) for i in range(len(outputs))]


def _openvino_whole(model: bytes, inputs: list[Tensor], outputs: list[Tensor], threads: int) -> _Made:
    """As a program runs it: arrays in, arrays out."""
    request, puts = _request(model, threads)
    feed = {put.any_name: inputs[_number(put.any_name)].contiguous().numpy() for put in puts}
    return lambda: request.infer(feed), lambda: [torch.from_numpy(request.get_output_tensor(i).data.copy()) for i in range(len(outputs))]


def _request(model: bytes, threads: int) -> tuple[Any, Any]:
    """What runs a model, in float32 (left alone, OpenVINO takes bfloat16 on processors that have it), and its inputs."""
    openvino = import_module("openvino")  # has no types
    core = openvino.Core()
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    try:
        compiled = core.compile_model(core.read_model(model), "CPU", settings)
    except Exception as error:
        raise InputError(f"OpenVINO cannot load a part: {line(error)}") from error
    return compiled.create_infer_request(), compiled.inputs


def _number(name: str) -> int:
    return int(name.rsplit("_", 1)[1])


def _compare(backend: str, output: Tensor, target: Tensor) -> None:
    scale = target.double().abs().max().item() if target.numel() else 0.0
    difference = (output.double() - target.double()).abs().max().item() / (scale or 1.0) if target.numel() else 0.0
    if tuple(output.shape) != tuple(target.shape) or not difference <= TOLERANCE:  # also when it is not a number
        raise RunError(f"{backend} computes something else than a part of the network: off by {difference:.1e} of the output's scale")
