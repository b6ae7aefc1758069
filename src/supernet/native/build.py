"""Compile the native kernels, once for each version of them, of PyTorch and of the processor, into the user's cache."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from hashlib import sha256
from pathlib import Path

import torch

from supernet.errors import InputError

FOLDER = Path(__file__).parent
SOURCES = ("depthwise.cpp", "mix.cpp")
FLAGS = ("-O3", "-march=native", "-fopenmp", "-ffp-contract=fast")
NAME = "supernet_native"


def missing() -> str | None:
    """What compiling needs and this machine lacks, in words; None: nothing."""
    if _folder_of_ninja() is None:
        return "ninja is missing: pip install supernet[native]"
    if shutil.which("c++") is None and shutil.which("g++") is None and shutil.which("clang++") is None:
        return "a C++ compiler is missing, such as g++"
    return None


def library() -> Path:
    """The compiled kernels; compiles them, with a line on standard error, where they are not there.

    Raises ``InputError`` where they cannot be compiled, and says why.
    """
    folder = _cache() / _version()
    made = folder / f"{NAME}.so"
    if made.exists():
        return made
    if (lack := missing()) is not None:
        raise InputError(f"the native kernels cannot be compiled: {lack}; or take kernels=torch")
    from torch.utils.cpp_extension import load  # slow to import

    print("compiling the native kernels for this processor, once: about a minute", file=sys.stderr)
    path = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join([path, str(_folder_of_ninja())])  # a virtual environment that is not activated has it elsewhere
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sources = [str(FOLDER / name) for name in SOURCES]
        load(NAME, sources, extra_cflags=list(FLAGS), build_directory=str(folder), is_python_module=False)
    except (OSError, RuntimeError) as error:
        raise InputError(f"the native kernels cannot be compiled: {str(error).splitlines()[0]}; or take kernels=torch") from error
    finally:
        os.environ["PATH"] = path
    return made


def _version() -> str:
    """Of all that decides what is compiled: a cache may be shared by machines whose processors differ."""
    parts = [(FOLDER / name).read_text() for name in (*SOURCES, "lanes.h")]
    return sha256("\n".join([*parts, *FLAGS, torch.__version__, platform.python_version(), _processor()]).encode()).hexdigest()[:16]


def _processor() -> str:
    """Its name and what instructions it has."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.processor()} {platform.machine()}"
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))}))


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "supernet" / "native"


def _folder_of_ninja() -> Path | None:
    """Where the program ninja is; it may be among this Python's own programs."""
    found = shutil.which("ninja") or shutil.which("ninja", path=str(Path(sys.executable).parent))
    return Path(found).parent if found else None
