"""A program of torch.export (https://pytorch.org/docs/stable/export.html): runs in PyTorch without the model's source."""

from __future__ import annotations

import io
from typing import Any

import torch
from torch import nn

from supernet.errors import InputError
from supernet.export.examples import Inputs, Runs
from supernet.export.quiet import quiet, reason


def program_of(model: nn.Module, batch: Inputs, dimensions: tuple[int | None, ...]) -> torch.export.ExportedProgram:
    """The program of a model with a free batch size; raises ``InputError`` where there is none."""
    shapes: Any = torch.export.ShapesCollection()  # type: ignore[no-untyped-call]
    size = torch.export.Dim("batch")
    for x, d in zip(batch, dimensions, strict=True):
        if d is not None:
            shapes[x] = {d: size}
    try:
        with quiet(), torch.no_grad():
            return torch.export.export(model, batch, dynamic_shapes=shapes)
    except Exception as error:
        raise InputError(f"the model cannot be exported with a free batch size: {reason(error)}") from error


def torch_bytes(program: torch.export.ExportedProgram, about: str) -> tuple[bytes, Runs]:
    """The file of a program, with ``about`` as the extra file ``supernet.json``, and what it gives when it is loaded again.

    In memory: the library's own writer ends the process where a disk is full.
    """
    buffer = io.BytesIO()
    with quiet():
        torch.export.save(program, buffer, extra_files={"supernet.json": about})
        buffer.seek(0)
        return buffer.getvalue(), torch.export.load(buffer).module()
