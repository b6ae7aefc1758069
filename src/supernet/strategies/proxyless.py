"""ProxylessNAS by gradients: Cai, Zhu, Han, ICLR 2019, https://arxiv.org/abs/1812.00332; https://github.com/mit-han-lab/proxylessnas

One path is in memory: each choice runs one drawn operation, and the alphas learn by gates that are open or shut (section 3.2).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from torch import nn

from supernet import relaxations
from supernet.errors import InputError, unknown, without_effect
from supernet.layers.base import Supernet
from supernet.mixture import Mix, Mixture, one_hot
from supernet.relaxations import Relaxation
from supernet.settings.quantities import Amount, Betas, Count, Rate, RateOrNone
from supernet.strategies.gradient import Gradient
from supernet.strategies.weights import Weights, cosine, over
from supernet.task import Task

PATHS: dict[str, Relaxation] = {"two": relaxations.two_paths, "full": relaxations.all_paths}


class DrawnPaths(Gradient):
    """What both ways to learn the alphas share: the weights learn under one drawn path a step, the alphas once in five steps.

    The search follows a warm-up of the weights, ``warmup`` (40 of 160 epochs) and its own first epoch; the learning rate falls
    twice, both times to ``lr_min``: from ``warmup_lr`` in the warm-up and from ``lr`` after it. ``warmup_lr`` is 0.05, twice the
    recipe's ``lr``, as in the official code; where ``weights`` have another ``lr``, it is that one, unless it is given too.
    Evaluated is the path that would be derived.
    """

    alike: ClassVar[bool] = False
    recipe: ClassVar[Mapping[str, Any]] = {"lr": 0.025, "lr_min": 0.0, "nesterov": True, "decay": 4e-5, "clip": None}
    has_curvature: ClassVar[bool] = False  # gates are open or shut

    def __init__(
        self,
        supernet: Supernet,
        task: Task,
        relax: Relaxation,
        *,
        weights: Callable[[nn.Module], Weights] | Mapping[str, Any] | None = None,
        warmup: Amount = 0.25,
        warmup_lr: Rate | None = None,
        inner_steps: Count = 5,
        alpha_lr: RateOrNone = 1e-3,
        alpha_betas: Betas = (0.0, 0.999),
        alpha_decay: Amount = 0.0,
        **settings: Any,
    ):
        for name in ("relax_weights", "single_level"):
            if settings.pop(name, None):
                raise InputError(f"the weights learn under one drawn path, the alphas under another draw: this excludes {name}")
        if warmup_lr is not None and (callable(weights) or (weights or {}).get("schedule")):
            raise without_effect("warmup_lr", "the learning rate follows a schedule of its own")
        super().__init__(
            supernet,
            task,
            relax,
            relax_weights=relaxations.draw,
            weights=weights if callable(weights) else self._falling_twice(weights or {}, warmup_lr),
            warmup=warmup,
            inner_steps=inner_steps,
            alpha_lr=alpha_lr,
            alpha_betas=alpha_betas,
            alpha_decay=alpha_decay,
            **settings,
        )

    @property
    def alphas_learn(self) -> bool:
        """Whether the alphas learn in this epoch: not in the first of the search either."""
        return self.done > self.of * self._waits

    @property
    def _waits(self) -> float:
        """The share of the epochs that is warm-up."""
        warmup = self.learning.warmup
        return warmup if warmup < 1 else warmup / self.of

    def _falling_twice(self, given: Mapping[str, Any], warmup_lr: float | None) -> Mapping[str, Any]:
        """Settings of ``Weights`` with the method's schedule, unless ``given`` has one; of an optimiser in it, in shares of its rate."""
        if given.get("schedule"):
            return over(self.recipe, given)
        lr: float = given.get("lr") or self.recipe["lr"]
        first = warmup_lr if warmup_lr is not None else lr if given.get("lr") else 2 * lr
        own = over(self.recipe, {**given, "schedule": lambda done: self._rate(done, first, lr, last) / lr})
        last: float = 0.0 if given.get("optimiser") else own.pop("lr_min", None) or 0.0
        if not 0 < first < math.inf or not 0 <= last < math.inf:
            raise InputError(f"warmup_lr must be above 0 and lr_min at least 0; got {first} and {last}")
        return own

    def _rate(self, done: float, first: float, lr: float, last: float) -> float:
        """Falls to ``last`` twice: in the warm-up from ``first``, after it from ``lr``."""
        if done < self._waits:
            return cosine(first, last, done / self._waits)
        return cosine(lr, last, (done - self._waits) / max(1 - self._waits, 1e-9))

    def evaluate(self, stream: str = "validation") -> dict[str, float]:
        """Loss and metrics of the path that would be derived."""
        return self.task.evaluate(self.supernet, stream, one_hot(self.supernet.space, self.architecture()))


class ProxylessNAS(DrawnPaths):
    """Alphas by the gradients of their gates.

    ``paths``: "two" draws a pair of options per choice, and one of the pair to be on; after the step both alphas are moved so that
    their probability together stays what it was (the paper). "full" draws one of all options, and runs the others for their gates'
    gradients, without graphs (the code's other mode). What is paid for is the cost expected of the pair, or of all options.
    ``zero``: the name of an option that, while it is on, keeps its choice from learning. The official code does so for its
    ``zero``, whose block passes the gates by; the paper has no such exception, and it is not made by default: an update that is
    left out whenever one option is drawn does not have the expectation of the gradient.
    """

    pricing: ClassVar[Mapping[str, Any]] = {"form": "linear", "weight": 0.1}

    def __init__(self, supernet: Supernet, task: Task, *, paths: str = "two", zero: str | None = None, **settings: Any):
        if paths not in PATHS:
            raise unknown("number of paths", paths, PATHS)
        if zero is not None and not any(zero in c.options for c in supernet.space.values()):
            raise without_effect("zero", f"no choice has an option {zero!r}")
        self.paths, self.zero = paths, zero
        super().__init__(supernet, task, PATHS[paths], **settings)

    def priced(self, mixture: Mixture) -> Mixture:
        soft = {n: Mix(relaxations.among(p, mixture[n].runs), mixture[n].runs) for n, p in self.alphas.items()}
        return mixture | soft

    def alpha_step(self, train: Any, validation: Any) -> None:
        mixture, space = self.blended(self.relax), self.supernet.space
        grads = self.slopes(mixture, validation)
        for i, name in enumerate(self.alphas):
            (on,) = set(mixture[name].runs) - set(mixture[name].idle)
            if self.zero is not None and space[name].options[on] == self.zero:
                grads[i] = None
        pairs = {n: mixture[n].runs for n in self.alphas} if self.paths == "two" else {}
        with relaxations.kept_shares(self.alphas, pairs):
            self.alphas.apply(grads, self.task.ranks)
