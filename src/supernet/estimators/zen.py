"""Score an untrained network by how far a small change of its inputs changes its last features: the Zen-score.

Lin et al. 2021 (Zen-NAS), section 4 and algorithm 1, https://arxiv.org/abs/2102.01063; https://github.com/idstcv/ZenNAS
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from supernet.estimators.untrained import EXAMPLES, WEIGHTED, Untrained, numbers
from supernet.modules.modes import by_batch
from supernet.space import Architecture
from supernet.task import Task
from supernet.tree import tensors

CHANGE = 0.01  # how much of another input is mixed into an input
POOLS = (F.adaptive_avg_pool2d, F.adaptive_avg_pool1d, F.adaptive_avg_pool3d)


class Zen(Untrained):
    """(architecture, fidelity) -> {"zen": log of how far the features move, plus the logs of what batch norms divide by}.

    Weights and inputs are Gaussian, and no data are read but the shape of a batch. The features are what the last global average pooling
    gets, or the outputs of a network without one; batch norms take the statistics of the batch, and what each divides by, the root of the
    mean variance of its channels, is multiplied back, as algorithm 1 has it. The authors' code takes a running average of it instead, and
    leaves residual links out, where here networks are as they are built. A norm of constants divides by nothing and does not count.
    A network whose features do not move has minus infinity.
    Raises ``InputError`` where the networks read no numbers but, such as a language model, tokens.
    """

    name: ClassVar = "zen"

    def __init__(self, build: Callable[[Architecture], nn.Module], task: Task, *, seed: int = 0):
        super().__init__(build, task, seed=seed)
        draw = torch.Generator().manual_seed(seed)
        shapes = [x.shape for x in numbers(self.name, task, EXAMPLES)]
        self.inputs = [torch.randn(shape, generator=draw).to(task.device) for shape in shapes]
        self.changed = [x + CHANGE * torch.randn(x.shape, generator=draw).to(task.device) for x in self.inputs]

    @torch.no_grad()
    def score(self, model: nn.Module) -> float:
        for layer in model.modules():
            if isinstance(layer, WEIGHTED):
                nn.init.normal_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        with by_batch(model):
            with Divisors(model) as divisors:
                first = features(model, self.inputs)
            second = features(model, self.changed)
        moved = sum(float((a - b).abs().flatten(1).sum(1).mean()) for a, b in zip(first, second, strict=True))
        return (math.log(moved) if moved else -math.inf) + sum(map(math.log, divisors))


class Divisors(list[float]):
    """What every batch norm of a model divides by in the passes meanwhile: the root of the mean variance of its channels, in order."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.norms = [norm for norm in model.modules() if isinstance(norm, nn.modules.batchnorm._BatchNorm)]

    def __enter__(self) -> Divisors:
        self.handles = [norm.register_forward_pre_hook(self.note) for norm in self.norms]
        return self

    def __exit__(self, *reason: object) -> None:
        for handle in self.handles:
            handle.remove()

    def note(self, norm: nn.Module, inputs: tuple[Tensor]) -> None:
        variance = float(inputs[0].transpose(0, 1).flatten(1).var(1, correction=0).mean())
        if variance > 0:
            self.append(math.sqrt(variance))


class Pooled(TorchFunctionMode):
    """Notes what the last global average pooling gets: ``features``, one tensor (N, C, ...), or none."""

    features: tuple[Tensor, ...] = ()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func in POOLS or func in (torch.mean, Tensor.mean):
            x = args[0]
            if x.dim() > 2 and out.shape[:2] == x.shape[:2] and out.numel() == x.shape[0] * x.shape[1]:
                self.features = (x.clone(),)
        return out


def features(model: nn.Module, inputs: list[Tensor]) -> list[Tensor]:
    """What the last global average pooling of a model gets, or its outputs where it has none."""
    with Pooled() as pooled:
        outputs = model(*(x.clone() for x in inputs))
    return [*pooled.features] or tensors(outputs)
