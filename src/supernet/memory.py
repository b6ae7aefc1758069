"""How much memory there is here, how much this process may hold, and how much it has held."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from contextlib import suppress
from pathlib import Path

import torch

MEGABYTE = 2**20
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of a container on Linux


def memory() -> int:
    """The bytes that may be in memory here: those of the machine, or of the container; 64 GB where neither says."""
    found = [64 * 2**30]
    with suppress(AttributeError, OSError, ValueError):
        found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for limit in LIMITS:
        with suppress(OSError, ValueError):
            found.append(int(Path(limit).read_text()))
    return min(found)


def room(device: torch.device | str = "cpu") -> float:
    """The MB that this process may hold: on a device of CUDA what it has there and what is free, else of the computer's memory."""
    kind = torch.device(device)
    if kind.type == "cuda":
        return (torch.cuda.mem_get_info(kind)[0] + torch.cuda.memory_reserved(kind)) / MEGABYTE
    found = [memory()]
    own, whole = _told_in("/proc/self/status"), _told_in("/proc/meminfo")
    if "VmRSS" in own:
        found += [whole["MemAvailable"] + own["VmRSS"]] if "MemAvailable" in whole else []
        found += [most - own["VmSize"] + own["VmRSS"]] if (most := _most()) > 0 else []
    return max(min(found), 0) / MEGABYTE


def _most() -> int:
    """The bytes that ``ulimit -v`` grants; negative where that is any number, or not known."""
    try:
        import resource
    except ImportError:  # Windows
        return -1
    return resource.getrlimit(resource.RLIMIT_AS)[0]


def _told_in(path: str) -> dict[str, int]:
    """The bytes that a file of Linux says by name, as in ``VmRSS:  1234 kB``; none elsewhere."""
    with suppress(OSError):
        words = (line.split() for line in Path(path).read_text().splitlines())
        return {line[0].rstrip(":"): int(line[1]) * 1024 for line in words if line[-1:] == ["kB"]}
    return {}


def peak_memory(device: torch.device | str = "cpu") -> float:
    """The largest memory that this process has held, in MB: on ``device`` where that keeps count, else of the computer."""
    kind = torch.device(device)
    counted = None if kind.type in ("cpu", "meta") else getattr(torch.get_device_module(kind), "max_memory_allocated", None)
    if counted is not None:
        return float(counted(kind)) / MEGABYTE
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MEGABYTE


def forget_peak(device: torch.device | str = "cpu") -> None:
    """Give what nobody holds back to the system, and count ``peak_memory`` from now on; a computer other than Linux counts on."""
    gc.collect()
    kind = torch.device(device)
    if kind.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(kind)
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)  # of the GNU library, which keeps what was freed
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # see proc(5)
