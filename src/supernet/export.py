"""Write a finished network to files that run without this package, and prove that they compute the same.

ONNX (https://onnx.ai) for other runtimes, a torch.export program (https://pytorch.org/docs/stable/export.html) for
PyTorch without the model's source, safetensors (https://huggingface.co/docs/safetensors) for the weights alone.
"""

from __future__ import annotations

import copy
import importlib.util
import io
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from supernet.errors import InputError, RunError, unknown
from supernet.files import move_whole

FORMAT = 1  # of model.json
FILES = {"onnx": "model.onnx", "torch": "model.pt2", "safetensors": "model.safetensors"}

Inputs = tuple[Tensor, ...]
Runs = Callable[..., Any]  # inputs -> outputs, nested as the format likes


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

    Each file is loaded again and run on the example, on one and on several inputs drawn from the example's values.

    Args:
        model: a plain module; it is copied and left as it was.
        example: its input, or a tuple of its inputs, each with its batch dimension; any batch size.
        formats: ``onnx`` (model.onnx), ``torch`` (model.pt2), ``safetensors`` (model.safetensors and model.json); the
            batch size of the first two is free.
        architecture, metadata: stored in model.json.
        tolerance: the largest difference of an output that is accepted, as a fraction of that output's largest value.
        batch_dimension: of every input, or one for each, ``None`` for an input without one.

    Raises:
        InputError: the model or an argument cannot be used, or packages are missing.
        RunError: a file cannot be written, or computes something else than the model.
    """
    _check_formats(formats)
    inputs = (example,) if isinstance(example, Tensor) else tuple(example)
    plain = _copied(model)
    dimensions = _dimensions(inputs, batch_dimension)
    batches = _batches(inputs, dimensions)
    expected = [_outputs(plain, batch) for batch in batches]
    target = Path(folder)
    about = {"format": FORMAT, "architecture": architecture, "metadata": metadata, "inputs": _shapes(inputs, dimensions)}
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=target) as scratch:
            program = _program(plain, batches[-1], dimensions) if {"onnx", "torch"} & set(formats) else None
            found = {}
            for name in dict.fromkeys(formats):
                path = Path(scratch) / FILES[name]
                if program is None or name == "safetensors":
                    runs = _write_safetensors(plain, path, about)
                elif name == "onnx":
                    runs = _write_onnx(program, dimensions, len(expected[0]), path)
                else:
                    runs = _write_torch(program, path)
                worst = max(_difference(path.name, runs, b, e, tolerance) for b, e in zip(batches, expected, strict=True))
                found[name] = Exported(target / path.name, worst)
            for path in Path(scratch).iterdir():
                move_whole(path, target / path.name)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{target} is not a folder") from error
    except (OSError, SafetensorError) as error:
        raise RunError(f"cannot write to {target}: {_reason(error)}") from error
    return found


def try_export(model: nn.Module, example: Tensor | Inputs, *, batch_dimension: int | Sequence[int | None] = 0) -> str | None:
    """The reason, in one line, why ``model`` cannot be exported to ONNX, or ``None`` if it can; leaves no files."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            export(model, example, folder, ("onnx",), batch_dimension=batch_dimension)
    except Exception as error:  # whatever it is, it must not end the search that asks
        return _reason(error)
    return None


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
        raise InputError(f"the model cannot be copied: {_reason(error)}") from error


def _dimensions(inputs: Inputs, batch_dimension: int | Sequence[int | None]) -> tuple[int | None, ...]:
    """The batch dimension of each input, after checking that they agree on the batch size."""
    if not inputs or not all(isinstance(x, Tensor) and x.numel() for x in inputs):
        raise InputError("the example must be a tensor or a tuple of tensors, none of them empty")
    dimensions = (batch_dimension,) * len(inputs) if isinstance(batch_dimension, int) else tuple(batch_dimension)
    if len(dimensions) != len(inputs):
        raise InputError(f"batch_dimension has {len(dimensions)} entries for {len(inputs)} inputs")
    for i, (x, d) in enumerate(zip(inputs, dimensions, strict=True)):
        if d is not None and not 0 <= d < x.dim():
            raise InputError(f"input {i} of shape {tuple(x.shape)} has no dimension {d}; give its batch dimension, or None")
    if len(sizes := {x.shape[d] for x, d in zip(inputs, dimensions, strict=True) if d is not None}) != 1:
        raise InputError(f"the inputs must share one batch size, not {sorted(sizes)}; give batch_dimension for each input")
    return dimensions


def _batches(inputs: Inputs, dimensions: tuple[int | None, ...]) -> list[Inputs]:
    """The example, one input and several inputs (at least two: torch.export takes a batch of one for a constant)."""
    generator = torch.Generator().manual_seed(0)
    given = next(x.shape[d] for x, d in zip(inputs, dimensions, strict=True) if d is not None)

    def draw(x: Tensor, d: int | None, size: int) -> Tensor:
        shape = [size if i == d else n for i, n in enumerate(x.shape)]
        values = x.flatten()
        if x.is_floating_point() and bool((values == values[0]).all()):  # a placeholder such as zeros
            return torch.randn(shape, generator=generator).to(x.dtype)
        return values[torch.randint(len(values), shape, generator=generator)]

    example = tuple(x.detach().cpu() for x in inputs)
    sizes = (1, 3 if given != 3 else 5)
    return [example, *(tuple(draw(x, d, n) for x, d in zip(example, dimensions, strict=True)) for n in sizes)]


def _outputs(model: nn.Module, batch: Inputs) -> list[Tensor]:
    try:
        with torch.no_grad():
            outputs = _flat(model(*batch))
    except Exception as error:
        raise InputError(f"the model fails on inputs of shape {_sizes(batch)}: {_reason(error)}") from error
    if not all(bool(x.isfinite().all()) for x in outputs):
        raise InputError("the model's outputs are not finite, so that nothing can be compared")
    return outputs


def _flat(outputs: Any) -> list[Tensor]:
    """The tensors of nested outputs, in the order in which torch.export flattens them."""
    if isinstance(outputs, Tensor):
        return [outputs]
    if outputs is None:
        return []
    if isinstance(outputs, dict):
        outputs = outputs.values()
    elif not isinstance(outputs, list | tuple):
        raise InputError(f"it returns {type(outputs).__name__}; tensors, and tuples, lists and dicts of them, can be exported")
    return [x for part in outputs for x in _flat(part)]


def _shapes(inputs: Inputs, dimensions: tuple[int | None, ...]) -> list[dict[str, Any]]:
    return [
        {"shape": ["batch" if i == d else n for i, n in enumerate(x.shape)], "dtype": str(x.dtype).removeprefix("torch.")}
        for x, d in zip(inputs, dimensions, strict=True)
    ]


def _program(model: nn.Module, batch: Inputs, dimensions: tuple[int | None, ...]) -> torch.export.ExportedProgram:
    shapes: Any = torch.export.ShapesCollection()  # type: ignore[no-untyped-call]
    size = torch.export.Dim("batch")
    for x, d in zip(batch, dimensions, strict=True):
        if d is not None:
            shapes[x] = {d: size}
    try:
        with _quiet(), torch.no_grad():
            return torch.export.export(model, batch, dynamic_shapes=shapes)
    except Exception as error:
        raise InputError(f"the model cannot be exported with a free batch size: {_reason(error)}") from error


def _write_torch(program: torch.export.ExportedProgram, path: Path) -> Runs:
    with _quiet():
        torch.export.save(program, path)
        return torch.export.load(path).module()


def _write_onnx(program: torch.export.ExportedProgram, dimensions: tuple[int | None, ...], outputs: int, path: Path) -> Runs:
    """Inputs and outputs are called ``input`` and ``output``, or ``input_0``, ``input_1``, ... where there are several."""
    import onnxruntime

    names = [[f"{kind}_{i}" for i in range(n)] if n > 1 else [kind] for kind, n in (("input", len(dimensions)), ("output", outputs))]
    shapes = tuple({} if d is None else {d: "batch"} for d in dimensions)
    try:
        with _quiet():
            written = torch.onnx.export(
                program, (), dynamo=True, verbose=False, input_names=names[0], output_names=names[1], dynamic_shapes=shapes
            )
    except Exception as error:
        raise InputError(f"the model cannot be exported to ONNX: {_reason(error)}") from error
    assert written is not None
    with _quiet():
        written.save(path, external_data=False)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise RunError(f"{path.name} cannot be loaded: {_reason(error)}") from error

    def run(*inputs: Tensor) -> list[Tensor]:
        feed = {name: x.numpy() for name, x in zip(names[0], inputs, strict=True)}
        return [torch.from_numpy(y) for y in session.run(names[1], feed)]

    return run


def _write_safetensors(model: nn.Module, path: Path, about: dict[str, Any]) -> Runs:
    """The state, each shared tensor once; the names left out and those that hold them are listed as aliases."""
    kept: dict[str, Tensor] = {}
    aliases: dict[str, str] = {}
    first: dict[tuple[Any, ...], str] = {}
    for name, x in model.state_dict().items():
        if not isinstance(x, Tensor):
            raise InputError(f"the model's state has {name!r}, which is no tensor; safetensors holds tensors only")
        place = (x.data_ptr(), x.dtype, tuple(x.shape), x.stride()) if x.numel() else (name,)
        holder = first.setdefault(place, name)
        if holder == name:
            kept[name] = x.clone(memory_format=torch.contiguous_format)  # a clone: parts of one storage are refused
        else:
            aliases[name] = holder
    save_file(kept, path, metadata={"format": "pt", **aliases})  # as safetensors.torch.load_model reads it
    try:
        text = json.dumps({**about, "aliases": aliases}, indent=2)
    except (TypeError, ValueError) as error:
        raise InputError(f"architecture and metadata must be what JSON can hold: {_reason(error)}") from error
    path.with_suffix(".json").write_text(text + "\n", encoding="utf-8")

    empty = copy.deepcopy(model)
    for x in empty.state_dict().values():
        x.fill_(float("nan") if x.is_floating_point() else 0)
    stored = load_file(path)
    empty.load_state_dict({**stored, **{name: stored[holder] for name, holder in aliases.items()}})
    return empty


def _difference(name: str, runs: Runs, batch: Inputs, expected: list[Tensor], tolerance: float) -> float:
    """The largest difference of any output, as a fraction of that output's largest value."""
    try:
        with torch.no_grad():
            outputs = _flat(runs(*batch))
    except Exception as error:
        raise RunError(f"{name} fails on inputs of shape {_sizes(batch)}: {_reason(error)}") from error
    if _sizes(outputs) != _sizes(expected):
        raise RunError(f"{name} has outputs of shape {_sizes(outputs)}, the model of {_sizes(expected)}")
    worst = 0.0
    for x, y in zip(outputs, expected, strict=True):
        if y.numel():
            scale = y.double().abs().max().item() or 1.0
            difference = (x.double() - y.double()).abs().max().item() / scale
            if not difference <= tolerance:  # also when it is not a number
                raise RunError(f"{name} differs from the model by {difference:.1e} of the output's scale; accepted are {tolerance:.1e}")
            worst = max(worst, difference)
    return worst


def _sizes(tensors: Sequence[Tensor]) -> str:
    return ", ".join(str(tuple(x.shape)) for x in tensors)


def _reason(error: BaseException) -> str:
    """The innermost cause in one line."""
    while not isinstance(error, InputError | RunError) and error.__cause__ is not None:
        error = error.__cause__
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what the exporters print, log and warn of; what matters comes as an exception."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
