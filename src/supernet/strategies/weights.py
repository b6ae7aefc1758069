"""How weights are trained: one optimiser, its schedule, clipping and accumulation. Every strategy has one of these."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from supernet.errors import InputError, refuse_unknown, without_effect
from supernet.ranks import ALONE, Ranks
from supernet.settings.given import keywords
from supernet.settings.quantities import Amount, Count, Part, Positive, Rate, RateOrNone
from supernet.strategies.scaling import Scaling
from supernet.task import Task

Schedule = Callable[[float], float]  # progress in [0, 1) -> factor of the learning rate


def cosine(first: float, last: float, done: float) -> float:
    """From ``first`` to ``last`` along half a cosine, at ``done`` in [0, 1]. Loshchilov, Hutter 2017, https://arxiv.org/abs/1608.03983"""
    return last + (first - last) * (1 + math.cos(math.pi * done)) / 2


def over(recipe: Mapping[str, Any], given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Settings of ``Weights``: ``given`` over those of a ``recipe`` that an optimiser or a schedule in it leaves any effect.

    Raises ``InputError`` for a name that ``Weights`` does not have.
    """
    own = given or {}
    refuse_unknown("setting of weights", own, keywords(Weights))
    replaced = {*(Weights.usual if own.get("optimiser") else ()), *(("lr_min",) if own.get("schedule") else ())}
    return {**{name: value for name, value in recipe.items() if name not in replaced}, **own}


class Weights:
    """SGD with momentum, or ``optimiser(parameters)``; the learning rate falls by a cosine from ``lr`` to ``lr_min``.

    The rate of epoch e of E is ``lr_min + (lr - lr_min) (1 + cos(pi e / E)) / 2``, so that the first epoch has ``lr``.
    ``schedule(e / E)``: another factor of ``lr`` instead, or of the optimiser's rate.
    ``clip``: the largest norm of all gradients together; None: no clipping. ``accumulate``: batches per step.
    ``lr``, ``lr_min``, ``momentum``, ``nesterov`` and ``decay`` are ``usual`` where they are not given; with an optimiser of one's own
    the rate falls to 1/25 of its own, or to ``lr_min`` where that is given.
    Raises ``InputError`` for values out of range, and for what an optimiser or a schedule of one's own leaves without effect.
    """

    usual: ClassVar[Mapping[str, Any]] = {"lr": 0.025, "lr_min": 0.001, "momentum": 0.9, "nesterov": False, "decay": 3e-4}

    def __init__(
        self,
        model: nn.Module,
        *,
        lr: Rate | None = None,
        lr_min: RateOrNone | None = None,
        momentum: Part | None = None,
        nesterov: bool | None = None,
        decay: Amount | None = None,
        clip: Positive | None = 5.0,
        accumulate: Count = 1,
        schedule: Schedule | None = None,
        optimiser: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer] | None = None,
    ):
        given = {"lr": lr, "lr_min": lr_min, "momentum": momentum, "nesterov": nesterov, "decay": decay}
        given = {name: value for name, value in given.items() if value is not None}
        if optimiser is not None and (idle := next((name for name in given if name != "lr_min"), None)):
            raise without_effect(idle, "the weights have an optimiser of their own")
        if schedule is not None and lr_min is not None:
            raise without_effect("lr_min", "the learning rate follows a schedule of its own, not the cosine that ends there")
        how = {**self.usual, **given}
        check(how, clip, accumulate)
        self.model, self.parameters = model, [p for p in model.parameters() if p.requires_grad]
        if not self.parameters:
            why = "all of its parameters are frozen" if any(True for _ in model.parameters()) else "it has no parameters"
            raise InputError(f"the network has no weights to train: {why}; leave requires_grad=True on those that are to learn")
        if optimiser is None:
            own = {"weight_decay": how["decay"], "nesterov": how["nesterov"], "foreach": True}  # the same bits, with a call for all
            self.optimiser: torch.optim.Optimizer = torch.optim.SGD(self.parameters, how["lr"], how["momentum"], **own)
        else:
            self.optimiser = optimiser(self.parameters)
        self.clip, self.accumulate, self.scaling = clip, accumulate, Scaling()
        self.full = [float(g["lr"]) for g in self.optimiser.param_groups]
        last = how["lr_min"] / (how["lr"] if lr_min is None else self.full[0])  # of an optimiser of one's own: the usual share
        self.schedule = schedule or partial(cosine, 1.0, last)

    def scaled_for(self, task: Task) -> Weights:
        """These, by losses that are scaled where the task's precision asks for it."""
        self.scaling = Scaling(task.autocast, task.device)
        return self

    @property
    def lr(self) -> float:
        """The present learning rate."""
        return float(self.optimiser.param_groups[0]["lr"])

    def epoch(self, done: float, of: float) -> None:
        """Set the learning rate of epoch ``done``."""
        for group, full in zip(self.optimiser.param_groups, self.full, strict=True):
            group["lr"] = full * self.schedule(min(done / max(of, 1), 1.0))

    def step(self, losses: Iterable[Tensor], ranks: Ranks = ALONE) -> None:
        """One step by the sum of ``losses`` over ``accumulate``; each is made, and freed, before the next.

        A loss that no trained weight takes part in, as of a path that is frozen, changes nothing.
        """
        self.optimiser.zero_grad()
        for loss in losses:
            if loss.requires_grad:
                self.scaling.scaled(loss / self.accumulate).backward()  # type: ignore[no-untyped-call]
        self.scaling.unscale([p.grad for p in self.parameters if p.grad is not None])
        self.update(ranks)

    def apply(self, grads: Sequence[Tensor | None], ranks: Ranks = ALONE) -> None:
        """One step by given gradients."""
        for p, g in zip(self.parameters, grads, strict=True):
            p.grad = g
        self.update(ranks)

    def update(self, ranks: Ranks = ALONE) -> None:
        """Average the gradients that exist and the batch statistics over the ranks, clip, step."""
        have = [p for p in self.parameters if p.grad is not None]
        gradients = [p.grad for p in have if p.grad is not None]
        ranks.mean(gradients)
        ranks.settle(self.model)
        self.scaling.settle(gradients)
        if self.clip is not None:
            nn.utils.clip_grad_norm_(have, self.clip)
        self.optimiser.step()

    def state_dict(self) -> dict[str, Any]:
        scaling = self.scaling.state_dict()
        return {**self.optimiser.state_dict(), **({"scaling": scaling} if scaling else {})}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimiser.load_state_dict(state)
        self.scaling.load_state_dict(state.get("scaling", {}))


def matrices_decay(model: nn.Module, **settings: Any) -> Weights:
    """``Weights`` whose decay leaves biases and batch norms out; ``settings``: of ``Weights``. An optimiser of one's own stays as it is."""
    made = Weights(model, **settings)
    if settings.get("optimiser") is None:
        group = made.optimiser.param_groups[0]
        parts = [[p for p in group["params"] if (p.dim() < 2) == small] for small in (False, True)]
        group["params"] = parts[0]
        made.optimiser.add_param_group({"params": parts[1], "lr": group["lr"], "weight_decay": 0.0})
        made.full = [group["lr"]] * 2
    return made


def check(how: Mapping[str, Any], clip: float | None, accumulate: int) -> None:
    """Refuse what SGD cannot use or what could not train; not a number is out of every range."""
    if not 0 < how["lr"] < math.inf or not 0 <= how["lr_min"] < math.inf:
        raise InputError(f"a learning rate must be above 0, lr_min at least 0; got lr {how['lr']} and lr_min {how['lr_min']}")
    if not 0 <= how["momentum"] < 1 or not 0 <= how["decay"] < math.inf:
        raise InputError(f"momentum must be at least 0 and below 1, decay at least 0; got {how['momentum']} and {how['decay']}")
    if how["nesterov"] and not how["momentum"]:
        raise InputError("nesterov looks ahead by the momentum: set nesterov to false where momentum is 0")
    if clip is not None and not clip > 0:
        raise InputError(f"clip must be above 0, or none: not clipped; got {clip}")
    if accumulate < 1:
        raise InputError(f"accumulate must be at least 1; got {accumulate}")
