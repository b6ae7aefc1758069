"""Write a finished network to files that run without this package, and prove that they compute the same.

ONNX for other runtimes, a torch.export program for PyTorch without the model's source, safetensors for the weights alone: all of
them from one copy of the model, with one description of it inside each file and beside them (model.json).
"""

from __future__ import annotations

import copy
import importlib.util
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from supernet.errors import InputError, RunError, unknown
from supernet.export.examples import Inputs, Runs, batch_dimensions, batches, described, difference, dimensions_of, outputs_of
from supernet.export.onnx import onnx_bytes
from supernet.export.quiet import reason
from supernet.export.tensors import safetensors_bytes, state_of
from supernet.export.torch_program import program_of, torch_bytes
from supernet.files.whole import make_folder, move_whole
from supernet.modules.weights import checksum
from supernet.version import VERSION

FORMAT = 1  # of model.json
FILES = {"onnx": "model.onnx", "torch": "model.pt2", "safetensors": "model.safetensors"}
DESCRIPTION = "model.json"


@dataclass(frozen=True)
class Exported:
    """A file that was written, and how far its outputs are from the model's, at most and relative to their scale."""

    path: Path
    difference: float


def export(
    model: nn.Module,
    example: Tensor | Inputs,
    folder: str | os.PathLike[str],
    formats: Sequence[str] = ("onnx", "torch", "safetensors"),
    *,
    architecture: dict[str, Any] | None = None,
    metadata: dict[str, Any] | None = None,
    tolerance: float = 1e-4,
    batch_dimension: int | Sequence[int | None] = 0,
) -> dict[str, Exported]:
    """Write ``model`` in evaluation mode to ``folder``, in every format asked for or in none.

    Each file is loaded again and run on the example, on one and on several inputs drawn from the example's values. What the model is,
    its inputs and outputs by name, shape and type, a checksum of its weights and this package's version stand in model.json and, the
    same text, in each file: under ``supernet`` in the metadata of ONNX and safetensors, as ``supernet.json`` in the program.

    Args:
        model: a plain module; it is copied and left as it was.
        example: its input, or a tuple of its inputs, each with its batch dimension; any batch size.
        formats: ``onnx`` (model.onnx), ``torch`` (model.pt2), ``safetensors`` (model.safetensors); the batch size of the first two
            is free.
        architecture, metadata: what else the description says, as JSON has it: mean and deviation, classes, metrics.
        tolerance: the largest difference of an output that is accepted, as a fraction of that output's largest value.
        batch_dimension: of every input, or one for each, ``None`` for an input without one.

    Raises:
        InputError: the model or an argument cannot be used, or packages are missing.
        RunError: a file cannot be written, or computes something else than the model.
    """
    contents, found = _made(model, example, formats, architecture, metadata, tolerance, batch_dimension)
    target = Path(folder)
    _write(target, contents)
    return {name: Exported(target / FILES[name], worst) for name, worst in found.items()}


def try_export(model: nn.Module, example: Tensor | Inputs, *, batch_dimension: int | Sequence[int | None] = 0) -> str | None:
    """The reason, in one line, why ``model`` cannot be exported to ONNX, or ``None`` if it can; writes no files."""
    try:
        _made(model, example, ("onnx",), None, None, 1e-4, batch_dimension)
    except Exception as error:  # whatever it is, it must not end the search that asks
        return reason(error)
    return None


def _made(
    model: nn.Module,
    example: Tensor | Inputs,
    formats: Sequence[str],
    architecture: dict[str, Any] | None,
    metadata: dict[str, Any] | None,
    tolerance: float,
    batch_dimension: int | Sequence[int | None],
) -> tuple[dict[str, bytes], dict[str, float]]:
    """The files by name, and by format how far what they compute is from the model."""
    _check_formats(formats)
    inputs = (example,) if isinstance(example, Tensor) else tuple(example)
    plain = _copied(model)
    dimensions = dimensions_of(inputs, batch_dimension)
    fed = batches(inputs, dimensions)
    expected = [outputs_of(plain, batch) for batch in fed]
    tensors, aliases = state_of(plain)
    about = {
        "format": FORMAT,
        "supernet": VERSION,
        "architecture": architecture,
        "metadata": metadata,
        "inputs": described("input", inputs, dimensions),
        "outputs": described("output", expected[0], batch_dimensions(expected[1], expected[2])),
        "aliases": aliases,
        "checksum": checksum(tensors),
    }
    try:
        text = json.dumps(about, indent=2)
    except (TypeError, ValueError) as error:
        raise InputError(f"architecture and metadata must be what JSON can hold: {reason(error)}") from error
    program = program_of(plain, fed[-1], dimensions) if {"onnx", "torch"} & set(formats) else None
    contents, found = {DESCRIPTION: (text + "\n").encode()}, {}
    for name in dict.fromkeys(formats):
        runs: Runs
        if program is None or name == "safetensors":
            content, runs = safetensors_bytes(plain, tensors, aliases, text)
        elif name == "onnx":
            content, runs = onnx_bytes(program, dimensions, len(expected[0]), text)
        else:
            content, runs = torch_bytes(program, text)
        found[name] = max(difference(FILES[name], runs, b, e, tolerance) for b, e in zip(fed, expected, strict=True))
        contents[FILES[name]] = content
    return contents, found


def _write(target: Path, contents: dict[str, bytes]) -> None:
    """Write files under temporary names, and rename them when all are there."""
    temporary = {name: target / f".{name}.new" for name in contents}
    try:
        make_folder(target)
        try:
            for name, content in contents.items():
                temporary[name].write_bytes(content)
            for name, path in temporary.items():
                move_whole(path, target / name)
        finally:
            for path in temporary.values():
                path.unlink(missing_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{target} is not a folder") from error
    except OSError as error:
        raise RunError(f"cannot write to {target}: {error.strerror or error}") from error


def _check_formats(formats: Sequence[str]) -> None:
    if isinstance(formats, str) or not formats:
        raise InputError(f"formats must be a list of some of {', '.join(FILES)}, not {formats!r}")
    for name in formats:
        if name not in FILES:
            raise unknown("format", name, FILES)
    if "onnx" in formats and not all(importlib.util.find_spec(m) for m in ("onnx", "onnxscript", "onnxruntime")):
        raise InputError("exporting to ONNX needs more packages; install them with: pip install 'supernet[export]'")


def _copied(model: nn.Module) -> nn.Module:
    """A copy on the CPU, in evaluation mode."""
    try:
        return copy.deepcopy(model).cpu().eval()
    except Exception as error:
        raise InputError(f"the model cannot be copied: {reason(error)}") from error
