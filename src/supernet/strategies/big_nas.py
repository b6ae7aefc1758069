"""BigNAS: Yu et al. 2020, section 3.1, https://arxiv.org/abs/2003.11142

Networks of all sizes are trained in one stage, to be used with the shared weights as they are: by the sandwich rule with distillation in
place, regularised in the largest alone, at a rate that falls exponentially and then stays. No code was released. What the paper says of
the initialisation (the last norm of a residual block begins at zero) is a matter of the space.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

from torch import nn

from supernet.strategies.rms_prop import rms_prop
from supernet.strategies.sandwiched import Sandwiched
from supernet.strategies.weights import Schedule, Weights

ENDING = 0.05  # share of the first rate at which the rate stays
FALLS = 2 / 3  # share of the training after which it is there; our own number


def constant_ending(done: float) -> float:
    """Share of the training -> factor of the learning rate: an exponential fall to ``ENDING``, where it stays."""
    return float(ENDING ** min(done / FALLS, 1.0))


def falling(model: nn.Module, *, schedule: Schedule = constant_ending, **settings: Annotated[Any, rms_prop]) -> Weights:
    """RMSProp whose rate falls by ``constant_ending``; ``settings``: of ``rms_prop``."""
    return rms_prop(model, schedule=schedule, **settings)


class BigNAS(Sandwiched):
    """The sandwich rule, trained by RMSProp; the recipe's rate of 0.256 is for batches of 4,096 images."""

    trainer: ClassVar[Callable[..., Weights]] = staticmethod(falling)
    recipe: ClassVar[Mapping[str, Any]] = {"lr": 0.256, "momentum": 0.9, "decay": 1e-5}
