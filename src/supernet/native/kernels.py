"""Kernels for the CPU, compiled on the machine that they run on. Everything works without them, in PyTorch alone, and gives the same.

The sources are beside this file. ``use("native")`` compiles them once, by ``torch.utils.cpp_extension``, which needs a C++ compiler and
ninja (``pip install supernet[native]``); PyTorch keeps what was built.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from functools import cache
from math import prod
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from supernet.errors import InputError

Kernels = Literal["native", "torch"]
SOURCES = ("depthwise.cpp", "mix.cpp")
FLAGS = ("-O3", "-march=native", "-fopenmp", "-ffp-contract=fast")

PLAIN = (Tensor, nn.Parameter)
Shape = Sequence[int]
TYPES = (torch.float32, torch.float64)

_used: Kernels = "torch"


def used() -> Kernels:
    """Which kernels this process uses."""
    return _used


def use(kernels: Kernels) -> None:
    """Use the native kernels in this process from here on, or PyTorch's alone; compiles them where that was not done before.

    Raises ``InputError`` where they cannot be compiled, and says what is missing.
    """
    global _used
    if kernels == "native":
        _load()
    _used = kernels


def kernels() -> Any:
    """The compiled functions."""
    return torch.ops.supernet


def fits(*tensors: Tensor) -> bool:
    """Whether the kernels are used, and have such tensors: plain ones on the CPU, all in single or all in double precision."""
    if _used != "native" or torch.is_autocast_enabled("cpu"):
        return False
    dtype = tensors[0].dtype
    return dtype in TYPES and all(x.dtype == dtype and x.device.type == "cpu" and type(x) in PLAIN for x in tensors)


def missing() -> str | None:
    """What the kernels need and this machine lacks, in words; None: nothing."""
    if _path_of_ninja() is None:
        return "ninja is missing: pip install supernet[native]"
    if shutil.which("c++") is None and shutil.which("g++") is None and shutil.which("clang++") is None:
        return "a C++ compiler is missing, such as g++"
    return None


def _path_of_ninja() -> Path | None:
    """The folder of the program ninja, which may be that of this Python's programs."""
    found = shutil.which("ninja") or shutil.which("ninja", path=str(Path(sys.executable).parent))
    return Path(found).parent if found else None


@cache
def _load() -> None:
    if (lack := missing()) is not None:
        raise InputError(f"the native kernels cannot be compiled: {lack}; or take kernels=torch")
    from torch.utils.cpp_extension import load  # slow to import
    from torch.utils.flop_counter import register_flop_formula

    path = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join([path, str(_path_of_ninja())])  # a virtual environment that is not activated has it elsewhere
    sources = [str(Path(__file__).parent / name) for name in SOURCES]
    try:
        load("supernet_native", sources, extra_cflags=list(FLAGS), is_python_module=False)
    except (OSError, RuntimeError) as error:
        raise InputError(f"the native kernels cannot be compiled: {str(error).splitlines()[0]}; or take kernels=torch") from error
    finally:
        os.environ["PATH"] = path
    register_flop_formula(kernels().depthwise)(_flops)  # what counts operations by their names knows PyTorch's own only
    register_flop_formula(kernels().depthwise_backward)(_flops_backward)


def _flops(x: Shape, weight: Shape, *_: Any, out_shape: Shape, **__: Any) -> int:
    return 2 * prod(out_shape) * prod(weight[1:])


def _flops_backward(up: Shape, x: Shape, weight: Shape, *how: Any, **_: Any) -> int:
    of_x, of_weight = how[-2:]
    return 2 * (int(of_x) + int(of_weight)) * prod(up) * prod(weight[1:])
