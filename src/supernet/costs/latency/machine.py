"""What a latency was measured on."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

import torch

from supernet.costs.latency.backends import version

SAME = ("processor", "device", "backend", "backend_version", "threads", "batch")  # what must agree for times to be comparable


def machine(backend: str, *, threads: int = 1, batch: int = 1, device: str = "cpu") -> dict[str, Any]:
    """This machine, as a table stores it."""
    return {
        "processor": processor(device),
        "device": device,
        "backend": backend,
        "backend_version": version(backend),
        "threads": threads,
        "batch": batch,
        "clock": "processor time" if clock(threads, device) is time.thread_time else "wall time",
        "date": datetime.now(timezone.utc).date().isoformat(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "python": platform.python_version(),
    }


def processor(device: str = "cpu") -> str:
    """The name of a device's processor."""
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def clock(threads: int = 1, device: str = "cpu") -> Callable[[], float]:
    """Seconds of the processor that one thread has had, so that other programs' turns do not count; else of the wall clock.

    A call that computes in several threads, or elsewhere than on the CPU, can only be timed by the wall.
    """
    alone = threads == 1 and torch.device(device).type == "cpu"
    return time.thread_time if alone and time.get_clock_info("thread_time").resolution < 1e-6 else time.perf_counter


def differences(measured: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """How two machines differ in what times depend on, one line each; what is not known of one of them does not differ."""
    named = [(name.replace("_", " "), measured.get(name), here.get(name)) for name in SAME]
    return [f"{name}: {there} in the table, {now} here" for name, there, now in named if None not in (there, now) and there != now]
