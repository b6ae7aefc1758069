"""What every test may use."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

import supernet
from supernet.plan.retrain import RetrainPlan
from supernet.plan.search import SearchPlan

torch.set_num_threads(1)


def pytest_collection_finish() -> None:
    """Spare garbage collections what was imported and collected: it stays, and they would look through it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def double() -> Iterator[None]:
    """Everything made in the test is float64."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def untold(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dry run takes no steps to tell memory and time by; tests/workflow/test_ahead.py is of these."""
    for kind in (SearchPlan, RetrainPlan):
        monkeypatch.setattr(kind, "ahead", lambda self: None)


@pytest.fixture
def cli(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs ``supernet`` with arguments in a process of its own, in an empty folder."""

    def call(*arguments: object, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "supernet", *map(str, arguments)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(supernet.__file__).parents[1])}
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, cwd=tmp_path, env=environment)

    return call
