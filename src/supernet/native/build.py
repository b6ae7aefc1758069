"""Compile the native kernels, once for each version of them, of PyTorch and of the processor, into the user's cache."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from hashlib import sha256
from pathlib import Path

import torch
from filelock import FileLock

from supernet.errors import InputError
from supernet.files.whole import sync, write_whole

FOLDER = Path(__file__).parent
SOURCES = ("mix.cpp", "convolutions.cpp", "taps.cpp")
HEADERS = ("taps.h", "matrices.h", "lanes.h")
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
    """The compiled kernels; compiles them, with a line on standard error, where they are not there whole.

    Raises ``InputError`` where they cannot be compiled, and says why.
    """
    folder = _cache() / _version()
    made = folder / f"{NAME}.so"
    try:
        if not _whole(made):
            folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(folder.with_suffix(".lock")):  # of the system, which gives it up for a process that was killed
                if not _whole(made):
                    _compile(made)
    except (OSError, RuntimeError) as error:
        raise InputError(f"the native kernels cannot be compiled: {str(error).splitlines()[0]}; or take kernels=torch") from error
    return made


def _compile(made: Path) -> None:
    """Compile the kernels into a folder of their own, from nothing: what is there may be what a crash left. Raises ``InputError``."""
    if (lack := missing()) is not None:
        raise InputError(f"the native kernels cannot be compiled: {lack}; or take kernels=torch")
    from torch.utils import cpp_extension  # slow to import

    print("compiling the native kernels for this processor, once: about a minute", file=sys.stderr)
    path, folder = os.environ.get("PATH", ""), made.parent
    os.environ["PATH"] = os.pathsep.join([path, str(_folder_of_ninja())])  # a virtual environment that is not activated has it elsewhere
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        sources = [str(FOLDER / name) for name in SOURCES]
        cpp_extension.load(NAME, sources, extra_cflags=list(FLAGS), build_directory=str(folder), is_python_module=False)
        sync(made)
        write_whole(_digest_of(made), sha256(made.read_bytes()).hexdigest())
    finally:
        os.environ["PATH"] = path


def _whole(made: Path) -> bool:
    """Whether the kernels are there as they were compiled: a loss of power may have cut them short, and they would crash this process."""
    digest = _digest_of(made)
    return made.exists() and digest.exists() and digest.read_bytes() == sha256(made.read_bytes()).hexdigest().encode()


def _digest_of(made: Path) -> Path:
    return made.with_suffix(".sha256")


def _version() -> str:
    """Of all that decides what is compiled: a cache may be shared by machines whose processors differ."""
    parts = [(FOLDER / name).read_text() for name in (*SOURCES, *HEADERS)]
    return sha256("\n".join([*parts, *FLAGS, torch.__version__, platform.python_version(), _processor()]).encode()).hexdigest()[:16]


def _processor() -> str:
    """Its name and what instructions it has."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.processor()} {platform.machine()}"
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))}))


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "supernet" / "kernels"


def _folder_of_ninja() -> Path | None:
    """Where the program ninja is; it may be among this Python's own programs."""
    found = shutil.which("ninja") or shutil.which("ninja", path=str(Path(sys.executable).parent))
    return Path(found).parent if found else None
