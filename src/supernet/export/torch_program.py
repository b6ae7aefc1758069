"""A program of torch.export (https://pytorch.org/docs/stable/export.html): runs in PyTorch without the model's source."""

from __future__ import annotations

import io
from typing import Any

import torch
from torch import Tensor, nn

from supernet.errors import InputError
from supernet.export.examples import Inputs, Runs, flat
from supernet.export.quiet import quiet, reason


class Unnamed(nn.Module):
    """A model that gives its outputs as a plain tuple: a program that names a class of outputs is loaded only where that class is."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return tuple(flat(self.model(*inputs)))


def program_of(model: nn.Module, batch: Inputs, dimensions: tuple[int | None, ...]) -> torch.export.ExportedProgram:
    """The program of a model with a free batch size; raises ``InputError`` where there is none. Named tuples become plain ones."""
    shapes: Any = torch.export.ShapesCollection()  # type: ignore[no-untyped-call]
    size = torch.export.Dim("batch")
    for x, d in zip(batch, dimensions, strict=True):
        if d is not None:
            shapes[x] = {d: size}
    try:
        with quiet(), torch.no_grad():
            model = Unnamed(model) if hasattr(model(*batch), "_fields") else model
            return torch.export.export(model, batch, dynamic_shapes=shapes)
    except Exception as error:
        raise InputError(f"the model cannot be exported with a free batch size: {reason(error)}") from error


def torch_bytes(program: torch.export.ExportedProgram, about: str) -> tuple[bytes, Runs]:
    """The file of a program, with ``about`` as the extra file ``supernet.json``, and what it gives when it is loaded again.

    In memory: the library's own writer ends the process where a disk is full.
    """
    buffer = io.BytesIO()
    try:
        with quiet():
            torch.export.save(program, buffer, extra_files={"supernet.json": about})
            buffer.seek(0)
            return buffer.getvalue(), torch.export.load(buffer).module()
    except Exception as error:
        raise InputError(f"the model's program cannot be saved: {reason(error)}") from error
