"""Networks as graphs that PyTorch's compiler makes, where that is asked for (``kernels.use("compiled")``); on CUDA, CUDA graphs.

A graph is of one sequence of operations. So what runs compiled is training under blends that run every option, as that of ``darts``,
and that of a plain network; whatever draws what it runs, and every evaluation, runs as it is.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from supernet.native import kernels


def asked() -> bool:
    """Whether this process runs graphs where it can."""
    return kernels.used() == "compiled"


class Graph:
    """What the compiler makes of a module, when that is first called. A copy of it, or of what holds it, has nothing of that."""

    def __init__(self) -> None:
        self.made: Any = None

    def __call__(self, module: nn.Module, alike: bool, *inputs: Any, **named: Any) -> Any:
        """``module(*inputs)``; ``alike``: whether what it does is the same in every step of a training."""
        if not (asked() and alike and module.training and torch.is_grad_enabled()):
            return module(*inputs, **named)
        if self.made is None:
            mode = "reduce-overhead" if next(module.parameters()).device.type == "cuda" else None
            self.made = torch.compile(module, mode=mode, dynamic=False)
        return self.made(*inputs, **named)

    def __reduce__(self) -> tuple[type[Graph], tuple[()]]:
        return Graph, ()


def uncompiled() -> AbstractContextManager[Any]:
    """Nothing runs compiled meanwhile: graphs have no second derivatives, and are of one set of weights."""
    stance: AbstractContextManager[Any] = torch.compiler.set_stance("force_eager")
    return stance


class Chance(nn.Module):
    """A module with a probability ``p`` that whoever trains sets. A graph reads it as a tensor, so that another ``p`` is no other graph."""

    __jit_unused_properties__ = ("p",)
    chance: Tensor

    @property
    def p(self) -> float:
        """The probability, from 0 to 1."""
        return self._p

    @p.setter
    def p(self, p: float) -> None:
        self._p = p
        if "chance" in self._buffers:
            self.chance.fill_(p)
        else:
            self.register_buffer("chance", torch.tensor(float(p)), persistent=False)

    def thinned(self, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        """``x``, in a graph, times a draw of this shape: 0 with the probability, else as much as keeps the mean."""
        kept = torch.rand(shape, device=x.device) >= self.chance
        return x * kept / (1 - self.chance).clamp(min=1e-12).to(x.dtype)
