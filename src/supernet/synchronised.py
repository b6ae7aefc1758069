"""Batch norms whose statistics are those of all ranks together: of plain ones, and of every layer that calls ``F.batch_norm``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

SIGNATURE = inspect.signature(F.batch_norm)


class Synchronised(TorchFunctionMode):
    """While it lasts, a batch norm that uses batch statistics uses those of all ranks, where gradients are asked for.

    Without gradients, as in evaluation, ranks run different numbers of batches, and each uses its own. ``total``: sums a tensor over the
    ranks, differentiably; ``ranks``: how many there are.
    """

    def __init__(self, total: Callable[[Tensor], Tensor], ranks: int):
        super().__init__()
        self.total, self.ranks = total, ranks

    def __torch_function__(self, func: Any, types: Sequence[Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        if func is F.batch_norm and torch.is_grad_enabled():
            given = SIGNATURE.bind(*args, **(kwargs or {}))
            given.apply_defaults()
            if given.arguments.pop("training"):
                return self.normalised(**given.arguments)
        return func(*args, **(kwargs or {}))

    def normalised(
        self,
        input: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None,
        bias: Tensor | None,
        momentum: float,
        eps: float,
    ) -> Tensor:
        """``input`` (B, C, ...) by the mean and the variance of each channel over all ranks; running statistics follow these."""
        x, over = input.float() if input.dtype in (torch.bfloat16, torch.float16) else input, [0, *range(2, input.dim())]
        shape = [1, -1, *[1] * (input.dim() - 2)]
        n = self.ranks * x.numel() // x.shape[1]  # every rank has equally many
        mean = self.total(x.sum(over)) / n
        centred = x - mean.view(shape)
        var = self.total(centred.square().sum(over)) / n
        if running_mean is not None and running_var is not None:
            with torch.no_grad():
                running_mean.lerp_(mean.to(running_mean.dtype), momentum)
                running_var.lerp_((var * (n / max(n - 1, 1))).to(running_var.dtype), momentum)
        out = centred * (var + eps).rsqrt().view(shape)
        out = out if weight is None else out * weight.view(shape)
        out = out if bias is None else out + bias.view(shape)
        return out.to(input.dtype)
