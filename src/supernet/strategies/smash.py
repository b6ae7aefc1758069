"""SMASH: Brock et al. 2018, https://arxiv.org/abs/1708.05344; numbers of https://github.com/ajbrock/SMASH

A hypernetwork makes weights from what an architecture says. It learns by architectures that are drawn uniformly, one a batch; a searcher
picks one afterwards, by default ``perturbation``, that of the official code, by the weights that are made for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import torch
from torch import nn

from supernet.errors import InputError, without_effect
from supernet.layers.base import Supernet, searchable
from supernet.settings.quantities import Amount, Positive, Rate, RateOrNone
from supernet.strategies.lessons import uniform
from supernet.strategies.one_shot import Objective, OneShot, taught
from supernet.strategies.weights import Weights, check
from supernet.task import Task

BETAS, EPS = (0.5, 0.999), 1e-4


def adam(
    model: nn.Module,
    *,
    lr: Rate = 1e-3,
    lr_min: RateOrNone = 0.0,
    decay: Amount = 1e-4,
    clip: Positive | None = None,
    **settings: Any,
) -> Weights:
    """Adam, under which weights that make others do not decay; ``settings``: of ``Weights``. Raises ``InputError`` as that does."""
    for name in ("momentum", "nesterov", "optimiser"):
        if settings.get(name) is not None:
            raise without_effect(name, "the weights learn by Adam; for another optimiser let weights be a function of the model")
    check({**Weights.usual, "lr": lr, "lr_min": lr_min, "decay": decay}, clip, 1)
    making = {id(p) for layer in searchable(model) if layer.generates for p in layer.parameters()}

    def make(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        held = list(parameters)
        groups = [{"params": [p for p in held if id(p) not in making], "weight_decay": decay}]
        groups.append({"params": [p for p in held if id(p) in making], "weight_decay": 0.0})
        return torch.optim.Adam(groups, lr, BETAS, EPS)

    last: dict[str, Any] = {} if settings.get("schedule") else {"lr_min": lr_min}
    return Weights(model, optimiser=make, clip=clip, **last, **settings)


class SMASH(OneShot):
    """One-shot training of a supernet whose weights are generated, by Adam at a rate that falls to 0 by a cosine; for batches of 50.

    ``objective``, ``weights``, ``seed``: as of ``OneShot``. Raises ``InputError`` for a supernet that generates no weights.
    """

    searched_by: ClassVar[str] = "perturbation"
    needs: ClassVar[Mapping[str, Any]] = {**OneShot.needs, "generated": True}
    trainer: ClassVar[Callable[..., Weights]] = staticmethod(adam)
    recipe: ClassVar[Mapping[str, Any]] = {"lr": 1e-3, "lr_min": 0.0, "decay": 1e-4, "clip": None}

    def __init__(
        self,
        supernet: Supernet,
        task: Task,
        *,
        objective: Objective = taught,
        weights: Callable[[nn.Module], Weights] | Mapping[str, Any] | None = None,
        seed: int = 0,
    ):
        if not any(layer.generates for layer in supernet.layers):
            raise InputError("smash needs a supernet that makes weights of its own: search the space smash, with supernet.generated=true")
        super().__init__(supernet, task, lessons=uniform, objective=objective, weights=weights, seed=seed)
