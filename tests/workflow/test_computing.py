"""What is said of what computes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from supernet.native import kernels
from supernet.plan.resolved import computing


@pytest.mark.parametrize(
    ("used", "config", "said"),
    [
        ("torch", {"device": "cpu", "threads": 2, "autocast": None}, "cpu, 2 threads, kernels of {}, single precision"),
        ("native", {"device": "cpu", "threads": 1, "autocast": None}, "cpu, 1 thread, native kernels and those of {}, single precision"),
        ("torch", {"device": "mps", "threads": 2, "autocast": "float16"}, "mps, kernels of {}, mixed precision (float16)"),
        ("torch", {"device": "cuda:1", "threads": 2, "autocast": None}, "cuda:1 (NVIDIA H100), kernels of {}, single precision"),
    ],
)
def test_device_threads_kernels_and_precision_are_said(used: Any, config: Any, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_used", used)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H100")
    assert computing(config) == said.format(f"PyTorch {torch.__version__}")
