"""Modules as ONNX files (https://onnx.ai), hundreds of them in seconds, for inputs of one size."""

from __future__ import annotations

import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from supernet.errors import InputError, RunError
from supernet.files.whole import write_whole


class _Flat(nn.Module):
    """A module that takes and gives plain tensors, however nested its own inputs and outputs are."""

    def __init__(self, module: nn.Module, inputs: Sequence[Any]):
        super().__init__()
        self.module = module
        self.leaves, self.structure = tree_flatten(tuple(inputs))

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        given = iter(tensors)
        leaves = [next(given) if isinstance(x, Tensor) else x for x in self.leaves]
        outputs = tree_leaves(self.module(*tree_unflatten(leaves, self.structure)))
        return tuple(x for x in outputs if isinstance(x, Tensor))


def onnx_bytes(module: nn.Module, inputs: Sequence[Any]) -> bytes:
    """``module`` in evaluation mode as an ONNX file, for inputs of this size; they are called input_0, ..., the outputs output_0, ...

    PyTorch's older exporter takes 15 ms for a block, the one by ``torch.export`` 700 ms, and their files are equally fast.
    So the older one goes first, and the newer does what that cannot: torch versions without it, and operations it lacks.
    Raises ``InputError`` where neither can.
    """
    flat = _Flat(module.cpu().eval(), inputs).eval()
    tensors = tuple(x.cpu() for x in flat.leaves if isinstance(x, Tensor))
    with torch.no_grad():
        outputs = len(flat(*tensors))
    names = {"input_names": [f"input_{i}" for i in range(len(tensors))], "output_names": [f"output_{i}" for i in range(outputs)]}
    buffer = io.BytesIO()
    try:
        with _quiet(), torch.no_grad(), _Spelled():
            torch.onnx.export(flat, tensors, buffer, dynamo=False, **names)  # type: ignore[arg-type]
        return buffer.getvalue()
    except Exception:
        pass
    try:
        with _quiet(), torch.no_grad():
            written = torch.onnx.export(flat, tensors, dynamo=True, verbose=False, **names)  # type: ignore[arg-type]
        assert written is not None
        return bytes(written.model_proto.SerializeToString())
    except Exception as error:
        raise InputError(f"{type(module).__name__} cannot be exported to ONNX: {line(error)}") from error


class _Spelled(TorchFunctionMode):
    """Says in plainer operations what the older exporter has no words for."""

    def __torch_function__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        if func is torch.channel_shuffle:
            x, groups = args
            return x.unflatten(1, (groups, x.shape[1] // groups)).transpose(1, 2).flatten(1, 2)
        return func(*args, **(kwargs or {}))


def write_onnx(module: nn.Module, inputs: Sequence[Any], path: Path) -> None:
    """Write ``module`` as an ONNX file for inputs of this size; raises ``InputError`` or ``RunError``."""
    content = onnx_bytes(module, inputs)
    try:
        write_whole(path, content)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror or error}") from error


def line(error: BaseException) -> str:
    """What an error says, in one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what the exporters print, log and warn of, also from C++; what matters comes as an exception."""
    level, nothing = logging.root.manager.disable, os.open(os.devnull, os.O_WRONLY)
    sys.stdout.flush()
    logging.disable(logging.CRITICAL)
    kept = os.dup(1)
    os.dup2(nothing, 1)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nothing)
        logging.disable(level)
