"""One-Shot with path dropout: Bender et al. 2018, section 3.2, https://proceedings.mlr.press/v80/bender18a.html; no code was released

All options run at once, added up, and ever more of them are dropped, so that what is left learns to do without the others; a
searcher picks an architecture afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from supernet.layers.base import Supernet
from supernet.mixture import Mixture
from supernet.settings.quantities import Count, Part
from supernet.strategies.lessons import path_dropout
from supernet.strategies.one_shot import Objective, OneShot, taught
from supernet.strategies.weights import Weights
from supernet.task import Task
from supernet.tree import mapped, tensors


class PathDropout(OneShot):
    """One blend a step, of which each of k options of a choice is dropped with probability ``(rate * progress) ** (1 / k)``.

    ``rate``: how probable it is at the end that all options of a choice are dropped; it grows linearly. ``ghost``: about how many
    examples the batch norms take their statistics of: a batch is run in equal parts of that size (Hoffer et al. 2017, Ghost Batch
    Normalization, https://arxiv.org/abs/1705.08741). Weights that did not run in a step do not decay in it.
    ``objective``, ``weights``, ``seed``: as of ``OneShot``.
    """

    recipe: ClassVar[Mapping[str, Any]] = {"lr": 0.05, "lr_min": 0.0, "decay": 4e-5}

    def __init__(
        self,
        supernet: Supernet,
        task: Task,
        *,
        rate: Part = 0.05,
        ghost: Count = 32,
        objective: Objective = taught,
        weights: Callable[[nn.Module], Weights] | Mapping[str, Any] | None = None,
        seed: int = 0,
    ):
        self.ghost, lessons = ghost, partial(path_dropout, rate=rate)
        super().__init__(supernet, task, lessons=lessons, objective=objective, weights=weights, seed=seed)

    def outputs(self, mixture: Mixture, batch: Any, target: Any) -> Any:
        return self.task.predict(partial(in_parts, partial(self.supernet, mixture), self.ghost), batch)


def in_parts(network: Callable[..., Any], size: int, *inputs: Any, **named: Any) -> Any:
    """What ``network`` gives for inputs (B, ...), however nested, run in equal parts of ``size`` examples or a little more.

    Inputs that are not all of one length, as those of recurrent networks, are run whole.
    """
    lengths = {len(x) if x.dim() else 0 for x in tensors((inputs, named))}
    parts = lengths.pop() // size if len(lengths) == 1 else 1
    if parts < 2:
        return network(*inputs, **named)
    outputs = []
    for i in range(parts):
        own, own_named = mapped(partial(part_of, i, parts), (inputs, named))
        outputs.append(network(*own, **own_named))
    return mapped(lambda *found: torch.cat(found), *outputs)


def part_of(i: int, parts: int, value: Any) -> Any:
    """Part ``i`` of a tensor (B, ...); anything else as it is."""
    return value.tensor_split(parts)[i] if isinstance(value, Tensor) else value
