"""ONNX (https://onnx.ai), for other runtimes."""

from __future__ import annotations

import torch
from torch import Tensor

from supernet.errors import InputError, RunError
from supernet.export.examples import Runs, names
from supernet.export.quiet import quiet, reason


def onnx_bytes(program: torch.export.ExportedProgram, dimensions: tuple[int | None, ...], outputs: int, about: str) -> tuple[bytes, Runs]:
    """The file of a program, with ``about`` in its metadata under ``supernet``, and what ONNX Runtime makes of it."""
    import onnxruntime

    called = names("input", len(dimensions)), names("output", outputs)
    shapes = tuple({} if d is None else {d: "batch"} for d in dimensions)
    try:
        with quiet():
            written = torch.onnx.export(
                program, (), dynamo=True, verbose=False, input_names=called[0], output_names=called[1], dynamic_shapes=shapes
            )
            assert written is not None
            written.model.metadata_props["supernet"] = about
            content = bytes(written.model_proto.SerializeToString())
    except Exception as error:
        raise InputError(f"the model cannot be exported to ONNX: {reason(error)}") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise RunError(f"model.onnx cannot be loaded: {reason(error)}") from error

    def run(*inputs: Tensor) -> list[Tensor]:
        feed = {name: x.numpy() for name, x in zip(called[0], inputs, strict=True)}
        return [torch.from_numpy(y) for y in session.run(called[1], feed)]

    return content, run
