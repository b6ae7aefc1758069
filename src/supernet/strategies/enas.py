"""ENAS: Pham et al. 2018, https://arxiv.org/abs/1802.03268; numbers of the scripts of https://github.com/melodyguan/enas

In its own spaces the policy is the paper's; in any other one that decides choice by choice. The official code clips no gradients (what it
clips is not what it applies). In the recurrent space weights that a step does not run rest: they have no momentum, and next to no decay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from supernet.layers.base import Supernet
from supernet.policies.cells import CellPolicy
from supernet.policies.controller import Controller
from supernet.policies.layers import LayerPolicy
from supernet.policies.recurrent import RecurrentPolicy
from supernet.settings.quantities import Amount, Betas, Count, Positive, Rate, Share
from supernet.space import SearchSpace
from supernet.strategies.base import SupernetStrategy
from supernet.strategies.policy_search import PolicySearch
from supernet.strategies.restarted import Restarted
from supernet.strategies.weights import Weights
from supernet.task import Task


class ENAS(PolicySearch):
    """Numbers of cifar10_micro_search.sh."""

    recipe: ClassVar[Mapping[str, Any]] = {"lr": 0.05, "lr_min": 5e-4, "nesterov": True, "decay": 2e-4, "clip": None}
    trainer: ClassVar[Callable[..., Weights]] = Restarted

    @classmethod
    def on(cls, space: str | None) -> type[SupernetStrategy]:
        """That of the space, where the paper searches it."""
        own: dict[str | None, type[SupernetStrategy]] = {"enas-micro": MicroENAS, "enas-macro": MacroENAS, "enas-rnn": RecurrentENAS}
        return own.get(space, cls)


class MicroENAS(ENAS):
    """ENAS in its micro space."""

    policy_of: ClassVar[Callable[[SearchSpace], Controller]] = CellPolicy


class MacroENAS(ENAS):
    """ENAS in its macro space, by the numbers of cifar10_macro_search.sh."""

    recipe: ClassVar[Mapping[str, Any]] = {**ENAS.recipe, "decay": 5e-4}
    policy_of: ClassVar[Callable[[SearchSpace], Controller]] = LayerPolicy

    def __init__(
        self,
        supernet: Supernet,
        task: Task,
        *,
        policy_steps: Count = 50,
        samples: Count = 20,
        policy_lr: Rate = 1e-3,
        penalty_weight: Amount = 0.8,
        **settings: Any,
    ):
        own: dict[str, Any] = {"policy_steps": policy_steps, "samples": samples, "policy_lr": policy_lr, "penalty_weight": penalty_weight}
        super().__init__(supernet, task, **own, **settings)


class RecurrentENAS(ENAS):
    """ENAS in its recurrent space, by the numbers of https://github.com/google-research/google-research/tree/master/enas_lm."""

    recipe: ClassVar[Mapping[str, Any]] = {"lr": 20.0, "lr_min": 20.0, "momentum": 0.0, "nesterov": False, "decay": 8e-7, "clip": 0.1}
    trainer: ClassVar[Callable[..., Weights]] = Weights
    policy_of: ClassVar[Callable[[SearchSpace], Controller]] = RecurrentPolicy

    def __init__(
        self,
        supernet: Supernet,
        task: Task,
        *,
        policy_steps: Count = 25,
        policy_lr: Rate = 5e-5,
        policy_betas: Betas = (0.9, 0.999),
        policy_eps: Positive = 1e-8,
        entropy: Amount = 1e-5,
        remembered: Share = 0.999,
        scale: Positive = 80.0,
        **settings: Any,
    ):
        adam: dict[str, Any] = {"policy_lr": policy_lr, "policy_betas": policy_betas, "policy_eps": policy_eps}
        own: dict[str, Any] = {"policy_steps": policy_steps, "entropy": entropy, "remembered": remembered, "scale": scale}
        super().__init__(supernet, task, **adam, **own, **settings)
