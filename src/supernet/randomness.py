"""The random states that a process has once: Python's, numpy's, PyTorch's of the CPU and of devices."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy
import torch


def random_states() -> dict[str, Any]:
    """Every global random state, as tensors and plain data; of devices, those that this process uses."""
    version, internal, gauss = random.getstate()
    _, keys, *rest = numpy.random.get_state()
    states: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "python": [version, list(internal), gauss],
        "numpy": [torch.from_numpy(numpy.asarray(keys).astype("int64")), *rest],
    }
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        states["cuda"] = torch.cuda.get_rng_state_all()
    if torch.backends.mps.is_available():
        states["mps"] = torch.mps.get_rng_state()
    return states


def set_random_states(states: Mapping[str, Any]) -> None:
    """Set what ``random_states`` gave, on the devices that are here."""
    torch.set_rng_state(states["torch"].cpu())
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    keys, *rest = states["numpy"]
    numpy.random.set_state(("MT19937", keys.cpu().numpy().astype("uint32"), *rest))
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([s.cpu() for s in states["cuda"][: torch.cuda.device_count()]])
    if "mps" in states and torch.backends.mps.is_available():
        torch.mps.set_rng_state(states["mps"].cpu())


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and torch."""
    random.seed(seed)
    numpy.random.seed(seed % 2**32)
    torch.manual_seed(seed)


@contextmanager
def drawing_apart(device: torch.device | str = "cpu") -> Iterator[None]:
    """What is drawn meanwhile from PyTorch's states, of the CPU and of ``device``, is not missed afterwards: both are put back."""
    kind = torch.device(device)
    module = None if kind.type in ("cpu", "meta") else torch.get_device_module(kind)
    where = () if kind.type == "mps" else (kind,)  # which has one device
    own, there = torch.get_rng_state(), module.get_rng_state(*where) if module else None
    try:
        yield
    finally:
        torch.set_rng_state(own)
        if module:
            module.set_rng_state(there, *where)
