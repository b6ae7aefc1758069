"""Inputs to compare a model and its files on, and outputs as plain tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from supernet.errors import InputError, RunError
from supernet.export.quiet import reason

Inputs = tuple[Tensor, ...]
Runs = Callable[..., Any]  # inputs -> outputs, nested as the format likes


def dimensions_of(inputs: Inputs, batch_dimension: int | Sequence[int | None]) -> tuple[int | None, ...]:
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


def batches(inputs: Inputs, dimensions: tuple[int | None, ...]) -> list[Inputs]:
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


def outputs_of(model: nn.Module, batch: Inputs) -> list[Tensor]:
    """What a model gives, as plain tensors; raises ``InputError`` where it fails or gives no numbers."""
    try:
        with torch.no_grad():
            outputs = flat(model(*batch))
    except Exception as error:
        raise InputError(f"the model fails on inputs of shape {sizes(batch)}: {reason(error)}") from error
    if not all(bool(x.isfinite().all()) for x in outputs):
        raise InputError("the model's outputs are not finite, so that nothing can be compared")
    return outputs


def flat(outputs: Any) -> list[Tensor]:
    """The tensors of nested outputs, in the order in which torch.export flattens them."""
    if isinstance(outputs, Tensor):
        return [outputs]
    if outputs is None:
        return []
    if isinstance(outputs, dict):
        outputs = outputs.values()
    elif not isinstance(outputs, list | tuple):
        raise InputError(f"it returns {type(outputs).__name__}; tensors, and tuples, lists and dicts of them, can be exported")
    return [x for part in outputs for x in flat(part)]


def names(kind: str, count: int) -> list[str]:
    """``input``, or ``input_0``, ``input_1``, ... where there are several; outputs alike."""
    return [f"{kind}_{i}" for i in range(count)] if count > 1 else [kind]


def described(kind: str, tensors: Sequence[Tensor], dimensions: Sequence[int | None]) -> list[dict[str, Any]]:
    """Name, shape with "batch" in its place, and type of each tensor."""
    return [
        {"name": name, "shape": ["batch" if i == d else n for i, n in enumerate(x.shape)], "dtype": str(x.dtype).removeprefix("torch.")}
        for name, x, d in zip(names(kind, len(tensors)), tensors, dimensions, strict=True)
    ]


def batch_dimensions(one: Sequence[Tensor], several: Sequence[Tensor]) -> list[int | None]:
    """The first dimension of each output that changes with the batch size."""
    sizes = [zip(x.shape, y.shape, strict=True) for x, y in zip(one, several, strict=True)]
    return [next((i for i, (n, m) in enumerate(pairs) if n != m), None) for pairs in sizes]


def difference(name: str, runs: Runs, batch: Inputs, expected: list[Tensor], tolerance: float) -> float:
    """The largest difference of any output, as a fraction of that output's largest value; raises ``RunError`` above the tolerance."""
    try:
        with torch.no_grad():
            outputs = flat(runs(*batch))
    except Exception as error:
        raise RunError(f"{name} fails on inputs of shape {sizes(batch)}: {reason(error)}") from error
    if sizes(outputs) != sizes(expected):
        raise RunError(f"{name} has outputs of shape {sizes(outputs)}, the model of {sizes(expected)}")
    worst = 0.0
    for x, y in zip(outputs, expected, strict=True):
        if y.numel():
            scale = y.double().abs().max().item() or 1.0
            off = (x.double() - y.double()).abs().max().item() / scale
            if not off <= tolerance:  # also when it is not a number
                raise RunError(f"{name} differs from the model by {off:.1e} of the output's scale; accepted are {tolerance:.1e}")
            worst = max(worst, off)
    return worst


def sizes(tensors: Sequence[Tensor]) -> str:
    """The shapes of tensors as text."""
    return ", ".join(str(tuple(x.shape)) for x in tensors)
